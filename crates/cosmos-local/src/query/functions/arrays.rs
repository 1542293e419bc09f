//! Array functions, and the two that choose between their arguments.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Arguments, Function, MANY, array, flag, function, number, size, value, whole};
use crate::query::value::{count, digest, same};

/// This family.
pub(super) const TABLE: &[Function] = &[
    function("ARRAY_CONTAINS", 2, 3, contains),
    function("ARRAY_CONTAINS_ANY", 2, MANY, |a| contains_each(a, false)),
    function("ARRAY_CONTAINS_ALL", 2, MANY, |a| contains_each(a, true)),
    function("ARRAY_LENGTH", 1, 1, |a| count(array(a, 0)?.len())),
    function("ARRAY_SLICE", 2, 3, slice),
    function("ARRAY_CONCAT", 2, MANY, concat),
    function("SETINTERSECT", 2, 2, |a| {
        set(a, |first, second| {
            let kept: HashSet<_> = second.iter().map(digest).collect();
            first.iter().filter(|item| kept.contains(&digest(item))).cloned().collect()
        })
    }),
    function("SETUNION", 2, 2, |a| set(a, |first, second| [first, second].concat())),
    function("OBJECTTOARRAY", 1, 1, |a| {
        let pairs =
            value(a, 0)?.as_object()?.iter().map(|(name, item)| json!({"k": name, "v": item}));
        Some(Value::Array(pairs.collect()))
    }),
    function("IIF", 3, 3, |a| {
        let chosen = if value(a, 0) == Some(&Value::Bool(true)) { 1 } else { 2 };
        value(a, chosen).cloned()
    }),
    function("CHOOSE", 2, MANY, |a| {
        let place = size(a, 0).filter(|place| *place > 0)?;
        value(a, place).cloned()
    }),
];

fn contains(arguments: Arguments<'_, '_>) -> Option<Value> {
    let (items, wanted) = (array(arguments, 0)?, value(arguments, 1)?);
    let found = match (flag(arguments, 2)?, wanted) {
        (true, Value::Object(part)) => {
            items.iter().any(|item| item.as_object().is_some_and(|whole| includes(whole, part)))
        }
        _ => items.iter().any(|item| same(item, wanted)),
    };
    Some(Value::Bool(found))
}

/// Whether an object has all the properties of another, with equal values.
fn includes(whole: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    part.iter().all(|(name, wanted)| whole.get(name).is_some_and(|found| same(found, wanted)))
}

/// Whether the array has all, or any, of the arguments after it.
fn contains_each(arguments: Arguments<'_, '_>, all: bool) -> Option<Value> {
    let items = array(arguments, 0)?;
    let is_in = |place| {
        value(arguments, place).is_some_and(|wanted| items.iter().any(|item| same(item, wanted)))
    };
    let mut places = 1..arguments.len();
    Some(Value::Bool(if all { places.all(is_in) } else { places.any(is_in) }))
}

/// A part of an array; a negative start counts from its end.
fn slice(arguments: Arguments<'_, '_>) -> Option<Value> {
    let items = array(arguments, 0)?;
    let start = whole(number(arguments, 1)?)?;
    let start = match usize::try_from(start) {
        Ok(start) => start,
        Err(_) => items.len().saturating_sub(usize::try_from(start.unsigned_abs()).ok()?),
    };
    let length = if arguments.len() > 2 { size(arguments, 2)? } else { items.len() };
    Some(Value::Array(items.iter().skip(start).take(length).cloned().collect()))
}

fn concat(arguments: Arguments<'_, '_>) -> Option<Value> {
    let parts: Option<Vec<&[Value]>> =
        (0..arguments.len()).map(|place| array(arguments, place).map(Vec::as_slice)).collect();
    Some(Value::Array(parts?.concat()))
}

fn set(
    arguments: Arguments<'_, '_>,
    combine: fn(&[Value], &[Value]) -> Vec<Value>,
) -> Option<Value> {
    let mut items = combine(array(arguments, 0)?, array(arguments, 1)?);
    let mut seen = HashSet::new();
    items.retain(|item| seen.insert(digest(item)));
    Some(Value::Array(items))
}
