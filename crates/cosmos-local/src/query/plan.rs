//! What a query does, with everything resolved that can be before a document is seen.

use serde_json::{Map, Value};

use super::aggregate::Aggregate;
use super::evaluate::walk;
use super::expression::{Expression, Row, Step};

/// A query ready to run.
#[derive(Debug)]
pub(super) struct Plan {
    /// Whether there is a FROM clause; without one the query yields a single row.
    pub(super) has_source: bool,
    /// The path of FROM below the root; documents without it yield no row.
    pub(super) source: Vec<Step>,
    pub(super) filter: Option<Expression>,
    pub(super) projection: Projection,
    pub(super) distinct: bool,
    pub(super) aggregates: Vec<Aggregate>,
    /// The GROUP BY expressions, if the clause is there.
    pub(super) group_by: Option<Vec<Expression>>,
    pub(super) order_by: Vec<OrderKey>,
    pub(super) offset: u64,
    /// The most rows to yield, by TOP or LIMIT.
    pub(super) limit: Option<u64>,
    /// Whether OFFSET and LIMIT are there.
    pub(super) has_window: bool,
}

/// What a row becomes.
#[derive(Debug)]
pub(super) enum Projection {
    /// The source value as it is.
    Star,
    /// One value; a row whose value is `undefined` is dropped.
    Value(Expression),
    /// An object of these properties; those that are `undefined` are left out.
    List(Vec<(String, Expression)>),
}

/// One item of ORDER BY.
#[derive(Debug)]
pub(super) struct OrderKey {
    pub(super) expression: Expression,
    pub(super) descending: bool,
}

impl Plan {
    /// Whether a document yields a row: it has the source path and passes the filter.
    pub(super) fn matches(&self, document: &Value) -> bool {
        let row = Row::of(document);
        (self.source.is_empty() || walk(document, &self.source).is_some())
            && self.filter.as_ref().is_none_or(|filter| filter.matches(&row))
    }

    /// Whether rows are combined instead of returned one by one.
    pub(super) fn is_aggregate(&self) -> bool {
        !self.aggregates.is_empty() || self.group_by.is_some()
    }

    /// The result of a row that is one document. Takes the document, so that `SELECT *` is free.
    pub(super) fn project(&self, mut document: Value) -> Option<Value> {
        match &self.projection {
            Projection::Star => take(&mut document, &self.source),
            _ => self.project_row(&Row::of(&document)),
        }
    }

    /// The result of a row.
    pub(super) fn project_row(&self, row: &Row<'_>) -> Option<Value> {
        match &self.projection {
            Projection::Star => walk(row.document, &self.source).cloned(),
            Projection::Value(expression) => {
                expression.evaluate(row).map(std::borrow::Cow::into_owned)
            }
            Projection::List(properties) => {
                let mut map = Map::with_capacity(properties.len());
                for (name, expression) in properties {
                    if let Some(value) = expression.evaluate(row) {
                        map.insert(name.clone(), value.into_owned());
                    }
                }
                Some(Value::Object(map))
            }
        }
    }

    /// The ORDER BY values of a document.
    pub(super) fn order_values(&self, document: &Value) -> Vec<Option<Value>> {
        let row = Row::of(document);
        self.order_by
            .iter()
            .map(|key| key.expression.evaluate(&row).map(std::borrow::Cow::into_owned))
            .collect()
    }
}

/// Moves the value at a path out of a document.
fn take(document: &mut Value, path: &[Step]) -> Option<Value> {
    let mut place = document;
    for step in path {
        place = match (place, step) {
            (Value::Object(map), Step::Name(name)) => map.get_mut(name)?,
            (Value::Array(items), Step::Index(index)) => items.get_mut(*index)?,
            _ => return None,
        };
    }
    Some(place.take())
}
