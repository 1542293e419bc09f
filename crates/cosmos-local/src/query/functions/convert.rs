//! Conversions between strings and other types.

use serde_json::Value;

use super::{Arguments, Function, function, text, value};
use crate::query::value::{integral, to_f64};

/// Whole numbers beyond this are written with an exponent.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// This family.
pub(super) const TABLE: &[Function] = &[
    function("TOSTRING", 1, 1, to_text),
    function("STRINGTONUMBER", 1, 1, |a| parse(a, Value::is_number)),
    function("STRINGTOBOOLEAN", 1, 1, |a| parse(a, Value::is_boolean)),
    function("STRINGTONULL", 1, 1, |a| parse(a, Value::is_null)),
    function("STRINGTOARRAY", 1, 1, |a| parse(a, Value::is_array)),
    function("STRINGTOOBJECT", 1, 1, |a| parse(a, Value::is_object)),
];

fn to_text(arguments: Arguments<'_, '_>) -> Option<Value> {
    let text = match value(arguments, 0)? {
        Value::String(text) => text.clone(),
        // A whole number has no fraction, however it was written. Integers stay exact.
        Value::Number(number) if number.is_f64() => {
            let whole = Some(to_f64(number)).filter(|float| float.abs() <= WHOLE_MAX);
            whole.and_then(integral).map_or_else(|| number.to_string(), |whole| whole.to_string())
        }
        other => other.to_string(),
    };
    Some(Value::String(text))
}

/// The JSON value that a string spells, if it is of the wanted type.
fn parse(arguments: Arguments<'_, '_>, wanted: fn(&Value) -> bool) -> Option<Value> {
    serde_json::from_str(text(arguments, 0)?.trim()).ok().filter(wanted)
}
