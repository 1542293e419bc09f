//! A checkpoint is never ahead of what is done.

use proptest::prelude::*;

use super::*;

fn ordinal(progress: &Progress) -> u64 {
    progress.checkpoint().map_or(0, |checkpoint| checkpoint.ordinal)
}

#[test]
fn the_checkpoint_follows_the_oldest_open_page() {
    let mut progress = Progress::new();
    assert!(progress.is_done() && progress.checkpoint().is_none());
    let first = progress.read(2, "a".to_owned(), Some(10..=10));
    let second = progress.read(1, "b".to_owned(), Some(11..=12));
    progress.finished(second);
    progress.finished(first);
    assert_eq!((ordinal(&progress), progress.open_pages()), (0, 2));
    assert_eq!(progress.oldest(), Some(10));
    progress.finished(first);
    let checkpoint = progress.checkpoint().unwrap();
    assert_eq!((checkpoint.continuation.as_str(), checkpoint.stored_at), ("b", Some(12)));
    assert!(progress.is_done() && progress.oldest().is_none());
}

#[test]
fn an_empty_page_moves_the_place_and_not_the_time() {
    let mut progress = Progress::new();
    progress.read(0, "a".to_owned(), None);
    assert_eq!(progress.checkpoint().unwrap().stored_at, None);
    let page = progress.read(1, "b".to_owned(), Some(10..=10));
    progress.read(0, "c".to_owned(), None);
    assert_eq!(ordinal(&progress), 1);
    progress.finished(page);
    let checkpoint = progress.checkpoint().unwrap();
    assert_eq!((checkpoint.continuation.as_str(), checkpoint.stored_at), ("c", Some(10)));
    // A clock of the service that goes back does not move the time back.
    let page = progress.read(1, "d".to_owned(), Some(9..=9));
    progress.finished(page);
    assert_eq!(progress.checkpoint().unwrap().stored_at, Some(10));
}

proptest! {
    #[test]
    fn no_checkpoint_is_ahead_of_what_is_done(
        steps in proptest::collection::vec((any::<bool>(), 0..4_usize, any::<prop::sample::Index>()), 1..80),
    ) {
        let mut progress = Progress::new();
        // The open parts of each page, from the first.
        let mut open: Vec<usize> = Vec::new();
        let mut newest = 0;
        let number = |count: usize| u64::try_from(count).unwrap();
        for (is_read, parts, pick) in steps {
            if is_read {
                prop_assert_eq!(progress.read(parts, String::new(), None), number(open.len()) + 1);
                open.push(parts);
            } else {
                let left: Vec<usize> = (0..open.len()).filter(|page| open[*page] > 0).collect();
                if left.is_empty() {
                    continue;
                }
                let page = left[pick.index(left.len())];
                open[page] -= 1;
                progress.finished(number(page) + 1);
            }
            let done = number(open.iter().take_while(|open| **open == 0).count());
            prop_assert_eq!(ordinal(&progress), done);
            prop_assert!(ordinal(&progress) >= newest);
            newest = ordinal(&progress);
            prop_assert_eq!(number(progress.open_pages()), number(open.len()) - done);
        }
    }
}
