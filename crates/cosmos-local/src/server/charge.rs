//! Request charges: synthetic, deterministic, and close to what the service publishes.
//!
//! | operation | charge in RU |
//! |---|---|
//! | point read | 1 for the first KiB of the item + 0.09 for each further started KiB; 1 for 304 and 404 |
//! | create | 4.8 + 0.45 for each started KiB + 0.1 for each indexed value |
//! | upsert that creates | as create |
//! | replace, upsert that replaces, patch | twice the create of the new item |
//! | delete | 5.25 |
//! | query page | 2.8 + 0.02 for each item examined + 0.04 for each item returned + 0.02 for each started KiB returned |
//! | change feed page | 2 + 1 for each item; 1 for 304 |
//! | transactional batch | the sum of its operations; when it fails, 1.24 for each operation |
//! | metadata (account, ranges) | 0 to 2, databases and containers 4.95 to create |
//!
//! The service publishes 1 RU for a read of 1 KB and 10 RU for one of 100 KB, about 5.5 RU for an insert of 1 KB without
//! indexing and 50 RU for one of 100 KB, twice an insert for a replace, and a cover charge of
//! about 2.8 RU for a query. Nothing here models fill level, consistency or indexing cost in
//! detail: compare charges with each other, not with an invoice.

/// Charge of a read that found nothing, or nothing new.
pub(crate) const MISS: f64 = 1.0;
/// Charge of a delete.
pub(crate) const DELETE: f64 = 5.25;
/// Charge of each operation of a transactional batch that failed.
pub(crate) const FAILED_BATCH_OPERATION: f64 = 1.24;
/// Charge of creating, replacing or deleting a database or a container.
pub(crate) const METADATA_WRITE: f64 = 4.95;
/// Charge of reading metadata.
pub(crate) const METADATA_READ: f64 = 1.0;

const READ_PER_FURTHER_KIB: f64 = 0.09;
const CREATE_BASE: f64 = 4.8;
const CREATE_PER_KIB: f64 = 0.45;
const CREATE_PER_INDEXED: f64 = 0.1;
const REPLACE_FACTOR: f64 = 2.0;
const QUERY_BASE: f64 = 2.8;
const QUERY_PER_EXAMINED: f64 = 0.02;
const QUERY_PER_RETURNED: f64 = 0.04;
const QUERY_PER_KIB: f64 = 0.02;
const FEED_BASE: f64 = 2.0;

/// A point read that returned `bytes`.
pub(crate) fn read(bytes: usize) -> f64 {
    MISS + READ_PER_FURTHER_KIB * (started_kib(bytes) - 1.0).max(0.0)
}

/// A create of `bytes` with `indexed` indexed values.
pub(crate) fn create(bytes: usize, indexed: usize) -> f64 {
    CREATE_BASE + CREATE_PER_KIB * started_kib(bytes) + CREATE_PER_INDEXED * float(indexed)
}

/// A replace by `bytes` with `indexed` indexed values.
pub(crate) fn replace(bytes: usize, indexed: usize) -> f64 {
    REPLACE_FACTOR * create(bytes, indexed)
}

/// A batch of `operations` that failed.
pub(crate) fn failed_batch(operations: usize) -> f64 {
    FAILED_BATCH_OPERATION * float(operations)
}

/// A page of a query.
pub(crate) fn query(examined: usize, returned: usize, bytes: usize) -> f64 {
    QUERY_BASE
        + QUERY_PER_EXAMINED * float(examined)
        + QUERY_PER_RETURNED * float(returned)
        + QUERY_PER_KIB * started_kib(bytes)
}

/// A page of the change feed.
pub(crate) fn feed(items: usize) -> f64 {
    if items == 0 { MISS } else { FEED_BASE + float(items) }
}

/// KiB begun, so 1 byte is 1 and 1025 bytes are 2.
fn started_kib(bytes: usize) -> f64 {
    float(bytes.div_ceil(1024))
}

/// A count as a float. Counts of one request are far below 2^32.
fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published figures, to a tenth.
    #[test]
    fn charges_are_near_the_published_ones() {
        let near = |a: f64, b: f64| (a - b).abs() < 0.5;
        assert!(near(read(1000), 1.0));
        assert!(near(read(100 * 1024), 10.0));
        assert!(near(create(1000, 0), 5.5));
        assert!(near(create(100 * 1024, 0), 50.0));
        assert!(near(create(400, 10), 6.29));
        assert!(near(query(0, 0, 0), 2.8));
        assert!(replace(1000, 4) > 1.9 * create(1000, 4));
        assert!(near(feed(0), 1.0));
    }
}
