//! The `resumeFilter` of a query body: how clients go on with a sorted query across partitions.
//!
//! A client that merges sorted partitions remembers the ORDER BY values and the `_rid` of the last
//! row it took and sends them beside the query text: `{"value": [..], "rid": "..", "exclude": ..}`.
//! `undefined` travels as an empty array. Rows before that boundary are left out.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::QueryError;
use super::plan::OrderKey;
use super::sort::compare_keys;

/// A parsed resume filter.
#[derive(Debug)]
pub(super) struct ResumeFilter {
    /// The ORDER BY values of the boundary.
    pub(super) values: Vec<Option<Value>>,
    /// The ordinal in the `_rid` of the boundary.
    ordinal: Option<u64>,
    /// Whether the boundary itself is left out too.
    exclude: bool,
}

#[derive(Deserialize)]
struct Wire {
    value: Vec<Value>,
    #[serde(default)]
    rid: Option<String>,
    #[serde(default)]
    exclude: bool,
}

impl ResumeFilter {
    /// Parses the field for a query with this many ORDER BY items.
    pub(super) fn parse(filter: &Value, items: usize) -> Result<ResumeFilter, QueryError> {
        let wire = Wire::deserialize(filter)
            .map_err(|error| QueryError::new(format!("unusable resumeFilter: {error}")))?;
        if items == 0 || wire.value.len() != items {
            return Err(QueryError::new(format!(
                "resumeFilter has {} values and the query {items} ORDER BY items",
                wire.value.len()
            )));
        }
        let values: Result<Vec<Option<Value>>, QueryError> = wire
            .value
            .into_iter()
            .map(|value| match value {
                Value::Array(items) if items.is_empty() => Ok(None),
                Value::Array(_) | Value::Object(_) => Err(QueryError::new(
                    "resumeFilter with an array or object as value is not supported yet",
                )),
                scalar => Ok(Some(scalar)),
            })
            .collect();
        let ordinal = match &wire.rid {
            Some(rid) => Some(item_ordinal(rid).ok_or_else(|| {
                QueryError::new(format!("resumeFilter has '{rid}' as rid, which is not of an item"))
            })?),
            None => None,
        };
        Ok(ResumeFilter { values: values?, ordinal, exclude: wire.exclude })
    }

    /// Whether a row is not before the boundary.
    pub(super) fn admits(
        &self,
        keys: &[Option<Value>],
        ordinal: u64,
        order_by: &[OrderKey],
    ) -> bool {
        let order = match compare_keys(keys, &self.values, order_by) {
            Ordering::Equal => match self.ordinal {
                Some(boundary) => super::sort::compare_ordinals(ordinal, boundary, order_by),
                None => Ordering::Equal,
            },
            unequal => unequal,
        };
        order.is_gt() || (order.is_eq() && !self.exclude)
    }
}

/// The ordinal in an item's `_rid`: the last 8 of its 16 bytes.
fn item_ordinal(rid: &str) -> Option<u64> {
    let bytes = STANDARD.decode(rid.replace('-', "/")).ok()?;
    let (_container, ordinal) = bytes.split_at_checked(8)?;
    ordinal.try_into().ok().map(u64::from_le_bytes)
}
