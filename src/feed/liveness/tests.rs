//! Hosts are taken for dead in time, and never before they know it themselves.

use proptest::prelude::*;

use super::*;

const EXPIRY_S: u64 = 9;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn sighting(incarnation: &str, etag: &str, stored_at: u64) -> Sighting {
    Sighting { incarnation: incarnation.to_owned(), etag: etag.to_owned(), stored_at }
}

#[test]
fn a_host_is_dead_when_its_document_has_not_changed_for_the_expiry() {
    let mut observer = Observer::new(s(EXPIRY_S));
    assert_eq!(observer.look(s(100), 5000, &[sighting("a", "1", 5000)]), ["a"]);
    assert_eq!(observer.look(s(105), 5005, &[sighting("a", "2", 5004)]), ["a"]);
    // The clock of the service plays no part from the second sight on.
    assert_eq!(observer.look(s(113), 1, &[sighting("a", "2", 5004)]), ["a"]);
    assert!(observer.look(s(114), 5014, &[sighting("a", "2", 5004)]).is_empty());
    assert_eq!(observer.look(s(115), 5015, &[sighting("a", "3", 5015)]), ["a"]);
    assert!(observer.alive(s(124)).is_empty());
}

#[test]
fn what_is_seen_first_has_the_age_that_the_service_knows() {
    let mut observer = Observer::new(s(EXPIRY_S));
    let alive =
        observer.look(s(100), 5000, &[sighting("old", "1", 4000), sighting("young", "1", 4999)]);
    assert_eq!(alive, ["young"]);
    // One that was removed and comes back is seen for the first time again.
    observer.look(s(101), 5001, &[]);
    assert!(observer.look(s(102), 5002, &[sighting("young", "1", 4990)]).is_empty());
    // A host whose document is stamped later than one's own is not older than that.
    assert_eq!(observer.look(s(103), 5003, &[sighting("new", "1", 5009)]), ["new"]);
}

#[test]
fn a_host_may_act_only_after_a_renewal() {
    let mut fence = Fence::new(s(7));
    assert!(!fence.holds(s(0)));
    fence.renewed(s(10));
    assert!(fence.holds(s(16)) && !fence.holds(s(17)));
    // Answers may come in another order.
    fence.renewed(s(8));
    assert_eq!((fence.left(s(12)), fence.left(s(20))), (s(5), s(0)));
}

proptest! {
    /// Whatever the clocks show and however long renewals take: as long as the fence holds, nobody
    /// takes the host for dead.
    #[test]
    fn the_fence_ends_before_the_host_is_taken_for_dead(
        skew in 0_u64..1000,
        service_skew in 0_u64..1000,
        beats in proptest::collection::vec((0_u64..5000, 0_u64..3000), 1..20),
        looks in proptest::collection::vec(0_u64..60_000, 1..20),
    ) {
        let ms = Duration::from_millis;
        let service_seconds = |at: u64| 10_000 + service_skew + at / 1000;
        // When each renewal was sent, and when the service stored it.
        let mut at = 0;
        let mut renewals = Vec::new();
        for (pause, delay) in beats {
            at += pause;
            renewals.push((at, at + delay));
            at += delay;
        }
        let mut looks = looks;
        looks.sort_unstable();
        let mut observer = Observer::new(s(EXPIRY_S));
        for look in looks {
            let mut fence = Fence::new(s(EXPIRY_S - 1));
            let mut stored = None;
            for (index, (sent, done)) in renewals.iter().enumerate() {
                if *done <= look {
                    fence.renewed(ms(*sent));
                    stored = Some((index, *done));
                }
            }
            let sightings: Vec<_> = stored
                .map(|(index, done)| sighting("a", &index.to_string(), service_seconds(done)))
                .into_iter()
                .collect();
            let alive = observer.look(ms(look + skew), service_seconds(look), &sightings);
            if fence.holds(ms(look)) {
                prop_assert_eq!(alive, ["a"]);
            }
        }
    }
}
