//! Resource ids (`_rid`): bytes that name a resource within its parents, in base64.
//!
//! A child's id begins with its parent's. Clients break ties of ordered queries on the ordinal of
//! an item, so ordinals must rise and never be used twice within a container.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Set in the container's part, to tell a container from other children of a database.
const CONTAINER_BIT: u32 = 1 << 31;
/// The upper four bits of the last part name the kind of child of a container.
const KIND_SHIFT: u32 = 60;
const KIND_ITEM: u64 = 0;
const KIND_RANGE: u64 = 5;
const ORDINAL_MASK: u64 = (1 << KIND_SHIFT) - 1;

/// What a resource id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rid {
    /// A database.
    Database {
        /// Number of the database in the account.
        database: u32,
    },
    /// A container.
    Container {
        /// Number of the database in the account.
        database: u32,
        /// Number of the container in the database.
        container: u32,
    },
    /// An item.
    Item {
        /// Number of the database in the account.
        database: u32,
        /// Number of the container in the database.
        container: u32,
        /// Number of the item in the container.
        ordinal: u64,
    },
    /// A partition key range.
    Range {
        /// Number of the database in the account.
        database: u32,
        /// Number of the container in the database.
        container: u32,
        /// The range's id.
        range: u32,
    },
}

/// The id of a database.
pub(crate) fn database_rid(database: u32) -> String {
    encode(&database.to_be_bytes())
}

/// The id of a container; `container` uses 31 bits.
pub(crate) fn container_rid(database: u32, container: u32) -> String {
    encode(&container_bytes(database, container))
}

/// The id of an item; `ordinal` uses 60 bits.
pub(crate) fn item_rid(database: u32, container: u32, ordinal: u64) -> String {
    child_rid(database, container, KIND_ITEM, ordinal)
}

/// The id of a partition key range.
pub(crate) fn range_rid(database: u32, container: u32, range: u32) -> String {
    child_rid(database, container, KIND_RANGE, u64::from(range))
}

/// The id of an offer: four characters, as clients show them.
pub(crate) fn offer_rid(number: u32) -> String {
    match number.to_be_bytes() {
        [0, low @ ..] => encode(&low),
        all => encode(&all),
    }
}

/// Reads the id of anything but an offer.
pub(crate) fn parse(rid: &str) -> Option<Rid> {
    let bytes = decode(rid)?;
    let (database, rest) = bytes.split_first_chunk::<4>()?;
    let database = u32::from_be_bytes(*database);
    if rest.is_empty() {
        return Some(Rid::Database { database });
    }
    let (container, rest) = rest.split_first_chunk::<4>()?;
    let container = u32::from_be_bytes(*container);
    if container & CONTAINER_BIT == 0 {
        return None;
    }
    let container = container & !CONTAINER_BIT;
    if rest.is_empty() {
        return Some(Rid::Container { database, container });
    }
    let child = u64::from_le_bytes(<[u8; 8]>::try_from(rest).ok()?);
    let ordinal = child & ORDINAL_MASK;
    match child >> KIND_SHIFT {
        KIND_ITEM => Some(Rid::Item { database, container, ordinal }),
        KIND_RANGE => Some(Rid::Range { database, container, range: u32::try_from(ordinal).ok()? }),
        _ => None,
    }
}

/// The number of a database.
pub(crate) fn parse_database(rid: &str) -> Option<u32> {
    match parse(rid)? {
        Rid::Database { database } => Some(database),
        _ => None,
    }
}

/// The numbers of a container's database and of the container.
pub(crate) fn parse_container(rid: &str) -> Option<(u32, u32)> {
    match parse(rid)? {
        Rid::Container { database, container } => Some((database, container)),
        _ => None,
    }
}

fn child_rid(database: u32, container: u32, kind: u64, ordinal: u64) -> String {
    let child = (ordinal & ORDINAL_MASK) | (kind << KIND_SHIFT);
    let mut bytes = [0; 16];
    let (parent, own) = bytes.split_at_mut(8);
    parent.copy_from_slice(&container_bytes(database, container));
    own.copy_from_slice(&child.to_le_bytes());
    encode(&bytes)
}

fn container_bytes(database: u32, container: u32) -> [u8; 8] {
    (u64::from(database) << 32 | u64::from(container | CONTAINER_BIT)).to_be_bytes()
}

/// A slash would end the path segment that carries the id, so it is written as a minus.
fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('/', "-")
}

fn decode(rid: &str) -> Option<Vec<u8>> {
    STANDARD.decode(rid.replace('-', "/")).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_have_the_expected_bytes() {
        assert_eq!(database_rid(1), "AAAAAQ==");
        assert_eq!(container_rid(1, 1), "AAAAAYAAAAE=");
        assert_eq!(item_rid(1, 1, 1), "AAAAAYAAAAEBAAAAAAAAAA==");
        assert_eq!(range_rid(1, 1, 0), "AAAAAYAAAAEAAAAAAAAAUA==");
        assert_eq!(offer_rid(1).len(), 4);
        assert_eq!(offer_rid(u32::MAX).len(), 8);
        assert!(!database_rid(u32::MAX).contains('/'));
    }

    #[test]
    fn a_child_begins_with_its_parent() {
        assert!(item_rid(7, 9, 3).starts_with(container_rid(7, 9).trim_end_matches('=')));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "a", "AAAA", "AAAAAQ", "AAAAAQAAAAE=", "????", "AAAAAYAAAAEB"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse_database(&container_rid(1, 1)), None);
        assert_eq!(parse_container(&database_rid(1)), None);
    }

    proptest! {
        #[test]
        fn ids_read_back(database: u32, container in 0..CONTAINER_BIT, ordinal in 0..=ORDINAL_MASK, range: u32) {
            prop_assert_eq!(parse_database(&database_rid(database)), Some(database));
            prop_assert_eq!(parse_container(&container_rid(database, container)), Some((database, container)));
            prop_assert_eq!(parse(&item_rid(database, container, ordinal)), Some(Rid::Item { database, container, ordinal }));
            prop_assert_eq!(parse(&range_rid(database, container, range)), Some(Rid::Range { database, container, range }));
        }

        #[test]
        fn any_text_is_refused_or_read(text: String) {
            let _read = parse(&text);
        }
    }
}
