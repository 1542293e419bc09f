//! The change feed: latest versions, in the order of their LSN, one partition at a time.
//!
//! The continuation is the etag: the quoted decimal LSN up to which the client has read. Every
//! answer carries one, also "nothing new" (304). A page ends where an LSN ends, so the items of
//! one transaction are never torn apart.

use hyper::StatusCode;

use super::ServerState;
use super::charge;
use super::context::{Call, PAGE_BYTES_MAX};
use super::error::ServiceError;
use super::item::with_paths;
use super::names;
use super::respond::{PartitionMark, Reply, list_body};
use super::scope::{self, Scope};
use crate::storage::{FeedRequest, FeedScope, FeedStart, Item};

/// Items a page has when the client leaves the number to the server.
const PAGE_ITEMS_DEFAULT: usize = 1000;

/// How items look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The document, with `_lsn`.
    Flat,
    /// `{current, metadata: {lsn, crts}}`.
    Envelope,
}

/// `GET docs` with `A-IM`.
pub(crate) async fn read(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    check_mode(call)?;
    let start = start(call.header(names::IF_NONE_MATCH))?;
    let since = call.header(names::IF_MODIFIED_SINCE).map(seconds).transpose()?;
    let scoped = scope::read(state, call, &container)?;
    let scope = match scoped.scope {
        Scope::Key(key) => FeedScope::Key(key),
        Scope::Range(partition, range) => FeedScope::PartitionRange(partition, range),
        Scope::Many(range) => match container.partitions().partitions.as_slice() {
            [only] if only.range == range => FeedScope::Partition(only.id),
            _ if call.header(names::START_EPK).is_some() => {
                return Err(ServiceError::range_gone(&format!(
                    "[{}, {})",
                    range.min_hex(),
                    range.max_hex()
                )));
            }
            _ => {
                return Err(ServiceError::bad_request(
                    "the change feed of a container with several partitions is read one \
                     partition at a time: send x-ms-documentdb-partitionkeyrangeid or a \
                     partition key",
                ));
            }
        },
    };
    let max_items = call.page_items_or(PAGE_ITEMS_DEFAULT)?;
    let request = FeedRequest { scope, start, since, max_items, max_bytes: PAGE_BYTES_MAX };
    let source = std::sync::Arc::clone(&container);
    let page =
        tokio::task::spawn_blocking(move || source.feed(&request)).await.map_err(|_| {
            ServiceError::new(StatusCode::INTERNAL_SERVER_ERROR, "the feed was interrupted")
        })??;
    let mut items = page.items;
    if state.strict {
        shuffle(&mut items, Item::lsn);
    }
    let seen = PartitionMark { range: page.partition, lsn: page.partition_lsn };
    let reply = if items.is_empty() {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        let shape = shape(call);
        let body = list_body(&container.rid(), "Documents", &items, |out, item| {
            write(out, item, shape);
        });
        Reply::json(StatusCode::OK, body)
            .number(names::ITEM_COUNT, u64::try_from(items.len()).unwrap_or(u64::MAX))
    };
    let reply = reply
        .header(names::ETAG, &format!("\"{}\"", page.etag_lsn))
        .charge(charge::feed(items.len()))
        .mark(Some(seen));
    Ok(with_paths(reply, &container))
}

/// Refuses the feed of all versions, in the service's words for an account without it, by which
/// clients know that the mode is off.
fn check_mode(call: &Call) -> Result<(), ServiceError> {
    let mode = call.header(names::A_IM).unwrap_or_default();
    if mode.eq_ignore_ascii_case("Incremental Feed") {
        return Ok(());
    }
    if mode.eq_ignore_ascii_case("Full-Fidelity Feed") {
        return Err(ServiceError::bad_request(
            "Change Feed 'All Versions and Deletes' mode must be enabled: it is not supported \
             yet by this local endpoint",
        ));
    }
    Err(ServiceError::bad_request(format!("'{mode}' is not a value of A-IM that is known")))
}

/// Where to begin: after the LSN of the continuation, now, or at the beginning.
fn start(if_none_match: Option<&str>) -> Result<FeedStart, ServiceError> {
    let Some(text) = if_none_match else { return Ok(FeedStart::Beginning) };
    let text = text.trim();
    if text == "*" {
        return Ok(FeedStart::Now);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    number.parse().map(FeedStart::After).map_err(|_| {
        ServiceError::bad_request("the continuation (If-None-Match) is not one of this feed")
    })
}

/// Unix seconds of an HTTP date.
fn seconds(text: &str) -> Result<u64, ServiceError> {
    let time = httpdate::parse_http_date(text.trim())
        .map_err(|_| ServiceError::bad_request("If-Modified-Since is not an HTTP date"))?;
    Ok(time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

fn shape(call: &Call) -> Shape {
    if call.header(names::CHANGE_FEED_WIRE_FORMAT).is_some() {
        Shape::Envelope
    } else {
        Shape::Flat
    }
}

fn write(out: &mut Vec<u8>, item: &Item, shape: Shape) {
    match shape {
        Shape::Flat => item.write_json(out, true),
        Shape::Envelope => {
            out.extend_from_slice(b"{\"current\":");
            item.write_json(out, false);
            let metadata =
                format!(",\"metadata\":{{\"lsn\":{},\"crts\":{}}}}}", item.lsn(), item.ts());
            out.extend_from_slice(metadata.as_bytes());
        }
    }
}

/// Puts the items of each LSN into another order, always the same for the same LSN: the service
/// promises no order within a transaction, and clients that rely on one must find out here.
fn shuffle<T>(items: &mut [T], lsn: impl Fn(&T) -> u64) {
    let mut rest = items;
    while let Some(first) = rest.first().map(&lsn) {
        let len = rest.iter().take_while(|item| lsn(item) == first).count();
        let (group, tail) = rest.split_at_mut(len);
        let mut state = first.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        // Swapping only with earlier places (Sattolo) leaves no item where it was.
        for place in (1..group.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let places = u64::try_from(place).unwrap_or(1);
            group.swap(place, usize::try_from(state % places).unwrap_or(0));
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuations_are_decimal_lsns_in_quotes_or_without() {
        assert_eq!(start(None), Ok(FeedStart::Beginning));
        assert_eq!(start(Some("*")), Ok(FeedStart::Now));
        assert_eq!(start(Some("\"12\"")), Ok(FeedStart::After(12)));
        assert_eq!(start(Some("12")), Ok(FeedStart::After(12)));
        assert!(start(Some("\"abc\"")).is_err());
        assert!(start(Some("-1")).is_err());
    }

    #[test]
    fn dates_are_read() {
        assert_eq!(seconds("Thu, 01 Jan 1970 00:01:00 GMT"), Ok(60));
        assert!(seconds("yesterday").is_err());
    }

    #[test]
    fn a_shuffle_stays_within_an_lsn_and_changes_every_order() {
        for lsn in 1..40_u64 {
            for len in 2..12_usize {
                let original: Vec<(u64, usize)> =
                    (0..len).map(|n| (lsn, n)).chain((0..3).map(|n| (lsn + 1, n))).collect();
                let mut items = original.clone();
                shuffle(&mut items, |item| item.0);
                assert_ne!(items[..len], original[..len], "lsn {lsn}, {len} items");
                assert_ne!(items[len..], original[len..]);
                let mut sorted = items.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, original);
                assert!(items[..len].iter().all(|item| item.0 == lsn));
            }
        }
    }
}
