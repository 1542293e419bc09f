//! The order of rows, and keeping the first of them without keeping all.

use std::cmp::Ordering;

use serde_json::Value;

use super::plan::OrderKey;
use super::value::compare_total;

/// A row of a sorted query.
#[derive(Debug)]
pub(super) struct SortedRow {
    pub(super) keys: Vec<Option<Value>>,
    pub(super) ordinal: u64,
    pub(super) value: Value,
}

/// The order of two rows by their ORDER BY values, each in its direction.
pub(super) fn compare_keys(
    left: &[Option<Value>],
    right: &[Option<Value>],
    order_by: &[OrderKey],
) -> Ordering {
    for ((a, b), key) in left.iter().zip(right).zip(order_by) {
        let order = compare_total(a.as_ref(), b.as_ref());
        if order != Ordering::Equal {
            return if key.descending { order.reverse() } else { order };
        }
    }
    Ordering::Equal
}

/// The order of rows with equal keys: by ordinal, in the direction of the first ORDER BY item.
///
/// Clients that merge partitions, and resume in the midst of equal keys, count on this.
pub(super) fn compare_ordinals(left: u64, right: u64, order_by: &[OrderKey]) -> Ordering {
    let order = left.cmp(&right);
    if order_by.first().is_some_and(|key| key.descending) { order.reverse() } else { order }
}

/// Keeps the first rows of a sorted result.
pub(super) struct Sorter<'p> {
    order_by: &'p [OrderKey],
    rows: Vec<SortedRow>,
    /// How many of the first rows matter.
    wanted: usize,
    /// Set once more rows than wanted came: no row at or behind this one matters.
    cut: Option<(Vec<Option<Value>>, u64)>,
}

impl<'p> Sorter<'p> {
    /// Sorts by these items and keeps at least the first `wanted` rows.
    pub(super) fn new(order_by: &'p [OrderKey], wanted: usize) -> Self {
        Sorter { order_by, rows: Vec::new(), wanted: wanted.max(1), cut: None }
    }

    /// The full order: keys, then ordinal.
    pub(super) fn compare(
        &self,
        left: (&[Option<Value>], u64),
        right: (&[Option<Value>], u64),
    ) -> Ordering {
        compare_keys(left.0, right.0, self.order_by)
            .then_with(|| compare_ordinals(left.1, right.1, self.order_by))
    }

    /// Whether a row with these keys can still be among the wanted ones.
    pub(super) fn wants(&self, keys: &[Option<Value>], ordinal: u64) -> bool {
        self.cut.as_ref().is_none_or(|(cut_keys, cut_ordinal)| {
            self.compare((keys, ordinal), (cut_keys, *cut_ordinal)).is_lt()
        })
    }

    /// Takes a row in.
    pub(super) fn push(&mut self, row: SortedRow) {
        self.rows.push(row);
        // Cutting at twice the size makes the cost per row constant on average.
        if self.rows.len() >= self.wanted.saturating_mul(2) && self.rows.len() > self.wanted {
            let order_by = self.order_by;
            let by_row = |a: &SortedRow, b: &SortedRow| {
                compare_keys(&a.keys, &b.keys, order_by)
                    .then_with(|| compare_ordinals(a.ordinal, b.ordinal, order_by))
            };
            let (_, last, _) = self.rows.select_nth_unstable_by(self.wanted - 1, by_row);
            self.cut = Some((last.keys.clone(), last.ordinal));
            self.rows.truncate(self.wanted);
        }
    }

    /// The rows in order.
    pub(super) fn finish(mut self) -> Vec<SortedRow> {
        let order_by = self.order_by;
        self.rows.sort_by(|a, b| {
            compare_keys(&a.keys, &b.keys, order_by)
                .then_with(|| compare_ordinals(a.ordinal, b.ordinal, order_by))
        });
        self.rows
    }
}
