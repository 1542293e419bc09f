//! Fills one page: OFFSET, LIMIT and the bounds of the page.

use serde_json::Value;

use super::value::json_size;
use super::{PageLimits, plan::Plan};

/// What became of a row that was offered to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    /// It is on the page.
    Taken,
    /// OFFSET, or an earlier page, has it.
    Skipped,
    /// It belongs on the next page.
    NextPage,
}

/// A page being filled.
#[derive(Debug)]
pub(super) struct Filling {
    pub(super) items: Vec<Value>,
    items_max: usize,
    bytes: usize,
    bytes_max: usize,
    /// Rows still to be passed over.
    skip: u64,
    /// Rows still allowed by TOP or LIMIT.
    left: Option<u64>,
    /// Rows returned by this and all earlier pages.
    pub(super) returned: u64,
}

impl Filling {
    /// Starts a page after so many returned rows. When the scan starts again from the beginning
    /// (`from_start`), the earlier pages' rows are passed over once more.
    pub(super) fn new(plan: &Plan, limits: &PageLimits, returned: u64, from_start: bool) -> Self {
        Filling {
            items: Vec::new(),
            items_max: limits.max_items.max(1),
            bytes: 0,
            bytes_max: limits.max_bytes,
            skip: if from_start { plan.offset.saturating_add(returned) } else { 0 },
            left: plan.limit.map(|limit| limit.saturating_sub(returned)),
            returned,
        }
    }

    /// Whether TOP or LIMIT is exhausted, so that nothing can follow.
    pub(super) fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// The most rows that this page needs to see: what it skips, what it takes, and one more that
    /// tells whether a next page is needed.
    pub(super) fn rows_wanted(&self) -> usize {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let left = self.left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
        skip.saturating_add(left.min(self.items_max)).saturating_add(1)
    }

    /// Offers the next row. A page takes at least one, whatever its size.
    pub(super) fn offer(&mut self, value: Value) -> Offered {
        if self.skip > 0 {
            self.skip -= 1;
            return Offered::Skipped;
        }
        let bytes = self.bytes.saturating_add(json_size(&value) + 1);
        let is_full = self.items.len() >= self.items_max || bytes > self.bytes_max;
        if is_full && !self.items.is_empty() {
            return Offered::NextPage;
        }
        self.items.push(value);
        self.bytes = bytes;
        self.returned += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
        Offered::Taken
    }
}
