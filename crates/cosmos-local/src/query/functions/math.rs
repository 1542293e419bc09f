//! Mathematical functions: over binary64, and the `INT` family over signed 64-bit integers.
//!
//! A result that JSON cannot hold is `undefined`.

use serde_json::{Number, Value};

use super::{Arguments, Function, function, number, value};
use crate::query::value::{integral, number as json_number, to_f64};

/// This family.
pub(super) const TABLE: &[Function] = &[
    function("ABS", 1, 1, |a| map(a, f64::abs)),
    function("CEILING", 1, 1, |a| map(a, f64::ceil)),
    function("FLOOR", 1, 1, |a| map(a, f64::floor)),
    function("ROUND", 1, 1, |a| map(a, f64::round)),
    function("TRUNC", 1, 1, |a| map(a, f64::trunc)),
    function("SIGN", 1, 1, |a| map(a, |x| if x == 0.0 { 0.0 } else { x.signum() })),
    function("SQRT", 1, 1, |a| map(a, f64::sqrt)),
    function("SQUARE", 1, 1, |a| map(a, |x| x * x)),
    function("EXP", 1, 1, |a| map(a, f64::exp)),
    function("LOG", 1, 2, log),
    function("LOG10", 1, 1, |a| map(a, f64::log10)),
    function("POWER", 2, 2, |a| json_number(number(a, 0)?.powf(number(a, 1)?))),
    function("SIN", 1, 1, |a| map(a, f64::sin)),
    function("COS", 1, 1, |a| map(a, f64::cos)),
    function("TAN", 1, 1, |a| map(a, f64::tan)),
    function("COT", 1, 1, |a| map(a, |x| x.tan().recip())),
    function("ASIN", 1, 1, |a| map(a, f64::asin)),
    function("ACOS", 1, 1, |a| map(a, f64::acos)),
    function("ATAN", 1, 1, |a| map(a, f64::atan)),
    function("ATN2", 2, 2, |a| json_number(number(a, 0)?.atan2(number(a, 1)?))),
    function("DEGREES", 1, 1, |a| map(a, f64::to_degrees)),
    function("RADIANS", 1, 1, |a| map(a, f64::to_radians)),
    function("PI", 0, 0, |_| json_number(std::f64::consts::PI)),
    function("INTADD", 2, 2, |a| integers(a, i64::checked_add)),
    function("INTSUB", 2, 2, |a| integers(a, i64::checked_sub)),
    function("INTMUL", 2, 2, |a| integers(a, i64::checked_mul)),
    function("INTDIV", 2, 2, |a| integers(a, i64::checked_div)),
    function("INTMOD", 2, 2, |a| integers(a, i64::checked_rem)),
    function("INTBITAND", 2, 2, |a| integers(a, |x, y| Some(x & y))),
    function("INTBITOR", 2, 2, |a| integers(a, |x, y| Some(x | y))),
    function("INTBITXOR", 2, 2, |a| integers(a, |x, y| Some(x ^ y))),
    function("INTBITNOT", 1, 1, |a| integer(a, 0).map(|x| Value::from(!x))),
    function("INTBITLEFTSHIFT", 2, 2, |a| {
        integers(a, |x, by| u32::try_from(by).ok().and_then(|by| x.checked_shl(by)))
    }),
    function("INTBITRIGHTSHIFT", 2, 2, |a| {
        integers(a, |x, by| u32::try_from(by).ok().and_then(|by| x.checked_shr(by)))
    }),
];

fn map(arguments: Arguments<'_, '_>, apply: fn(f64) -> f64) -> Option<Value> {
    json_number(apply(number(arguments, 0)?))
}

fn log(arguments: Arguments<'_, '_>) -> Option<Value> {
    let given = number(arguments, 0)?;
    if arguments.len() == 1 {
        return json_number(given.ln());
    }
    json_number(given.ln() / number(arguments, 1)?.ln())
}

fn integer(arguments: Arguments<'_, '_>, place: usize) -> Option<i64> {
    match value(arguments, place)? {
        Value::Number(given) => exact_integer(given),
        _ => None,
    }
}

fn exact_integer(given: &Number) -> Option<i64> {
    given.as_i64().or_else(|| integral(to_f64(given)).and_then(|wide| i64::try_from(wide).ok()))
}

fn integers(arguments: Arguments<'_, '_>, apply: fn(i64, i64) -> Option<i64>) -> Option<Value> {
    apply(integer(arguments, 0)?, integer(arguments, 1)?).map(Value::from)
}
