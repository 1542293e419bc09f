//! String functions. Positions and lengths count characters.

use serde_json::Value;

use super::{Arguments, Function, MANY, array, flag, function, number, size, text, value};
use crate::query::value::count;

/// The longest result of REPLICATE; a longer one is undefined, as in the service.
const REPLICATED_MAX: usize = 10_000;

/// This family.
pub(super) const TABLE: &[Function] = &[
    function("CONCAT", 2, MANY, concat),
    function("CONTAINS", 2, 3, |a| compare(a, |text, part| text.contains(part))),
    function("STARTSWITH", 2, 3, |a| compare(a, |text, part| text.starts_with(part))),
    function("ENDSWITH", 2, 3, |a| compare(a, |text, part| text.ends_with(part))),
    function("STRINGEQUALS", 2, 3, |a| compare(a, |text, part| text == part)),
    function("INDEX_OF", 2, 3, index_of),
    function("LENGTH", 1, 1, |a| count(text(a, 0)?.chars().count())),
    function("LOWER", 1, 1, |a| map(a, str::to_lowercase)),
    function("UPPER", 1, 1, |a| map(a, str::to_uppercase)),
    function("LTRIM", 1, 1, |a| map(a, |text| text.trim_start().to_owned())),
    function("RTRIM", 1, 1, |a| map(a, |text| text.trim_end().to_owned())),
    function("TRIM", 1, 1, |a| map(a, |text| text.trim().to_owned())),
    function("REVERSE", 1, 1, |a| map(a, |text| text.chars().rev().collect())),
    function("LEFT", 2, 2, |a| {
        let length = size(a, 1)?;
        map(a, |text| text.chars().take(length).collect())
    }),
    function("RIGHT", 2, 2, |a| {
        let length = size(a, 1)?;
        map(a, |text| {
            let skipped = text.chars().count().saturating_sub(length);
            text.chars().skip(skipped).collect()
        })
    }),
    function("SUBSTRING", 3, 3, |a| {
        let (start, length) = (size(a, 1)?, size(a, 2)?);
        map(a, |text| text.chars().skip(start).take(length).collect())
    }),
    function("REPLACE", 3, 3, replace),
    function("REPLICATE", 2, 2, replicate),
    function("STRINGSPLIT", 2, 2, split),
    function("STRINGJOIN", 2, 2, join),
];

fn map(arguments: Arguments<'_, '_>, change: impl FnOnce(&str) -> String) -> Option<Value> {
    text(arguments, 0).map(change).map(Value::String)
}

/// A predicate over two strings with an optional flag to ignore case.
fn compare(arguments: Arguments<'_, '_>, test: fn(&str, &str) -> bool) -> Option<Value> {
    let (left, right) = (text(arguments, 0)?, text(arguments, 1)?);
    let result = if flag(arguments, 2)? {
        test(&left.to_lowercase(), &right.to_lowercase())
    } else {
        test(left, right)
    };
    Some(Value::Bool(result))
}

fn concat(arguments: Arguments<'_, '_>) -> Option<Value> {
    let parts: Option<Vec<&str>> =
        (0..arguments.len()).map(|place| text(arguments, place)).collect();
    Some(Value::String(parts?.concat()))
}

fn index_of(arguments: Arguments<'_, '_>) -> Option<Value> {
    let (haystack, needle) = (text(arguments, 0)?, text(arguments, 1)?);
    let start = if arguments.len() > 2 { size(arguments, 2)? } else { 0 };
    let offset = match haystack.char_indices().nth(start) {
        Some((offset, _)) => offset,
        None => haystack.len(),
    };
    let found = haystack.get(offset..)?.find(needle).map(|place| place + offset);
    match found {
        Some(place) => count(haystack.get(..place)?.chars().count()),
        None => Some(Value::from(-1)),
    }
}

fn replace(arguments: Arguments<'_, '_>) -> Option<Value> {
    let (find, with) = (text(arguments, 1)?, text(arguments, 2)?);
    map(arguments, |text| if find.is_empty() { text.to_owned() } else { text.replace(find, with) })
}

fn replicate(arguments: Arguments<'_, '_>) -> Option<Value> {
    let repeated = text(arguments, 0)?;
    number(arguments, 1).filter(|times| times.fract() == 0.0)?;
    let times = size(arguments, 1)?;
    let length = repeated.chars().count().checked_mul(times)?;
    (length <= REPLICATED_MAX).then(|| Value::String(repeated.repeat(times)))
}

fn split(arguments: Arguments<'_, '_>) -> Option<Value> {
    let separator = text(arguments, 1).filter(|separator| !separator.is_empty())?;
    Some(Value::Array(text(arguments, 0)?.split(separator).map(Value::from).collect()))
}

fn join(arguments: Arguments<'_, '_>) -> Option<Value> {
    value(arguments, 1)?;
    let parts: Option<Vec<&str>> = array(arguments, 0)?.iter().map(Value::as_str).collect();
    Some(Value::String(parts?.join(text(arguments, 1)?)))
}
