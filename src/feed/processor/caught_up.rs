//! Whether ranges that other hosts work on are done: nothing lies behind what they have made durable.

use futures::{StreamExt as _, stream};

use crate::feed::{
    FeedRange,
    documents::{Document, Lease},
    holding::Shared,
};

/// The ranges that are asked for at the same time.
const QUESTIONS_MAX: usize = 8;

/// Those of the ranges of which everything that is stored now is done, or set aside. Whatever cannot be
/// asked is not among them: it is asked again.
pub(super) async fn of_others(shared: &Shared, ranges: &[FeedRange]) -> Vec<FeedRange> {
    let Ok(listed) = shared.leases.list().await else { return Vec::new() };
    let (mut leases, mut generation, mut parked) = (Vec::new(), 0, Vec::new());
    for found in listed {
        match found.document {
            Document::Topology(topology) => generation = topology.generation,
            Document::Lease(lease) if ranges.contains(&lease.range) => leases.push(lease),
            Document::Parked(found) => parked.push(found.key),
            _ => {}
        }
    }
    // A lease that was not rewound yet has all of it before it.
    leases.retain(|lease| !lease.is_damaged && lease.generation >= generation);
    let parked = &parked;
    let asked: Vec<_> =
        leases.into_iter().map(|lease| Box::pin(is_done(shared, lease, parked))).collect();
    stream::iter(asked).buffered(QUESTIONS_MAX).filter_map(std::future::ready).collect().await
}

async fn is_done(shared: &Shared, lease: Lease, parked: &[String]) -> Option<FeedRange> {
    let mut reader = shared.feed.open(&lease.range, &lease.position).await.ok()?;
    loop {
        let page = reader.next_page().await.ok()?;
        if page.changes.is_empty() {
            return Some(lease.range);
        }
        if page.changes.iter().any(|change| !parked.contains(&change.key)) {
            return None;
        }
    }
}
