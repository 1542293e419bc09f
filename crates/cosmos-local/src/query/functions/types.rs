//! Type checks. They answer true or false for every argument, `undefined` included.

use serde_json::Value;

use super::{Arguments, Function, function, value};
use crate::query::value::{integral, to_f64};

/// This family.
pub(super) const TABLE: &[Function] = &[
    function("IS_DEFINED", 1, 1, |a| check(a, |_| true)),
    function("IS_NULL", 1, 1, |a| check(a, Value::is_null)),
    function("IS_BOOL", 1, 1, |a| check(a, Value::is_boolean)),
    function("IS_NUMBER", 1, 1, |a| check(a, Value::is_number)),
    function("IS_FINITE_NUMBER", 1, 1, |a| check(a, Value::is_number)),
    function("IS_INTEGER", 1, 1, |a| check(a, is_integer)),
    function("IS_STRING", 1, 1, |a| check(a, Value::is_string)),
    function("IS_ARRAY", 1, 1, |a| check(a, Value::is_array)),
    function("IS_OBJECT", 1, 1, |a| check(a, Value::is_object)),
    function("IS_PRIMITIVE", 1, 1, |a| check(a, |value| !value.is_array() && !value.is_object())),
];

#[allow(clippy::unnecessary_wraps, reason = "the table's functions have one signature")]
fn check(arguments: Arguments<'_, '_>, test: fn(&Value) -> bool) -> Option<Value> {
    Some(Value::Bool(value(arguments, 0).is_some_and(test)))
}

/// Whether it is a number that a signed 64-bit integer can hold.
fn is_integer(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_i64()
                || integral(to_f64(number)).is_some_and(|wide| i64::try_from(wide).is_ok())
        }
        _ => false,
    }
}
