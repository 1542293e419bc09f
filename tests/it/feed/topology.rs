//! Splits and merges, parts of partitions, and what places mean after them.

use cosmos_event_store::feed::{CosmosFeed, Feed, FeedFault, FeedRange, documents::Position};
use cosmos_local::{Fault, FaultAction, Mode};

use super::watched::{Streams, Watched, drain, fields, note, without};
use crate::fixture::{events, options};

/// The two parts of a range that begins and ends with the space of keys.
fn halves() -> [FeedRange; 2] {
    [FeedRange::new("", "20").unwrap(), FeedRange::new("20", "FF").unwrap()]
}

#[tokio::test]
async fn parts_of_a_partition_are_read_where_the_service_does() {
    for (mode, reads_parts) in [(Mode::Strict, false), (Mode::Lenient, true)] {
        let watched = Watched::new(mode, 2).await;
        watched.feed.ranges().await.unwrap();
        watched.fixture.control().reset_counts();
        assert_eq!(watched.feed.reads_parts().await, Ok(reads_parts));
        let counts = watched.fixture.control().reset_counts();
        assert_eq!(counts.of("change_feed"), 1);
        assert_eq!(watched.feed.reads_parts().await, Ok(reads_parts));
        assert_eq!(watched.fixture.requests(), 0, "the answer is remembered");
        watched.end().await;
    }
}

#[tokio::test]
async fn a_split_while_a_range_is_open_loses_and_repeats_nothing() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let watched = Watched::new(mode, 1).await;
        let mut all = Streams::new();
        watched.append(&mut all).await;
        let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
        let mut read = Streams::new();
        let page = reader.next_page().await.unwrap();
        assert!(page.last_lsn.is_some());
        note(&mut read, page.changes);

        watched.split(0).await;
        watched.append(&mut all).await;
        let page = reader.next_page().await.unwrap();
        assert_eq!(page.last_lsn, None, "transactions of two partitions cannot be compared");
        note(&mut read, page.changes);
        let half_way = (read.clone(), Position::Continuation(page.continuation));
        let place = drain(&mut reader, &mut read).await.unwrap();
        assert_eq!(read, all);

        // The place in the middle of the split, as another process opens it, on the parent and on its
        // children.
        let (before, position) = half_way;
        let other = watched.other_feed().await;
        let children = other.ranges().await.unwrap();
        assert_eq!(children.len(), 2);
        for ranges in [vec![FeedRange::full()], children] {
            let mut rest = Streams::new();
            for range in ranges {
                let mut reader = other.open(&range, &position).await.unwrap();
                drain(&mut reader, &mut rest).await.unwrap();
            }
            assert_eq!(rest, without(&all, &before));
        }

        let mut later = Streams::new();
        let mut reader = other.open(&FeedRange::full(), &place).await.unwrap();
        drain(&mut reader, &mut later).await.unwrap();
        assert_eq!(later, Streams::new());
        watched.end().await;
    }
}

#[tokio::test]
async fn an_empty_page_means_that_no_partition_of_the_range_has_more() {
    let watched = Watched::new(Mode::Strict, 3).await;
    let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
    assert_eq!(reader.next_page().await.unwrap().changes.len(), 0);
    for stream in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        watched.fixture.given(stream, &events(1)).await;
        let mut read = Streams::new();
        drain(&mut reader, &mut read).await.unwrap();
        assert_eq!(read, Streams::from([(stream.to_owned(), vec![1])]));
    }
    watched.end().await;
}

#[tokio::test]
async fn a_merge_while_a_range_is_open_moves_it_where_parts_are_not_read() {
    let watched = Watched::new(Mode::Strict, 2).await;
    let ranges = watched.feed.ranges().await.unwrap();
    let mut all = Streams::new();
    watched.append(&mut all).await;
    let mut readers = Vec::new();
    for range in &ranges {
        let mut reader = watched.open(range, Position::Beginning).await;
        let mut read = Streams::new();
        let place = drain(&mut reader, &mut read).await.unwrap();
        readers.push((range, reader, place));
    }
    watched.merge(0, 1).await;
    for (range, mut reader, place) in readers {
        assert_eq!(reader.next_page().await.unwrap_err(), FeedFault::Moved);
        // Also for a process that never knew the former partitions, and from every place.
        let other = watched.other_feed().await;
        for position in [place, Position::Beginning, Position::Time(0)] {
            let mut reader = other.open(range, &position).await.unwrap();
            assert_eq!(reader.next_page().await.unwrap_err(), FeedFault::Moved);
        }
    }
    assert_eq!(watched.feed.ranges().await.unwrap(), [FeedRange::full()]);
    let mut read = Streams::new();
    let mut reader = watched.open(&FeedRange::full(), Position::Time(0)).await;
    drain(&mut reader, &mut read).await.unwrap();
    assert_eq!(read, all);
    watched.end().await;
}

#[tokio::test]
async fn a_merge_while_a_range_is_open_changes_nothing_where_parts_are_read() {
    let watched = Watched::new(Mode::Lenient, 2).await;
    let ranges = watched.feed.ranges().await.unwrap();
    let mut all = Streams::new();
    watched.append(&mut all).await;
    let (mut read, mut readers) = (Streams::new(), Vec::new());
    for range in &ranges {
        let mut reader = watched.open(range, Position::Beginning).await;
        note(&mut read, reader.next_page().await.unwrap().changes);
        readers.push(reader);
    }
    watched.merge(0, 1).await;
    watched.append(&mut all).await;
    for mut reader in readers {
        drain(&mut reader, &mut read).await.unwrap();
    }
    assert_eq!(read, all);
    watched.end().await;
}

#[tokio::test]
async fn a_place_of_a_range_may_be_used_for_its_parts_and_nothing_else() {
    let watched = Watched::new(Mode::Lenient, 1).await;
    let mut all = Streams::new();
    watched.append(&mut all).await;
    let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
    let mut before = Streams::new();
    let page = reader.next_page().await.unwrap();
    note(&mut before, page.changes);
    let whole = Position::Continuation(page.continuation);

    let (mut rest, mut places) = (Streams::new(), Vec::new());
    for half in halves() {
        let mut reader = watched.open(&half, whole.clone()).await;
        let page = reader.next_page().await.unwrap();
        note(&mut rest, page.changes);
        places.push((half.clone(), page.continuation));
    }
    // A place that was taken on a part goes on there, also in a smaller part, and nowhere else.
    let [lower, upper] = halves();
    for (half, place) in places {
        let position = Position::Continuation(place);
        for elsewhere in [&FeedRange::full(), if half == lower { &upper } else { &lower }] {
            let refused = watched.feed.open(elsewhere, &position).await.err();
            assert!(matches!(refused, Some(FeedFault::BadPosition(_))), "{refused:?}");
        }
        let quarters =
            if half == lower { [("", "10"), ("10", "20")] } else { [("20", "30"), ("30", "FF")] };
        for (begin, end) in quarters {
            let quarter = FeedRange::new(begin, end).unwrap();
            drain(&mut watched.open(&quarter, position.clone()).await, &mut rest).await.unwrap();
        }
    }
    assert_eq!(rest, without(&all, &before));
    watched.end().await;
}

#[tokio::test]
async fn a_part_is_moved_where_it_is_not_read() {
    let watched = Watched::new(Mode::Strict, 1).await;
    let [lower, _] = halves();
    let mut reader = watched.open(&lower, Position::Beginning).await;
    assert_eq!(reader.next_page().await.unwrap_err(), FeedFault::Moved);
    assert_eq!(reader.next_page().await.unwrap_err(), FeedFault::Moved);
    watched.end().await;
}

#[tokio::test]
async fn now_is_pinned_in_every_partition_of_the_range() {
    let watched = Watched::new(Mode::Strict, 3).await;
    watched.append(&mut Streams::new()).await;
    let now = watched.feed.now(&FeedRange::full()).await.unwrap();
    let mut later = Streams::new();
    for stream in 0..9 {
        let stream = format!("later-{stream}");
        watched.fixture.given(&stream, &events(1)).await;
        later.insert(stream, vec![1]);
    }
    let mut read = Streams::new();
    let mut reader =
        watched.other_feed().await.open(&FeedRange::full(), &Position::Continuation(now)).await;
    drain(reader.as_mut().unwrap(), &mut read).await.unwrap();
    assert_eq!(read, later);
    watched.end().await;
}

#[tokio::test]
async fn a_range_that_was_split_and_merged_again_while_it_was_open_has_moved() {
    let watched = Watched::new(Mode::Strict, 1).await;
    let mut all = Streams::new();
    watched.append(&mut all).await;
    let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
    drain(&mut reader, &mut Streams::new()).await.unwrap();
    let place = drain(&mut reader, &mut Streams::new()).await.unwrap();
    watched.split(0).await;
    drain(&mut reader, &mut Streams::new()).await.unwrap();
    watched.merge(1, 2).await;
    let mut late = Streams::new();
    watched.fixture.given("late", &events(2)).await;
    late.insert("late".to_owned(), vec![1, 2]);
    assert_eq!(reader.next_page().await.unwrap_err(), FeedFault::Moved);
    // The place from before the split is one of the whole again.
    let mut read = Streams::new();
    drain(&mut watched.open(&FeedRange::full(), place).await, &mut read).await.unwrap();
    assert_eq!(read, late);
    watched.end().await;
}

#[tokio::test]
async fn places_from_before_a_merge_inside_of_the_range_are_refused_where_parts_are_not_read() {
    let watched = Watched::new(Mode::Strict, 2).await;
    let mut all = Streams::new();
    watched.append(&mut all).await;
    let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
    let place = drain(&mut reader, &mut Streams::new()).await.unwrap();
    let unread = watched.open(&FeedRange::full(), Position::Beginning).await;
    watched.merge(0, 1).await;
    for mut reader in [reader, unread] {
        assert_eq!(reader.next_page().await.unwrap_err(), FeedFault::Moved);
    }
    // What has moved is opened again; a place in two former partitions is none in the merged one.
    let mut reader = watched.open(&FeedRange::full(), place).await;
    let refused = reader.next_page().await.unwrap_err();
    assert!(matches!(refused, FeedFault::BadPosition(_)), "{refused:?}");
    let mut read = Streams::new();
    let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
    drain(&mut reader, &mut read).await.unwrap();
    assert_eq!(read, all);
    watched.end().await;
}

#[tokio::test]
async fn partitions_are_those_seen_last_when_the_service_does_not_answer() {
    let watched = Watched::new(Mode::Strict, 2).await;
    let before = watched.feed.ranges().await.unwrap();
    watched.split(0).await;
    let (status, substatus, retry_after_ms) = (503, None, None);
    let silent = Fault::new(FaultAction::Status { status, substatus, retry_after_ms });
    watched.fixture.control().inject(silent.on_kind("read_ranges")).unwrap();
    assert_eq!(watched.feed.ranges().await, Ok(before));
    let options = options(watched.fixture.endpoint.endpoint());
    let unknown = CosmosFeed::open(&options, "events", fields()).await.unwrap_err();
    assert!(matches!(unknown, FeedFault::Unavailable(_)), "{unknown:?}");
    watched.fixture.control().clear_faults();
    assert_eq!(watched.feed.ranges().await.unwrap().len(), 3);
    watched.end().await;
}

#[tokio::test]
async fn it_is_known_where_a_key_is() {
    let watched = Watched::new(Mode::Lenient, 1).await;
    let mut streams = Streams::new();
    watched.append(&mut streams).await;
    let mut counts = [0, 0];
    for key in streams.keys() {
        assert_eq!(watched.feed.range_of(key).await, Ok(Some(FeedRange::full())));
        for (half, count) in halves().iter().zip(&mut counts) {
            *count += u64::from(watched.feed.has_key(half, key).await.unwrap());
        }
    }
    // Each is in one of the halves, and both have some.
    assert_eq!(counts.iter().sum::<u64>(), 16, "{counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    watched.split(0).await;
    let other = watched.other_feed().await;
    let partitions = other.ranges().await.unwrap();
    for key in streams.keys() {
        let home = watched.feed.range_of(key).await.unwrap().unwrap();
        assert!(partitions.contains(&home), "{home}");
        assert!(watched.feed.has_key(&home, key).await.unwrap());
    }
    // A document without a key has no place.
    assert_eq!(watched.feed.range_of("?id").await, Ok(None));
    watched.end().await;
}
