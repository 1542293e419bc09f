//! Streams that a receiver refuses: parked, given up, tried again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use super::{fleet::Fleet, ledger::Ledger, receiver::Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_refused_is_parked_and_the_others_go_on() {
    let receiver = Receiver::start(|stream, attempt| match (stream, attempt) {
        ("s-7", _) => 422,
        ("s-8", 1 | 2) => 503,
        _ => 200,
    });
    let mut fleet = Fleet::start(4).await;
    fleet.join_posting("a", &receiver.url());
    fleet.join_posting("b", &receiver.url());
    fleet.import(40, 1..=3).done();
    let others = |posts: &Ledger| posts.without(&["s-7"]).is_complete_of(39, 3);
    receiver.wait(others).await;
    let parked = &fleet.wait_parked(&["s-7"]).await[0];
    assert_eq!(parked["stream"], "s-7");
    assert_eq!(parked["event"], 1);
    assert_eq!(parked["reason"], "the receiver answered 422");
    assert_eq!(parked["attempts"], 1);
    // What comes later waits behind it.
    fleet.import(40, 4..=5).done();
    receiver.wait(|posts: &Ledger| posts.without(&["s-7"]).is_complete_of(39, 5)).await;
    assert!(receiver.attempts("s-7").iter().all(|(_, last)| *last <= 3));
    assert_eq!(receiver.keys("s-8").iter().filter(|key| *key == "s-8-1-3").count(), 3);
    // What was stored in the second of the command would still be handled.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let told = fleet.json(&["parked", "discard", "s-7", "--reason", "it is of no use", "--yes"]);
    assert_eq!(told, json!({"stream": "s-7", "done": "is given up"}));
    fleet.wait_parked(&[]).await;
    let discarded = &fleet.json(&["parked", "discarded"])[0];
    assert_eq!((&discarded["stream"], &discarded["event"]), (&json!("s-7"), &json!(1)));
    assert_eq!(discarded["parked"], "the receiver answered 422");
    assert_eq!(discarded["reason"], "it is of no use");
    // What comes is handled again, and that is refused again; what waited is not.
    fleet.import(40, 6..=6).done();
    let parked = &fleet.wait_parked(&["s-7"]).await[0];
    assert_eq!(parked["event"], 6);
    assert_eq!(receiver.attempts("s-7").last(), Some(&(6, 6)));
}

/// The streams that a receiver refuses until it is mended.
const REFUSED: [&str; 3] = ["s-11", "s-7", "s-9"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_were_parked_come_whole_when_they_are_tried_again() {
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let receiver = Receiver::start(move |stream, _| {
        let is_refused = REFUSED.contains(&stream) && !mended.load(Ordering::SeqCst);
        if is_refused { 422 } else { 200 }
    });
    let mut fleet = Fleet::start(4).await;
    fleet.join_posting("a", &receiver.url());
    fleet.join_posting("b", &receiver.url());
    fleet.import(40, 1..=3).done();
    fleet.wait_parked(&REFUSED).await;
    fleet.import(40, 4..=5).done();
    receiver.wait(|posts: &Ledger| posts.without(&REFUSED).is_complete_of(37, 5)).await;
    // Too early: it is refused and parked again, and nothing of it is passed over.
    let tries = receiver.attempts("s-7").len();
    fleet.run(&["parked", "redrive", "s-7"]);
    receiver.wait_attempts("s-7", tries + 1).await;
    let parked = fleet.wait_parked(&REFUSED).await;
    assert_eq!((&parked[1]["event"], &parked[1]["redrive"]), (&json!(1), &json!(false)));
    fleet.fails(&["parked", "redrive", "s-7", "--from", "0", "--yes"], "is parked at event 1");
    fleet.fails(&["parked", "redrive", "s-8"], "the stream is not parked");
    fleet
        .fails(&["parked", "discard", "s-8", "--reason", "r", "--yes"], "the stream is not parked");
    is_mended.store(true, Ordering::SeqCst);
    assert_eq!(fleet.run(&["parked", "redrive", "s-7"]), "s-7: is tried again\n");
    fleet.wait_parked(&["s-11", "s-9"]).await;
    assert_eq!(receiver.taken("s-7"), [1, 2, 3, 4, 5]);
    // It is a stream as any other again.
    fleet.import(40, 6..=7).done();
    let others = ["s-11", "s-9"];
    receiver.wait(|posts: &Ledger| posts.without(&others).is_complete_of(38, 7)).await;
    assert_eq!(receiver.taken("s-7"), [1, 2, 3, 4, 5, 6, 7]);
    for stream in others {
        assert_eq!(receiver.taken(stream), [0; 0], "{stream}");
    }
    let told = fleet.run(&["parked", "redrive", "--all"]);
    assert_eq!(told, "s-11: is tried again\ns-9: is tried again\n");
    fleet.wait_parked(&[]).await;
    fleet.import(40, 8..=8).done();
    receiver.wait(|posts: &Ledger| posts.is_complete_of(40, 8)).await;
    receiver.all_taken().check_exactly(&[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(fleet.run(&["parked"]), "");
    assert_eq!(fleet.json(&["parked", "discarded"]), json!([]));
}
