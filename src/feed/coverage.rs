//! Whether the leases tile the key space, and how to mend it when they do not.
//!
//! Every change must be in exactly one lease: one that is in none is lost, and one that is in two loses
//! its order. Leases are made, split and merged in one transaction each, so gaps and overlaps come from
//! outside only: a document that was deleted or edited by hand. The check runs at every start and on a
//! timer nevertheless, because nobody else would ever notice.

use super::FeedRange;

/// What must be done so that every key is in exactly one lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// Ranges that no lease covers. A lease for each begins where the processor began: whatever was done
    /// for them before is not known any more.
    pub gaps: Vec<FeedRange>,
    /// Leases that overlap, each with the range that one lease in their place must have. It begins at
    /// the earliest of their places.
    pub overlaps: Vec<Overlap>,
}

/// Leases that overlap, directly or by way of others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overlap {
    /// The places of the leases in the list that was checked, in rising order.
    pub leases: Vec<usize>,
    /// The range of all of them together.
    pub range: FeedRange,
}

impl Repair {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.gaps.is_empty() && self.overlaps.is_empty()
    }
}

/// Checks that the ranges of leases, in any order, tile the whole space.
pub fn check(leases: &[FeedRange]) -> Repair {
    let mut sorted: Vec<(usize, &FeedRange)> = leases.iter().enumerate().collect();
    sorted.sort_by_key(|(_, range)| *range);
    let mut repair = Repair::default();
    let mut end = "";
    let mut cluster: Vec<usize> = Vec::new();
    let mut hull: Option<FeedRange> = None;
    for (place, range) in sorted {
        match &mut hull {
            Some(hull) if hull.overlaps(range) => {
                *hull = hull.hull(range);
                cluster.push(place);
            }
            _ => {
                close(&mut repair, &mut cluster, hull.take());
                if let Ok(gap) = FeedRange::new(end, range.begin()) {
                    repair.gaps.push(gap);
                }
                hull = Some(range.clone());
                cluster.push(place);
            }
        }
        end = end.max(range.end());
    }
    close(&mut repair, &mut cluster, hull);
    if let Ok(gap) = FeedRange::new(end, FeedRange::full().end()) {
        repair.gaps.push(gap);
    }
    repair
}

/// Notes a run of leases that overlap, and begins the next one.
fn close(repair: &mut Repair, cluster: &mut Vec<usize>, hull: Option<FeedRange>) {
    let mut leases = std::mem::take(cluster);
    if let (Some(range), true) = (hull, leases.len() > 1) {
        leases.sort_unstable();
        repair.overlaps.push(Overlap { leases, range });
    }
}

#[cfg(test)]
mod tests;
