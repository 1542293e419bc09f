//! The partition key ranges of a container.

use hyper::StatusCode;
use serde_json::json;

use super::ServerState;
use super::charge;
use super::container::self_link;
use super::context::Call;
use super::error::ServiceError;
use super::names;
use super::respond::{Reply, list_body, write_value};
use crate::rid;

/// `GET pkranges`: every current range, or 304 when the client has this version of the list. The
/// list is never paged, so clients see it change as a whole.
pub(crate) fn read(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let topology = container.partitions();
    let etag = format!("\"{}\"", topology.version);
    if call.header(names::IF_NONE_MATCH) == Some(etag.as_str()) {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED)
            .header(names::ETAG, &etag)
            .charge(charge::METADATA_READ));
    }
    let numbers = container.numbers();
    let own = self_link(&container);
    let count = u32::try_from(topology.partitions.len()).unwrap_or(u32::MAX);
    let body = list_body(
        &container.rid(),
        "PartitionKeyRanges",
        &topology.partitions,
        |out, partition| {
            let parents: Vec<String> = partition.parents.iter().map(u32::to_string).collect();
            let range = json!({
                "id": partition.id.to_string(),
                "_rid": rid::range_rid(numbers.database, numbers.container, partition.id),
                "_self": format!("{own}pkranges/{}/", partition.id),
                "_etag": etag,
                "_ts": container.ts(),
                "_lsn": container.lsn(partition.id),
                "minInclusive": partition.range.min_hex(),
                "maxExclusive": partition.range.max_hex(),
                "ridPrefix": partition.id,
                "throughputFraction": 1.0 / f64::from(count.max(1)),
                "status": "online",
                "parents": parents,
            });
            write_value(out, &range);
        },
    );
    Ok(Reply::json(StatusCode::OK, body)
        .header(names::ETAG, &etag)
        .number(names::ITEM_COUNT, u64::from(count))
        .charge(charge::METADATA_READ))
}
