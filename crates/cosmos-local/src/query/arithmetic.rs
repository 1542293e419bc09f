//! Arithmetic, bitwise operators and concatenation of values.
//!
//! Arithmetic is that of binary64; what JSON cannot hold (division by zero, overflow) is
//! `undefined`. Bitwise operators work on 32-bit integers as in the language's model, JavaScript;
//! operands that are not such integers give `undefined`.

use serde_json::Value;

use super::ast::BinaryOperator;
use super::value::{integral, number, to_f64};

/// Applies a binary operator other than comparisons; `None` is `undefined`.
pub(super) fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Option<Value> {
    if operator == BinaryOperator::Concat {
        let (left, right) = (left.as_str()?, right.as_str()?);
        return Some(Value::String([left, right].concat()));
    }
    let (Value::Number(a), Value::Number(b)) = (left, right) else { return None };
    let (x, y) = (to_f64(a), to_f64(b));
    match operator {
        BinaryOperator::Add => number(x + y),
        BinaryOperator::Subtract => number(x - y),
        BinaryOperator::Multiply => number(x * y),
        BinaryOperator::Divide => number(x / y),
        BinaryOperator::Modulo => number(x % y),
        _ => bitwise(operator, to_i32(x)?, to_i32(y)?),
    }
}

fn bitwise(operator: BinaryOperator, left: i32, right: i32) -> Option<Value> {
    // The language takes shift distances modulo the width, which is what the wrapping shifts do.
    let distance = right.cast_unsigned();
    let result = match operator {
        BinaryOperator::BitAnd => left & right,
        BinaryOperator::BitOr => left | right,
        BinaryOperator::BitXor => left ^ right,
        BinaryOperator::ShiftLeft => left.wrapping_shl(distance),
        BinaryOperator::ShiftRight => left.wrapping_shr(distance),
        BinaryOperator::ShiftRightZero => {
            return Some(Value::from(left.cast_unsigned().wrapping_shr(distance)));
        }
        _ => return None,
    };
    Some(Value::from(result))
}

/// Unary minus.
pub(super) fn negate(value: &Value) -> Option<Value> {
    match value {
        // Integers keep their exact value, whatever their size.
        Value::Number(given) => match given.as_i64().and_then(i64::checked_neg) {
            Some(integer) => Some(Value::from(integer)),
            None => number(-to_f64(given)),
        },
        _ => None,
    }
}

/// Bitwise complement.
pub(super) fn bit_not(value: &Value) -> Option<Value> {
    match value {
        Value::Number(given) => to_i32(to_f64(given)).map(|bits| Value::from(!bits)),
        _ => None,
    }
}

fn to_i32(value: f64) -> Option<i32> {
    i32::try_from(integral(value)?).ok()
}
