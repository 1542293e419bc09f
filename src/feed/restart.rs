//! Where a lease goes on when its own place cannot be used: after a rewind, a merge of partitions, or when
//! its document was lost.
//!
//! It is always early enough: what was not handled comes, and some that was comes again.

use super::{
    FeedRange,
    documents::{Lease, Position, Rewind, Saved, SavedPosition, Start, Topology},
    options::RESTART_MARGIN,
};

/// Where a range goes on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Goal {
    /// The place.
    pub position: Position,
    /// When the last change before it was stored, in seconds, where that is known.
    pub done_at: Option<u64>,
}

/// The time of the last change that is done, less a margin: for a range in which the place itself cannot
/// be used.
pub fn by_time(position: &Position, done_at: Option<u64>) -> Position {
    match (position, done_at) {
        (Position::Beginning, _) | (Position::Continuation(_), None) => Position::Beginning,
        (Position::Time(seconds), None) => Position::Time(*seconds),
        (_, Some(done_at)) => before(done_at),
    }
}

/// A time, less the margin. Before the first second there is nothing to leave out.
fn before(seconds: u64) -> Position {
    let margin = RESTART_MARGIN.as_secs();
    match seconds.checked_sub(margin).and_then(|seconds| i64::try_from(seconds).ok()) {
        Some(seconds) if seconds > 0 => Position::Time(seconds),
        _ => Position::Beginning,
    }
}

/// One place for a range in which several leases were: the earliest of their times.
pub fn earliest<'a>(leases: impl IntoIterator<Item = &'a Lease>) -> Position {
    let places = leases.into_iter().map(|lease| by_time(&lease.position, lease.done_at));
    places.min_by_key(in_time).unwrap_or(Position::Beginning)
}

fn in_time(position: &Position) -> i64 {
    match position {
        Position::Time(seconds) => *seconds,
        Position::Beginning | Position::Continuation(_) => i64::MIN,
    }
}

/// Where whoever takes a lease next goes on: at its own place, unless it was rewound or spoiled since.
pub fn next_place(topology: &Topology, saved: Option<&Saved>, lease: &Lease) -> Goal {
    let goal = if lease.is_damaged {
        lost(topology, saved, &lease.range)
    } else if lease.generation < topology.generation {
        rewound(topology, saved, &lease.range)
    } else {
        None
    };
    goal.unwrap_or_else(|| Goal { position: lease.position.clone(), done_at: lease.done_at })
}

/// Where the last rewind sends a range; nothing before the first rewind, and where the saved positions are
/// not those of that rewind.
pub fn rewound(topology: &Topology, saved: Option<&Saved>, range: &FeedRange) -> Option<Goal> {
    let goal = |position| Some(Goal { position, done_at: None });
    match topology.rewind? {
        Rewind::Beginning => goal(Position::Beginning),
        Rewind::Time(seconds) => goal(Position::Time(seconds)),
        Rewind::Saved => {
            let saved = saved.filter(|saved| saved.generation == topology.generation)?;
            Some(in_saved(&saved.positions, range))
        }
    }
}

/// Where a range goes on whose lease was lost: where it was sent last.
///
/// "Now" is when the processor was made: a later one would leave out what was stored in between.
pub fn lost(topology: &Topology, saved: Option<&Saved>, range: &FeedRange) -> Option<Goal> {
    if topology.rewind.is_some() {
        return rewound(topology, saved, range);
    }
    let position = match topology.start {
        Start::Beginning => Position::Beginning,
        Start::Time(seconds) => Position::Time(seconds),
        Start::Now => before(topology.made_at),
    };
    Some(Goal { position, done_at: None })
}

/// The place of a range among saved ones. Partitions may have changed since: a part goes on where the
/// whole was, and a whole at the earliest time of its parts.
fn in_saved(positions: &[SavedPosition], range: &FeedRange) -> Goal {
    if let Some(whole) = positions.iter().find(|saved| saved.range.contains(range)) {
        return Goal { position: whole.position.clone(), done_at: whole.done_at };
    }
    let mut parts: Vec<&SavedPosition> =
        positions.iter().filter(|saved| saved.range.overlaps(range)).collect();
    parts.sort_by(|one, other| one.range.cmp(&other.range));
    let mut end = range.begin();
    for part in &parts {
        if part.range.begin() > end {
            break;
        }
        end = end.max(part.range.end());
    }
    let beginning = Goal { position: Position::Beginning, done_at: None };
    if end < range.end() {
        return beginning;
    }
    let times = parts.iter().map(|part| by_time(&part.position, part.done_at));
    let earliest = times.min_by_key(in_time);
    earliest.map_or(beginning, |position| Goal { position, done_at: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::documents::Activity;

    fn topology(start: Start, rewind: Option<Rewind>) -> Topology {
        Topology {
            start,
            made_at: 10_000,
            generation: 3,
            rewind,
            activity: Activity::Running,
            members: Vec::new(),
            handler: None,
        }
    }

    fn range(begin: &str, end: &str) -> FeedRange {
        FeedRange::new(begin, end).unwrap()
    }

    fn saved(begin: &str, end: &str, place: &str, done_at: Option<u64>) -> SavedPosition {
        let position = Position::Continuation(place.to_owned());
        SavedPosition { range: range(begin, end), position, done_at }
    }

    #[test]
    fn a_lost_lease_goes_on_where_it_was_sent_last() {
        let place = |start, rewind| {
            lost(&topology(start, rewind), None, &FeedRange::full()).map(|goal| goal.position)
        };
        assert_eq!(place(Start::Beginning, None), Some(Position::Beginning));
        assert_eq!(place(Start::Time(7), None), Some(Position::Time(7)));
        assert_eq!(place(Start::Now, None), Some(Position::Time(9_940)));
        assert_eq!(place(Start::Now, Some(Rewind::Beginning)), Some(Position::Beginning));
        assert_eq!(place(Start::Beginning, Some(Rewind::Time(7))), Some(Position::Time(7)));
        // Without the positions it is not known, and nothing is guessed.
        assert_eq!(place(Start::Beginning, Some(Rewind::Saved)), None);
    }

    #[test]
    fn saved_positions_fit_other_partitions() {
        let positions = vec![
            saved("", "40", "a", Some(5_000)),
            saved("40", "80", "b", Some(4_000)),
            saved("80", "FF", "c", None),
        ];
        let rewound = |begin, end| {
            let topology = topology(Start::Now, Some(Rewind::Saved));
            let saved = Saved { generation: 3, positions: positions.clone() };
            rewound(&topology, Some(&saved), &range(begin, end)).unwrap().position
        };
        assert_eq!(rewound("", "40"), Position::Continuation("a".to_owned()));
        assert_eq!(rewound("50", "60"), Position::Continuation("b".to_owned()));
        assert_eq!(rewound("", "80"), Position::Time(3_940));
        // Of one of them no time is known.
        assert_eq!(rewound("40", "FF"), Position::Beginning);
    }

    #[test]
    fn saved_positions_with_a_gap_are_not_trusted() {
        let positions =
            vec![saved("", "40", "a", Some(5_000)), saved("50", "FF", "c", Some(6_000))];
        assert_eq!(in_saved(&positions, &FeedRange::full()).position, Position::Beginning);
        assert_eq!(in_saved(&positions, &range("40", "50")).position, Position::Beginning);
    }

    #[test]
    fn saved_positions_of_another_rewind_are_not_taken() {
        let topology = topology(Start::Now, Some(Rewind::Saved));
        let saved = Saved { generation: 2, positions: vec![saved("", "FF", "a", None)] };
        assert_eq!(rewound(&topology, Some(&saved), &FeedRange::full()), None);
    }
}
