//! Shares are even, moves are few, and hosts agree.

use proptest::prelude::*;

use super::*;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number:03}")).collect()
}

fn holdings(owners: &[&str]) -> Vec<Holding> {
    let leases = names("l", owners.len());
    let owner = |owner: &&str| (!owner.is_empty()).then(|| (*owner).to_owned());
    let holding = |(lease, name): (String, &&str)| Holding { lease, owner: owner(name) };
    leases.into_iter().zip(owners).map(holding).collect()
}

fn shown(moves: &[Move]) -> Vec<String> {
    let show = |one: &Move| {
        format!("{} {}>{}", one.lease, one.from.as_deref().unwrap_or_default(), one.to)
    };
    moves.iter().map(show).collect()
}

#[test]
fn without_hosts_or_leases_there_is_nothing_to_move() {
    assert!(plan(&[], &holdings(&["", ""])).is_empty());
    assert!(plan(&names("h", 2), &[]).is_empty());
}

#[test]
fn free_leases_go_to_those_who_lack_them() {
    let moves = plan(&names("h", 2), &holdings(&["", "h000", "dead", ""]));
    assert_eq!(shown(&moves), ["l000 >h000", "l002 >h001", "l003 >h001"]);
}

#[test]
fn a_new_host_asks_for_all_that_it_lacks_at_once() {
    let owners = ["h000"; 100];
    let moves = plan(&names("h", 2), &holdings(&owners));
    assert_eq!(moves.len(), 50);
    assert!(moves.iter().all(|one| one.from.as_deref() == Some("h000") && one.to == "h001"));
}

#[test]
fn who_has_one_more_keeps_it() {
    assert!(plan(&names("h", 2), &holdings(&["h001", "h000", "h001"])).is_empty());
    let moves = plan(&names("h", 3), &holdings(&["h002", "h002", "h002", "h000"]));
    assert_eq!(shown(&moves), ["l002 h002>h001"]);
    // More hosts than leases: some have none.
    assert!(plan(&names("h", 3), &holdings(&["h001"])).is_empty());
}

proptest! {
    #[test]
    fn a_plan_that_is_carried_out_leaves_nothing_to_do(
        hosts in 1..8_usize,
        owners in proptest::collection::vec(0..10_usize, 0..60),
    ) {
        let names = names("h", hosts);
        // Some leases belong to hosts that are not alive.
        let owner = |number: usize| if number == 0 { String::new() } else { format!("h{number:03}") };
        let owners: Vec<String> = owners.into_iter().map(owner).collect();
        let mut holdings = holdings(&owners.iter().map(String::as_str).collect::<Vec<_>>());
        let moves = plan(&names, &holdings);
        // The order in which things are listed does not matter.
        let mut shuffled = holdings.clone();
        shuffled.reverse();
        let mut reversed = names.clone();
        reversed.reverse();
        prop_assert_eq!(&moves, &plan(&reversed, &shuffled));
        // Only what must move is moved: what is free, and what is above the share.
        let (share, more) = (holdings.len() / hosts, holdings.len() % hosts);
        let mut counts: BTreeMap<&str, usize> = names.iter().map(|name| (name.as_str(), 0)).collect();
        for holding in &holdings {
            if let Some(count) = holding.owner.as_deref().and_then(|owner| counts.get_mut(owner)) {
                *count += 1;
            }
        }
        let free = holdings.len() - counts.values().sum::<usize>();
        let above = counts.values().map(|count| count.saturating_sub(share + 1)).sum::<usize>();
        let full = counts.values().filter(|count| **count > share).count();
        prop_assert_eq!(moves.len(), free + above + full.saturating_sub(more));
        for one in &moves {
            let holding = holdings.iter_mut().find(|holding| holding.lease == one.lease).unwrap();
            let from = holding.owner.clone().filter(|owner| names.contains(owner));
            prop_assert_eq!(&one.from, &from);
            holding.owner = Some(one.to.clone());
        }
        prop_assert!(plan(&names, &holdings).is_empty());
        for name in &names {
            let owner = Some(name.as_str());
            let own = holdings.iter().filter(|holding| holding.owner.as_deref() == owner).count();
            prop_assert!(own == share || (own == share + 1 && more > 0));
        }
    }
}
