//! Tests: totals do not depend on the order in which parts are merged and replaced.

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;

/// What a stream may add under a name; the kind belongs to the name.
fn measures() -> impl Strategy<Value = Option<Measures>> {
    let number = || -3_i64..4;
    let one = (number(), number(), number(), number(), vec(0..3_u8, 0..3), 0..16_u8);
    one.prop_map(|(count, sum, min, max, set, which)| {
        let mut adds = Adds::default();
        let mut adding = adds.to("key").count("count", count).sum("sum", sum);
        if which & 0b1 == 0 {
            adding = adding.min("min", min);
        }
        if which & 0b10 == 0 {
            adding = adding.max("max", max.to_string());
        }
        for element in set {
            adding = adding.set("set", element.to_string());
        }
        let gone = which & 0b1100 == 0b1100;
        let _ = adding;
        (!gone).then(|| adds.normal().get("key").cloned().unwrap())
    })
}

/// A list entry of each stream, for those that add something.
fn with_list(mut measures: Option<Measures>, stream: usize) -> Option<Measures> {
    if let Some(measures) = &mut measures {
        let entries = BTreeMap::from([(format!("s-{stream}"), json!({"count": measures.len()}))]);
        measures.insert("list".to_owned(), Measure::List(entries));
    }
    measures
}

fn merged<'a>(parts: impl IntoIterator<Item = &'a Option<Measures>>) -> Total {
    let mut total = Total::default();
    for part in parts.into_iter().flatten() {
        total.add(part).unwrap();
    }
    total
}

proptest! {
    #[test]
    fn merging_is_commutative_and_associative(parts in vec(measures(), 0..6), at in 0_usize..6) {
        let parts: Vec<_> = parts.into_iter().enumerate().map(|(n, one)| with_list(one, n)).collect();
        let all = merged(&parts);
        prop_assert_eq!(&merged(parts.iter().rev()), &all);
        let (one, other) = parts.split_at(at.min(parts.len()));
        let (one, other) = (merged(one), merged(other));
        let (mut left, mut right) = (one.clone(), other.clone());
        left.merge(&other).unwrap();
        right.merge(&one).unwrap();
        prop_assert_eq!(&left, &all);
        prop_assert_eq!(&right, &all);
    }

    /// An extreme is unknown exactly when it belonged to the part that went, and nothing as far out came for it.
    #[test]
    fn replacing_parts_leads_to_the_merge_of_the_last_ones(
        steps in vec((0_usize..4, measures()), 0..24)
    ) {
        let mut parts: [Option<Measures>; 4] = Default::default();
        let mut total = Total::default();
        for (stream, new) in steps {
            let new = with_list(new, stream);
            let old = std::mem::replace(&mut parts[stream], new.clone());
            let unknown = total.replace(old.as_ref(), new.as_ref()).unwrap();
            let expected = merged(&parts);
            for name in &unknown {
                let get = |part: &Option<Measures>| part.as_ref()?.get(name).cloned();
                let before = get(&old).unwrap();
                prop_assert!(matches!(before, Measure::Min(_) | Measure::Max(_)));
                prop_assert_eq!(total.measures.get(name), None);
                // It could not be told from the total alone: the part was the extreme, and has gone inwards.
                prop_assert_ne!(get(&new), Some(before));
                total.measures.extend(expected.measures.get(name).map(|one| (name.clone(), one.clone())));
            }
            prop_assert_eq!(&total, &expected);
        }
    }
}

#[track_caller]
fn replaced(total: Measure, old: Option<Measure>, new: Option<Measure>) -> Merged {
    Measure::replace(Some(total), old, new).unwrap()
}

#[test]
fn extremes_are_unknown_exactly_when_they_have_to_be() {
    let min = |number: i64| Measure::Min(number.into());
    let max = |number: i64| Measure::Max(number.into());
    assert_eq!(replaced(min(1), Some(min(2)), None), Merged::Is(min(1)));
    assert_eq!(replaced(min(1), Some(min(1)), Some(min(1))), Merged::Is(min(1)));
    assert_eq!(replaced(min(1), Some(min(1)), Some(min(0))), Merged::Is(min(0)));
    assert_eq!(replaced(min(1), Some(min(1)), Some(min(2))), Merged::Unknown);
    assert_eq!(replaced(min(1), Some(min(1)), None), Merged::Unknown);
    assert_eq!(replaced(max(1), Some(max(0)), None), Merged::Is(max(1)));
    assert_eq!(replaced(max(1), Some(max(1)), Some(max(2))), Merged::Is(max(2)));
    assert_eq!(replaced(max(1), Some(max(1)), Some(max(0))), Merged::Unknown);
    assert_eq!(Measure::replace(Some(min(1)), Some(min(0)), None), Err(MeasureFault::Lacking));
    assert_eq!(Measure::replace(None, Some(min(0)), None), Err(MeasureFault::Lacking));
    let text = Measure::Max("a".into());
    assert_eq!(replaced(text.clone(), Some(max(7)), None), Merged::Is(text), "texts are larger");
}

#[test]
fn zero_and_empty_are_nothing() {
    let mut adds = Adds::default();
    adds.to("key").count("a", 2).count("a", -2).sum("b", 0);
    let adds = adds.normal();
    assert_eq!(adds.get("key"), Some(&Measures::new()), "the stream still counts");
    let mut total = Total::default();
    assert!(total.replace(None, adds.get("key")).unwrap().is_empty());
    assert_eq!(total, Total { streams: 1, measures: BTreeMap::new() });
    for (measure, name) in [
        (Measure::Count(3), "count"),
        (Measure::Set(BTreeMap::from([("x".to_owned(), 2)])), "set"),
        (Measure::List(BTreeMap::from([("s".to_owned(), json!(1))])), "list"),
    ] {
        let part = Measures::from([(name.to_owned(), measure)]);
        total.replace(None, Some(&part)).unwrap();
        total.replace(Some(&part), None).unwrap();
        assert_eq!(total, Total { streams: 1, measures: BTreeMap::new() }, "{name}");
    }
    // Counts that cancel each other leave nothing, and can be taken back all the same.
    let (up, down) = (Measure::Count(1), Measure::Count(-1));
    assert_eq!(replaced(up.clone(), None, Some(down.clone())), Merged::Nothing);
    assert_eq!(Measure::replace(None, Some(down), None), Ok(Merged::Is(up)));
}

#[test]
fn what_cannot_be_merged_is_a_fault() {
    let replace = Measure::replace;
    let (count, sum) = (Measure::Count(1), Measure::Sum(1));
    assert_eq!(replace(Some(count.clone()), None, Some(sum.clone())), Err(MeasureFault::Mixed));
    assert_eq!(replace(Some(count.clone()), Some(sum.clone()), None), Err(MeasureFault::Mixed));
    assert_eq!(replace(None, None, Some(Measure::Mixed)), Err(MeasureFault::Mixed));
    // Where it was the only part, another kind may come for it.
    assert_eq!(replaced(count.clone(), Some(count), Some(sum.clone())), Merged::Is(sum));

    let mut adds = Adds::default();
    adds.to("key").count("a", 1).sum("a", 1);
    assert_eq!(adds.normal().check(), Err(MeasureFault::Mixed));
    let list = |key: &str| Measure::List(BTreeMap::from([(key.to_owned(), json!(1))]));
    assert_eq!(replace(Some(list("a")), None, Some(list("a"))), Err(MeasureFault::Twice));
    assert_eq!(replace(Some(list("a")), Some(list("b")), None), Err(MeasureFault::Lacking));
    let set = |count| Measure::Set(BTreeMap::from([("a".to_owned(), count)]));
    assert_eq!(replace(Some(set(1)), Some(set(2)), None), Err(MeasureFault::Lacking));
    let mut none = Total::default();
    assert_eq!(none.replace(Some(&Measures::new()), None), Err(MeasureFault::Lacking));
}

#[test]
fn numbers_are_those_that_every_reader_has_exactly() {
    let largest = (1_i64 << 53) - 1;
    for number in [largest + 1, i64::MAX, i64::MIN, -largest - 1] {
        let mut adds = Adds::default();
        adds.to("key").sum("a", number);
        assert_eq!(adds.check(), Err(MeasureFault::TooLarge), "{number}");
        let mut adds = Adds::default();
        adds.to("key").max("a", number);
        assert_eq!(adds.check(), Err(MeasureFault::TooLarge), "{number}");
    }
    let mut adds = Adds::default();
    adds.to("key").sum("a", largest).min("b", -largest).list("c", "s", json!(1_u64 << 60));
    assert_eq!(adds.check(), Ok(()));
    adds.to("key").list("d", "s", json!((1_u64 << 60) + 1));
    assert_eq!(adds.check(), Err(MeasureFault::Entry));

    let sum = Measure::Sum;
    let over = Measure::replace(Some(sum(largest)), None, Some(sum(1)));
    assert_eq!(over, Err(MeasureFault::TooLarge));
    // The total without the part is out of range, but with what comes for it is not.
    let between = replaced(sum(10), Some(sum(-largest)), Some(sum(1 - largest)));
    assert_eq!(between, Merged::Is(sum(11)));
    let over = Measure::replace(Some(sum(10)), Some(sum(-largest)), None);
    assert_eq!(over, Err(MeasureFault::TooLarge));
}
