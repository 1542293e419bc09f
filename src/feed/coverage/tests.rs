//! Every key is in exactly one lease after the repair.

use proptest::prelude::*;

use super::*;

fn range(min: &str, max: &str) -> FeedRange {
    FeedRange::new(min, max).unwrap()
}

#[test]
fn leases_that_tile_the_space_need_nothing() {
    assert!(check(&[FeedRange::full()]).is_empty());
    assert!(check(&[range("08", "FF"), range("", "05"), range("05", "08")]).is_empty());
}

#[test]
fn gaps_are_found() {
    assert_eq!(check(&[]).gaps, [FeedRange::full()]);
    let repair = check(&[range("05", "08"), range("0A", "0B")]);
    assert_eq!(repair.gaps, [range("", "05"), range("08", "0A"), range("0B", "FF")]);
    assert!(repair.overlaps.is_empty());
}

#[test]
fn overlaps_are_found_with_what_they_cover_together() {
    // A parent beside its children, and one that reaches into the next.
    let leases = [range("08", "FF"), range("", "05"), range("", "08"), range("05", "08")];
    let repair = check(&leases);
    assert_eq!(repair.overlaps, [Overlap { leases: vec![1, 2, 3], range: range("", "08") }]);
    assert!(repair.gaps.is_empty());
    let twice = check(&[FeedRange::full(), FeedRange::full()]);
    assert_eq!(twice.overlaps, [Overlap { leases: vec![0, 1], range: FeedRange::full() }]);
}

fn bound(number: u16) -> String {
    if number == 0 { String::new() } else { format!("{number:04X}") }
}

fn leases() -> impl Strategy<Value = Vec<FeedRange>> {
    let range = (0..0xFE00_u16, 1..0xFE00_u16).prop_filter_map("empty", |(min, length)| {
        FeedRange::new(bound(min), bound(min.saturating_add(length).min(0xFE00))).ok()
    });
    proptest::collection::vec(range, 0..12)
}

proptest! {
    #[test]
    fn after_the_repair_nothing_is_left_to_do(leases in leases()) {
        let repair = check(&leases);
        let replaced: Vec<usize> =
            repair.overlaps.iter().flat_map(|overlap| overlap.leases.clone()).collect();
        let mut mended: Vec<FeedRange> = leases
            .iter()
            .enumerate()
            .filter(|(place, _)| !replaced.contains(place))
            .map(|(_, range)| range.clone())
            .collect();
        mended.extend(repair.overlaps.iter().map(|overlap| overlap.range.clone()));
        mended.extend(repair.gaps.iter().cloned());
        prop_assert!(check(&mended).is_empty(), "{mended:?}");
        // A gap is really one: no lease has anything in it.
        for gap in &repair.gaps {
            prop_assert!(leases.iter().all(|lease| !lease.overlaps(gap)));
        }
    }
}
