//! Which host should hold which lease.
//!
//! Every host computes the same plan from the same listing, so that no two of them reach for the same
//! lease. A plan moves as little as possible, and all at once: a host that lacks leases asks for all of
//! them in one round.

use std::collections::BTreeMap;

/// A lease and who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The lease.
    pub lease: String,
    /// The incarnation that holds it; nobody where it was released or never taken.
    pub owner: Option<String>,
}

/// A lease that should change hands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// The lease.
    pub lease: String,
    /// Who has to hand it over; nobody where it is free or its owner is dead.
    pub from: Option<String>,
    /// Who should hold it.
    pub to: String,
}

/// The moves that give every host its share: as many leases as any other, or one more.
///
/// `hosts` are those who are alive. Leases of others are free. A host that has more than its share gives
/// away; where shares are uneven, those who have the most keep one more.
pub fn plan(hosts: &[String], holdings: &[Holding]) -> Vec<Move> {
    let mut held: BTreeMap<&str, Vec<&str>> =
        hosts.iter().map(|host| (host.as_str(), Vec::new())).collect();
    if held.is_empty() {
        return Vec::new();
    }
    let mut free: Vec<&str> = Vec::new();
    let mut leases: Vec<&Holding> = holdings.iter().collect();
    leases.sort_by(|one, other| one.lease.cmp(&other.lease));
    for Holding { lease, owner } in leases {
        match owner.as_deref().and_then(|owner| held.get_mut(owner)) {
            Some(own) => own.push(lease),
            None => free.push(lease),
        }
    }
    let shares = shares(&held, holdings.len());
    let mut surplus: Vec<(&str, &str)> = Vec::new();
    let mut wanting: Vec<&str> = Vec::new();
    for (host, own) in &held {
        let share = shares.get(host).copied().unwrap_or_default();
        surplus.extend(own.iter().skip(share).map(|lease| (*lease, *host)));
        wanting.extend(std::iter::repeat_n(*host, share.saturating_sub(own.len())));
    }
    let moves = free.into_iter().map(|lease| (lease, None));
    let moves = moves.chain(surplus.into_iter().map(|(lease, from)| (lease, Some(from))));
    let moves = moves.zip(wanting).map(|((lease, from), to)| Move {
        lease: lease.to_owned(),
        from: from.map(str::to_owned),
        to: to.to_owned(),
    });
    moves.collect()
}

/// How many leases each host should have.
fn shares<'a>(held: &BTreeMap<&'a str, Vec<&str>>, leases: usize) -> BTreeMap<&'a str, usize> {
    let hosts = held.len().max(1);
    let (share, mut more) = (leases.div_euclid(hosts), leases.rem_euclid(hosts));
    let mut by_count: Vec<(usize, &str)> =
        held.iter().map(|(host, own)| (own.len(), *host)).collect();
    by_count.sort_by(|(one, a), (other, b)| other.cmp(one).then(a.cmp(b)));
    let mut shares = BTreeMap::new();
    for (_, host) in by_count {
        shares.insert(host, share.saturating_add(usize::from(more > 0)));
        more = more.saturating_sub(1);
    }
    shares
}

#[cfg(test)]
mod tests;
