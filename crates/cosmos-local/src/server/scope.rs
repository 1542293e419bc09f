//! Which part of a container a query or a feed reads.

use std::borrow::Cow;

use super::ServerState;
use super::context::{Call, mark, partition_of};
use super::error::ServiceError;
use super::names;
use super::respond::PartitionMark;
use crate::key::{EpkRange, PartitionKey};
use crate::storage::{Container, PartitionInfo, Topology};

/// Hexadecimal digits of an effective partition key.
const EPK_DIGITS: usize = 32;

/// The part of a container that a request is about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scope {
    /// One logical partition.
    Key(PartitionKey),
    /// One physical partition, or a part of it.
    Range(u32, EpkRange),
    /// A range of keys that spans physical partitions, or all of them.
    Many(EpkRange),
}

/// A scope, and the partition that answers for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scoped {
    pub(crate) scope: Scope,
    /// The partition, when it is one.
    pub(crate) mark: Option<PartitionMark>,
}

/// Reads the scope from the headers: a partition key, else a range id, bounds of effective
/// partition keys, or both, else everything.
///
/// # Errors
///
/// 400 for bounds that make no sense, or (in strict mode) that cut a partition; 404/1002 when the
/// session token is ahead; 410/1002 for a range that is gone.
pub(crate) fn read(
    state: &ServerState,
    call: &Call,
    container: &Container,
) -> Result<Scoped, ServiceError> {
    let topology = container.partitions();
    if let Some(key) = call.partition_key()? {
        let partition = partition_of(&topology, &key)?;
        call.check_session(container, partition)?;
        return Ok(Scoped { mark: Some(mark(container, partition)), scope: Scope::Key(key) });
    }
    let bounds = bounds(call)?;
    let scope =
        resolve(&topology, call.header(names::PARTITION_KEY_RANGE_ID), bounds, state.strict)?;
    let mut marked = None;
    if let Scope::Range(id, _) = &scope
        && let Some(partition) = topology.get(*id)
    {
        call.check_session(container, partition)?;
        marked = Some(mark(container, partition));
    }
    Ok(Scoped { scope, mark: marked })
}

/// The bounds of effective partition keys in the headers.
fn bounds(call: &Call) -> Result<Option<EpkRange>, ServiceError> {
    let (start, end) = (call.header(names::START_EPK), call.header(names::END_EPK));
    if start.is_none() && end.is_none() {
        return Ok(None);
    }
    let is_range = call
        .header(names::READ_KEY_TYPE)
        .is_none_or(|kind| kind.eq_ignore_ascii_case("EffectivePartitionKeyRange"));
    if !is_range {
        return Err(ServiceError::bad_request(
            "One of the input values is invalid: x-ms-read-key-type must be \
             EffectivePartitionKeyRange when x-ms-start-epk and x-ms-end-epk are there",
        ));
    }
    let (start, end) = (shortened(start.unwrap_or_default())?, shortened(end.unwrap_or("FF"))?);
    Ok(Some(EpkRange::from_hex(&start, &end)?))
}

/// A bound of at most 16 bytes that parts the keys, which all have 16, as a longer one does: what
/// follows the key `x` but is longer lies between `x` and the next key.
fn shortened(text: &str) -> Result<Cow<'_, str>, ServiceError> {
    let Some((head, tail)) = text.split_at_checked(EPK_DIGITS).filter(|(_, tail)| !tail.is_empty())
    else {
        return Ok(Cow::Borrowed(text));
    };
    let invalid = || ServiceError::bad_request("a bound of a range is not hexadecimal");
    if !tail.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(invalid());
    }
    if tail.chars().all(|digit| digit == '0') {
        return Ok(Cow::Borrowed(head));
    }
    let number = u128::from_str_radix(head, 16).map_err(|_| invalid())?;
    Ok(Cow::Owned(format!("{:032X}", number.saturating_add(1))))
}

/// The pure part of [`read`].
fn resolve(
    topology: &Topology,
    range_id: Option<&str>,
    bounds: Option<EpkRange>,
    strict: bool,
) -> Result<Scope, ServiceError> {
    let partition = match (range_id, &bounds) {
        (Some(id), _) => Some(find(topology, id)?),
        (None, Some(bounds)) => {
            topology.partitions.iter().find(|partition| partition.range.contains_range(bounds))
        }
        (None, None) => None,
    };
    match (partition, bounds) {
        (Some(partition), Some(bounds)) if bounds == partition.range => {
            Ok(Scope::Range(partition.id, bounds))
        }
        (Some(partition), Some(_)) if strict => Err(ServiceError::bad_request(format!(
            "a part of partition key range {} cannot be read in strict mode; \
             read the whole range",
            partition.id
        ))),
        (Some(partition), Some(bounds)) if partition.range.contains_range(&bounds) => {
            Ok(Scope::Range(partition.id, bounds))
        }
        // The client's map of the ranges is old: it must read the ranges again.
        (Some(partition), Some(_)) => Err(ServiceError::range_gone(&partition.id.to_string())),
        (Some(partition), None) => Ok(Scope::Range(partition.id, partition.range)),
        (None, Some(bounds)) => Ok(Scope::Many(bounds)),
        (None, None) => Ok(Scope::Many(EpkRange::full())),
    }
}

/// The current range with this id. A range that was split, and one that never was, are both gone.
fn find<'a>(topology: &'a Topology, id: &str) -> Result<&'a PartitionInfo, ServiceError> {
    // Clients of the service may send `rid,id`.
    let number = id.rsplit(',').next().unwrap_or(id).trim();
    number
        .parse()
        .ok()
        .and_then(|number| topology.get(number))
        .ok_or_else(|| ServiceError::range_gone(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;

    fn two() -> Topology {
        Topology::new(2)
    }

    fn check(id: Option<&str>, bounds: Option<(&str, &str)>, strict: bool) -> Result<Scope, u16> {
        let bounds = bounds.map(|(min, max)| EpkRange::from_hex(min, max).unwrap());
        resolve(&two(), id, bounds, strict).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn whole_ranges_are_read_in_both_modes_and_parts_in_one() {
        let topology = two();
        let first = &topology.partitions[0];
        let (min, max) = (first.range.min_hex(), first.range.max_hex());
        let whole = Some((min.as_str(), max.as_str()));
        for strict in [false, true] {
            for (id, bounds) in [(Some("0"), None), (Some("0"), whole), (None, whole)] {
                assert_eq!(check(id, bounds, strict), Ok(Scope::Range(0, first.range)));
            }
            assert_eq!(check(None, None, strict), Ok(Scope::Many(EpkRange::full())));
        }
        let part = Some(("01", "02"));
        let range = EpkRange::from_hex("01", "02").unwrap();
        assert_eq!(check(Some("0"), part, false), Ok(Scope::Range(0, range)));
        assert_eq!(check(None, part, false), Ok(Scope::Range(0, range)));
        assert_eq!(check(Some("0"), part, true), Err(400));
    }

    #[test]
    fn ranges_that_are_not_there_are_gone() {
        let gone = resolve(&two(), Some("7"), None, false).unwrap_err();
        assert_eq!(gone.status, StatusCode::GONE);
        assert_eq!(gone.substatus, Some(1002));
        assert_eq!(check(Some("0"), Some(("", "FF")), false), Err(410));
    }

    #[test]
    fn long_bounds_part_the_keys_at_the_same_place() {
        let key = "0F66AB55719EDB9375B9A938F780E316";
        assert_eq!(shortened(key).unwrap(), key);
        assert_eq!(shortened(&format!("{key}00")).unwrap(), key);
        assert_eq!(shortened(&format!("{key}80")).unwrap(), "0F66AB55719EDB9375B9A938F780E317");
        assert_eq!(shortened("FF").unwrap(), "FF");
        assert!(shortened(&format!("{key}zz")).is_err());
    }
}
