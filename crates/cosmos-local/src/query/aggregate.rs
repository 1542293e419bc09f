//! Aggregate functions over the rows of a query or of a group.

use std::cmp::Ordering;

use serde_json::Value;

use super::expression::{Expression, Row};
use super::value::{compare_total, count, number, to_f64};

/// The aggregate functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AggregateKind {
    Count,
    CountIf,
    Sum,
    Min,
    Max,
    Avg,
}

/// Names of aggregates that the language has and this endpoint does not serve.
const REFUSED: &[&str] = &["MAKELIST", "MAKESET", "ARRAY_AGG", "DCOUNT"];

impl AggregateKind {
    /// Looks an aggregate up by name, whatever its case.
    pub(super) fn lookup(name: &str) -> Option<AggregateKind> {
        Some(match name.to_ascii_uppercase().as_str() {
            "COUNT" => AggregateKind::Count,
            "COUNTIF" => AggregateKind::CountIf,
            "SUM" => AggregateKind::Sum,
            "MIN" => AggregateKind::Min,
            "MAX" => AggregateKind::Max,
            "AVG" => AggregateKind::Avg,
            _ => return None,
        })
    }

    /// Whether this names an aggregate that is not served.
    pub(super) fn is_refused(name: &str) -> bool {
        REFUSED.iter().any(|refused| refused.eq_ignore_ascii_case(name))
    }
}

/// One aggregate call of a query.
#[derive(Debug)]
pub(super) struct Aggregate {
    pub(super) kind: AggregateKind,
    pub(super) argument: Expression,
}

/// The running result of an aggregate.
#[derive(Debug, Clone, Default)]
pub(super) struct Accumulator {
    rows: usize,
    sum: f64,
    extreme: Option<Value>,
    /// A value was seen that makes the whole result `undefined`.
    spoilt: bool,
}

impl Accumulator {
    /// Takes one more row in. Values that are `undefined` do not count.
    pub(super) fn add(&mut self, aggregate: &Aggregate, row: &Row<'_>) {
        let Some(value) = aggregate.argument.evaluate(row) else { return };
        match aggregate.kind {
            AggregateKind::Count => self.rows += 1,
            AggregateKind::CountIf => self.rows += usize::from(*value == Value::Bool(true)),
            AggregateKind::Sum | AggregateKind::Avg => match value.as_ref() {
                Value::Number(given) => {
                    self.rows += 1;
                    self.sum += to_f64(given);
                }
                _ => self.spoilt = true,
            },
            AggregateKind::Min => self.keep(&value, Ordering::Less),
            AggregateKind::Max => self.keep(&value, Ordering::Greater),
        }
    }

    fn keep(&mut self, value: &Value, wanted: Ordering) {
        if value.is_array() || value.is_object() {
            self.spoilt = true;
        } else if self.extreme.is_none()
            || compare_total(Some(value), self.extreme.as_ref()) == wanted
        {
            self.extreme = Some(value.clone());
        }
    }

    /// The result; `None` is `undefined`.
    pub(super) fn result(self, kind: AggregateKind) -> Option<Value> {
        if self.spoilt {
            return None;
        }
        match kind {
            AggregateKind::Count | AggregateKind::CountIf => count(self.rows),
            AggregateKind::Sum => number(self.sum),
            AggregateKind::Avg => {
                let rows = u32::try_from(self.rows).ok().filter(|rows| *rows > 0)?;
                number(self.sum / f64::from(rows))
            }
            AggregateKind::Min | AggregateKind::Max => self.extreme,
        }
    }
}
