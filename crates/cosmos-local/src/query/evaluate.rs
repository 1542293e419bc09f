//! Evaluates expressions over a row with the three-valued logic of Cosmos DB.
//!
//! Nothing is cloned on the way to a comparison: paths yield borrowed parts of the document.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::arithmetic;
use super::expression::{Comparison, Evaluated, Expression, Row, Step};
use super::pattern::Like;
use super::value::{compare, equals, to_f64};

impl Expression {
    /// Whether a filter lets the row pass: only `true` does, neither `undefined` nor other values.
    pub(super) fn matches(&self, row: &Row<'_>) -> bool {
        self.truth(row) == Some(true)
    }

    /// The value over this row; `None` is `undefined`.
    pub(super) fn evaluate<'a>(&'a self, row: &Row<'a>) -> Evaluated<'a> {
        match self {
            Expression::Constant(value) => value.as_ref().map(Cow::Borrowed),
            Expression::Path(steps) => walk(row.document, steps).map(Cow::Borrowed),
            Expression::Member(inner, step) => member(inner.evaluate(row)?, step),
            Expression::Index(parts) => {
                let [inner, index] = parts.as_ref();
                let step = step_of(index.evaluate(row)?.as_ref())?;
                member(inner.evaluate(row)?, &step)
            }
            Expression::Negate(inner) => arithmetic::negate(&*inner.evaluate(row)?).map(Cow::Owned),
            Expression::Plus(inner) => inner.evaluate(row).filter(|value| value.is_number()),
            Expression::BitNot(inner) => {
                arithmetic::bit_not(&*inner.evaluate(row)?).map(Cow::Owned)
            }
            Expression::Binary(operator, parts) => {
                let [left, right] = parts.as_ref();
                let (left, right) = (left.evaluate(row)?, right.evaluate(row)?);
                arithmetic::binary(*operator, &left, &right).map(Cow::Owned)
            }
            Expression::Conditional(parts) => {
                let [condition, yes, no] = parts.as_ref();
                // Unlike IIF, the operator wants a boolean: anything else makes it undefined.
                if condition.truth(row)? { yes.evaluate(row) } else { no.evaluate(row) }
            }
            Expression::Coalesce(parts) => {
                let [first, second] = parts.as_ref();
                first.evaluate(row).or_else(|| second.evaluate(row))
            }
            Expression::Array(items) => {
                let values = items.iter().filter_map(|item| item.evaluate(row));
                Some(Cow::Owned(Value::Array(values.map(Cow::into_owned).collect())))
            }
            Expression::Object(properties) => Some(Cow::Owned(object(properties, row))),
            Expression::Call(function, arguments) => {
                let values: Vec<Evaluated<'a>> =
                    arguments.iter().map(|argument| argument.evaluate(row)).collect();
                (function.call)(&values).map(Cow::Owned)
            }
            Expression::Aggregate(slot) => {
                row.aggregates.get(*slot).and_then(Option::as_ref).map(Cow::Borrowed)
            }
            Expression::GroupKey(slot) => {
                row.group.get(*slot).and_then(Option::as_ref).map(Cow::Borrowed)
            }
            Expression::And(_)
            | Expression::Or(_)
            | Expression::Not(_)
            | Expression::Compare(..)
            | Expression::In(..)
            | Expression::Between(_)
            | Expression::Like(..)
            | Expression::LikeComputed(..)
            | Expression::Matches(..) => {
                self.truth(row).map(|truth| Cow::Owned(Value::Bool(truth)))
            }
        }
    }

    /// The value as a truth: `None` when it is `undefined` or not a boolean.
    fn truth(&self, row: &Row<'_>) -> Option<bool> {
        match self {
            Expression::And(items) => all(items, row),
            Expression::Or(items) => any(items.iter().map(|item| item.truth(row))),
            Expression::Not(inner) => inner.truth(row).map(|truth| !truth),
            Expression::Compare(comparison, parts) => {
                let [left, right] = parts.as_ref();
                let (left, right) = (left.evaluate(row)?, right.evaluate(row)?);
                compare_by(*comparison, &left, &right)
            }
            Expression::In(value, list) => {
                let value = value.evaluate(row)?;
                any(list.iter().map(|item| equals(&value, item.evaluate(row)?.as_ref())))
            }
            Expression::Between(parts) => {
                let [value, low, high] = parts.as_ref();
                let value = value.evaluate(row)?;
                let above = low
                    .evaluate(row)
                    .and_then(|low| compare_by(Comparison::GreaterOrEqual, &value, low.as_ref()));
                let below = high
                    .evaluate(row)
                    .and_then(|high| compare_by(Comparison::LessOrEqual, &value, high.as_ref()));
                match (above, below) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                }
            }
            Expression::Like(value, like) => {
                value.evaluate(row)?.as_str().map(|text| like.matches(text))
            }
            Expression::LikeComputed(parts, escape) => like_computed(parts, *escape, row),
            Expression::Matches(value, pattern) => {
                value.evaluate(row)?.as_str().map(|text| pattern.matches(text))
            }
            other => match other.evaluate(row)?.as_ref() {
                Value::Bool(truth) => Some(*truth),
                _ => None,
            },
        }
    }
}

/// AND over any number of sides: false wins over undefined, undefined over true.
fn all(items: &[Expression], row: &Row<'_>) -> Option<bool> {
    let mut result = Some(true);
    for item in items {
        match item.truth(row) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => result = None,
        }
    }
    result
}

/// OR over any number of sides: true wins over undefined, undefined over false.
fn any(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(false);
    for truth in truths {
        match truth {
            Some(true) => return Some(true),
            Some(false) => {}
            None => result = None,
        }
    }
    result
}

fn compare_by(comparison: Comparison, left: &Value, right: &Value) -> Option<bool> {
    match comparison {
        Comparison::Equal => equals(left, right),
        Comparison::NotEqual => equals(left, right).map(|equal| !equal),
        Comparison::Less => compare(left, right).map(Ordering::is_lt),
        Comparison::LessOrEqual => compare(left, right).map(Ordering::is_le),
        Comparison::Greater => compare(left, right).map(Ordering::is_gt),
        Comparison::GreaterOrEqual => compare(left, right).map(Ordering::is_ge),
    }
}

fn like_computed(parts: &[Expression; 2], escape: Option<char>, row: &Row<'_>) -> Option<bool> {
    let [value, pattern] = parts;
    let (value, pattern) = (value.evaluate(row)?, pattern.evaluate(row)?);
    let like = Like::new(pattern.as_str()?, escape)?;
    Some(like.matches(value.as_str()?))
}

/// The character of a text that is exactly one character long.
pub(super) fn single_character(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

fn object(properties: &[(String, Expression)], row: &Row<'_>) -> Value {
    let mut map = Map::with_capacity(properties.len());
    for (name, expression) in properties {
        if let Some(value) = expression.evaluate(row) {
            map.insert(name.clone(), value.into_owned());
        }
    }
    Value::Object(map)
}

/// Follows a path; `None` as soon as a step leads nowhere.
pub(super) fn walk<'a>(document: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(document, step_into)
}

fn step_into<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match (value, step) {
        (Value::Object(map), Step::Name(name)) => map.get(name),
        (Value::Array(items), Step::Index(index)) => items.get(*index),
        _ => None,
    }
}

fn member<'a>(value: Cow<'a, Value>, step: &Step) -> Evaluated<'a> {
    match value {
        Cow::Borrowed(value) => step_into(value, step).map(Cow::Borrowed),
        Cow::Owned(value) => step_into(&value, step).cloned().map(Cow::Owned),
    }
}

/// The step that an index value stands for: a name, or a whole number from zero.
pub(super) fn step_of(index: &Value) -> Option<Step> {
    match index {
        Value::String(name) => Some(Step::Name(name.clone())),
        Value::Number(number) => {
            let place = super::value::integral(to_f64(number))?;
            usize::try_from(place).ok().map(Step::Index)
        }
        _ => None,
    }
}
