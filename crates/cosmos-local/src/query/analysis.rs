//! What a caller can know about a query without running it: ranges of paths that every result
//! must lie in, so that a key or an index narrows the scan.
//!
//! A range never excludes a match. It may include more than matches, because the whole filter is
//! evaluated again on every candidate. Ranges are over the total order of values: types first.

use std::cmp::Ordering;
use std::ops::Bound;

use serde_json::Value;

use super::Constraint;
use super::expression::{Comparison, Expression, Step};
use super::functions::Function;
use super::value::{compare_total, is_exact};

/// The first character that UTF-8 and UTF-16 may order differently.
const FIRST_DISPUTED: char = '\u{E000}';

/// The ranges that the filter's conjuncts imply, one per path.
pub(super) fn constraints(filter: Option<&Expression>) -> Vec<Constraint> {
    let mut found = Vec::new();
    if let Some(filter) = filter {
        collect(filter, &mut found);
    }
    found
}

fn collect(expression: &Expression, found: &mut Vec<Constraint>) {
    match expression {
        Expression::And(items) => items.iter().for_each(|item| collect(item, found)),
        Expression::Compare(comparison, parts) => {
            let [left, right] = parts.as_ref();
            if let (Some(path), Expression::Constant(Some(value))) = (names(left), right) {
                add(found, path, by_comparison(*comparison, value));
            } else if let (Expression::Constant(Some(value)), Some(path)) = (left, names(right)) {
                add(found, path, by_comparison(comparison.mirrored(), value));
            }
        }
        Expression::Between(parts) => {
            let [value, low, high] = parts.as_ref();
            if let (Some(path), Expression::Constant(Some(low)), Expression::Constant(Some(high))) =
                (names(value), low, high)
            {
                add(found, path.clone(), by_comparison(Comparison::GreaterOrEqual, low));
                add(found, path, by_comparison(Comparison::LessOrEqual, high));
            }
        }
        Expression::In(value, list) => {
            if let (Some(path), Some(range)) = (names(value), hull(list)) {
                add(found, path, Some(range));
            }
        }
        Expression::Call(Function { name: "STARTSWITH", .. }, arguments) => {
            if let [value, Expression::Constant(Some(Value::String(prefix)))] = arguments.as_slice()
                && let Some(path) = names(value)
            {
                add(found, path, Some(by_prefix(prefix)));
            }
        }
        Expression::Like(value, like) => {
            let prefix = like.literal_prefix();
            if let Some(path) = names(value)
                && !prefix.is_empty()
            {
                add(found, path, Some(by_prefix(&prefix)));
            }
        }
        _ => {}
    }
}

type Range = (Bound<Value>, Bound<Value>);

/// The property names of a path from the root, if it is one and names nothing but properties.
pub(super) fn names(expression: &Expression) -> Option<Vec<String>> {
    let Expression::Path(steps) = expression else { return None };
    let names: Option<Vec<String>> = steps
        .iter()
        .map(|step| match step {
            Step::Name(name) => Some(name.clone()),
            Step::Index(_) => None,
        })
        .collect();
    names.filter(|names| !names.is_empty())
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn by_comparison(comparison: Comparison, value: &Value) -> Option<Range> {
    if !is_scalar(value) {
        return None;
    }
    let low = || loosened(value, true);
    let high = || loosened(value, false);
    Some(match comparison {
        Comparison::Equal => (Bound::Included(value.clone()), Bound::Included(value.clone())),
        Comparison::Less => (Bound::Unbounded, open(value, high())),
        Comparison::LessOrEqual => (Bound::Unbounded, high()),
        Comparison::Greater => (open(value, low()), Bound::Unbounded),
        Comparison::GreaterOrEqual => (low(), Bound::Unbounded),
        Comparison::NotEqual => return None,
    })
}

/// An exclusive bound, unless an index over binary64 could not tell the value from its neighbours.
fn open(value: &Value, bound: Bound<Value>) -> Bound<Value> {
    match bound {
        Bound::Included(kept) if kept == *value && is_told_apart(value) => Bound::Excluded(kept),
        other => other,
    }
}

fn is_told_apart(value: &Value) -> bool {
    match value {
        Value::Number(number) => is_exact(number),
        _ => true,
    }
}

/// An inclusive bound that holds whether strings are ordered by UTF-8 or by UTF-16.
fn loosened(value: &Value, is_lower: bool) -> Bound<Value> {
    let Value::String(text) = value else { return Bound::Included(value.clone()) };
    match text.find(|c| c >= FIRST_DISPUTED) {
        None => Bound::Included(value.clone()),
        Some(place) if is_lower => {
            Bound::Included(Value::from(text.get(..place).unwrap_or_default()))
        }
        Some(_) => Bound::Unbounded,
    }
}

/// The range of all strings that start with a prefix.
fn by_prefix(prefix: &str) -> Range {
    let lower = loosened(&Value::from(prefix), true);
    let mut head = prefix.to_owned();
    let upper = match head.pop().map(|last| u32::from(last) + 1).and_then(char::from_u32) {
        Some(next) if next <= FIRST_DISPUTED && !head.contains(|c| c >= FIRST_DISPUTED) => {
            head.push(next);
            Bound::Excluded(Value::String(head))
        }
        _ => Bound::Unbounded,
    };
    (lower, upper)
}

/// The smallest range that holds every value of an IN list.
fn hull(list: &[Expression]) -> Option<Range> {
    let mut values = Vec::with_capacity(list.len());
    for item in list {
        match item {
            // `undefined` in the list never makes it true.
            Expression::Constant(None) => {}
            Expression::Constant(Some(value)) if is_scalar(value) => values.push(value),
            _ => return None,
        }
    }
    values.sort_by(|a, b| compare_total(Some(a), Some(b)));
    let (first, last) = (*values.first()?, *values.last()?);
    if compare_total(Some(first), Some(last)) == Ordering::Equal {
        return Some((Bound::Included(first.clone()), Bound::Included(last.clone())));
    }
    Some((loosened(first, true), loosened(last, false)))
}

/// What the boundary of a resumed sorted query implies for the path it is sorted by: narrows the range
/// that the filter gives, else is the value that the order may begin with. Not a range of its own,
/// because arrays and objects behind the boundary are results too, and only some indexes have them.
pub(super) fn add_boundary(
    found: &mut Vec<Constraint>,
    path: &[String],
    descending: bool,
    boundary: &Value,
) -> Option<Value> {
    // Descending, `undefined` comes last and is still to be returned, yet no range includes it.
    if descending {
        return None;
    }
    let range = by_comparison(Comparison::GreaterOrEqual, boundary)?;
    // An id is always a string.
    let is_scalar = matches!(path, [name] if name == "id");
    if is_scalar || found.iter().any(|constraint| constraint.path == path) {
        add(found, path.to_vec(), Some(range));
        return None;
    }
    bound_value(&range.0).cloned()
}

/// Adds a range, narrowing the one that the path may have already.
fn add(found: &mut Vec<Constraint>, path: Vec<String>, range: Option<Range>) {
    let Some((lower, upper)) = range else { return };
    if matches!((&lower, &upper), (Bound::Unbounded, Bound::Unbounded)) {
        return;
    }
    let Some(existing) = found.iter_mut().find(|constraint| constraint.path == path) else {
        found.push(Constraint { path, lower, upper });
        return;
    };
    let lower = tighter(&existing.lower, lower, Ordering::Greater);
    let upper = tighter(&existing.upper, upper, Ordering::Less);
    // Contradicting ranges match nothing; the narrower scan that results is not worth handing
    // callers a range that ends before it starts.
    if !is_inverted(&lower, &upper) {
        existing.lower = lower;
        existing.upper = upper;
    }
}

fn bound_value(bound: &Bound<Value>) -> Option<&Value> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

fn tighter(current: &Bound<Value>, new: Bound<Value>, wanted: Ordering) -> Bound<Value> {
    match (bound_value(current), bound_value(&new)) {
        (_, None) => current.clone(),
        (None, Some(_)) => new,
        (Some(old), Some(candidate)) => match compare_total(Some(candidate), Some(old)) {
            Ordering::Equal if matches!(new, Bound::Excluded(_)) => new,
            order if order == wanted => new,
            _ => current.clone(),
        },
    }
}

fn is_inverted(lower: &Bound<Value>, upper: &Bound<Value>) -> bool {
    let (Some(low), Some(high)) = (bound_value(lower), bound_value(upper)) else { return false };
    match compare_total(Some(low), Some(high)) {
        Ordering::Less => false,
        Ordering::Equal => !matches!((lower, upper), (Bound::Included(_), Bound::Included(_))),
        Ordering::Greater => true,
    }
}
