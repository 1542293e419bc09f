//! What to do with a run of lines, given what is stored. Pure.

use std::ops::Range;

use super::runs::Run;
use crate::{
    cli::line::{Line, hash_of},
    event::{RecordedEvent, is_same_json},
    store::BATCH_OPERATIONS_MAX,
};

/// The events of a commit that an import makes up itself: what fits behind another event.
const COMMIT_EVENTS_MAX: usize = BATCH_OPERATIONS_MAX - 1;
/// The text of such a commit. Documents are a little larger than lines; this leaves half of what a
/// transaction takes for that.
const COMMIT_TEXT_MAX: usize = 1024 * 1024;

/// How a line differs from the event that is stored in its place: the names of the fields. Nothing
/// when it does not.
pub(super) fn differences(
    run: &Run,
    line: &Line,
    stored: &RecordedEvent,
) -> Option<Vec<&'static str>> {
    let event = &line.event;
    let mut fields = Vec::new();
    let mut differs = |name, same: bool| {
        if !same {
            fields.push(name);
        }
    };
    differs("eventId", event.id() == stored.id());
    if hash_of(event) != stored.content_hash().as_str() {
        let same_type = event.event_type() == stored.event_type();
        let same_version = event.schema_version() == stored.schema_version();
        let same_data = is_same_json(event.data(), stored.data());
        differs("type", same_type);
        differs("schemaVersion", same_version);
        // What is hashed differs, so if nothing else does, the stored hash is not of the stored data.
        differs("data", same_data && !(same_type && same_version));
    }
    differs("time", event.occurred_at() == Some(stored.occurred_at()));
    let as_json = |metadata| serde_json::to_value(metadata).unwrap_or_default();
    let same_metadata = event.metadata() == stored.metadata()
        || is_same_json(&as_json(event.metadata()), &as_json(stored.metadata()));
    differs("metadata", same_metadata);
    let aggregate_type = line.aggregate_type.as_deref().unwrap_or(run.stream.category());
    differs("aggregateType", aggregate_type == stored.aggregate_type());
    if fields.is_empty() { None } else { Some(fields) }
}

/// Cuts lines into commits: as the lines say, and otherwise as large as they may be.
pub(super) fn commits(lines: &[Line]) -> Vec<Range<usize>> {
    let mut commits = Vec::new();
    let (mut start, mut text) = (0, 0_usize);
    for (index, (line, before)) in lines.iter().skip(1).zip(lines).enumerate() {
        let index = index.saturating_add(1);
        text = text.saturating_add(before.bytes);
        let is_full = index.saturating_sub(start) >= COMMIT_EVENTS_MAX
            || text.saturating_add(line.bytes) > COMMIT_TEXT_MAX;
        let is_other = line.commit != before.commit || line.aggregate_type != before.aggregate_type;
        if is_other || (line.commit.is_none() && is_full) {
            commits.push(start..index);
            (start, text) = (index, 0);
        }
    }
    if start < lines.len() {
        commits.push(start..lines.len());
    }
    commits
}

#[cfg(test)]
mod tests;
