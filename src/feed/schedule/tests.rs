//! One key is never in two runs, and its changes keep their order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn what_gathers_for_a_key_is_one_run() {
    let mut schedule = Schedule::new(3);
    schedule.push("a".to_owned(), 1, vec![1]);
    schedule.push("b".to_owned(), 1, vec![2]);
    schedule.push("a".to_owned(), 2, vec![3, 4]);
    schedule.push("a".to_owned(), 3, vec![5]);
    let run = schedule.start().unwrap();
    assert_eq!((run.key.as_str(), run.changes, run.pages), ("a", vec![1, 3, 4], vec![1, 2]));
    assert_eq!(schedule.start().unwrap().key, "b");
    assert!(!schedule.is_ready(), "a is busy");
    schedule.finish("a");
    assert_eq!(schedule.start().unwrap().changes, [5]);
    schedule.finish("a");
    schedule.finish("b");
    assert!(schedule.is_idle());
}

#[test]
fn a_page_of_a_key_stays_together() {
    let mut schedule = Schedule::new(2);
    schedule.push("a".to_owned(), 1, vec![1, 2, 3]);
    assert_eq!(schedule.start().unwrap().changes, [1, 2, 3]);
}

#[test]
fn what_waits_for_a_key_can_be_taken_away() {
    let mut schedule = Schedule::new(1);
    schedule.push("a".to_owned(), 1, vec![1]);
    schedule.push("b".to_owned(), 1, vec![2]);
    schedule.push("a".to_owned(), 2, vec![3]);
    let run = schedule.start().unwrap();
    assert_eq!(schedule.take(&run.key), [(2, vec![3])]);
    assert_eq!(schedule.take("b"), [(1, vec![2])]);
    assert_eq!((schedule.waiting(), schedule.is_ready()), (0, false));
    schedule.finish("a");
    assert!(schedule.is_idle() && schedule.take("a").is_empty());
}

proptest! {
    #[test]
    fn every_change_runs_once_and_in_the_order_of_its_key(
        pages in proptest::collection::vec(proptest::collection::vec(0..4_u8, 1..6), 1..12),
        picks in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..120),
        changes_max in 1..5_usize,
    ) {
        let mut schedule = Schedule::new(changes_max);
        let mut pages = (1_u64..).zip(pages).collect::<VecDeque<_>>();
        let mut pushed: BTreeMap<String, Vec<(u64, usize)>> = BTreeMap::new();
        let mut ran: BTreeMap<String, Vec<(u64, usize)>> = BTreeMap::new();
        let mut running: Vec<String> = Vec::new();
        let picks: Vec<_> = picks.into_iter().map(|(is_start, pick)| (is_start, Some(pick))).collect();
        // In the end everything is started and finished in turn.
        let rest = [(true, None), (false, None)].repeat(200);
        for (is_start, pick) in picks.into_iter().chain(rest) {
            if let Some((page, keys)) = pages.pop_front() {
                let distinct: BTreeSet<u8> = keys.iter().copied().collect();
                for key in distinct {
                    let key_changes: Vec<_> =
                        (0..keys.len()).filter(|place| keys[*place] == key).map(|place| (page, place)).collect();
                    pushed.entry(key.to_string()).or_default().extend(&key_changes);
                    schedule.push(key.to_string(), page, key_changes);
                }
            }
            if is_start && let Some(run) = schedule.start() {
                prop_assert!(!running.contains(&run.key), "{} runs twice", run.key);
                let parts: BTreeSet<u64> = run.changes.iter().map(|(page, _)| *page).collect();
                prop_assert_eq!(parts.into_iter().collect::<Vec<_>>(), run.pages);
                ran.entry(run.key.clone()).or_default().extend(run.changes);
                running.push(run.key);
            } else if !running.is_empty() {
                let place = pick.map_or(0, |pick| pick.index(running.len()));
                schedule.finish(&running.swap_remove(place));
            }
        }
        prop_assert_eq!(ran, pushed);
        prop_assert_eq!(schedule.waiting(), 0);
    }
}
