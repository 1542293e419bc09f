//! Streams that a receiver refuses.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    desk::{Desk, stop},
    procedure::Procedure,
};
use crate::feed::processes::receiver::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_stream_is_understood_tried_again_and_given_up() {
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let receiver = Receiver::start(move |stream, _| {
        let is_refused = ["s-2", "s-3"].contains(&stream) && !mended.load(Ordering::SeqCst);
        if is_refused { 422 } else { 200 }
    });
    let desk = Desk::new().await;
    let worker = desk.worker("a", &receiver.url());
    desk.import(4, 1..=3, 0);
    receiver.wait(|taken| taken.without(&["s-2", "s-3"]).is_complete_of(2, 3)).await;
    let are_parked = |count: usize| {
        move |parked: &serde_json::Value| {
            let parked = parked.as_array().unwrap();
            parked.len() == count && parked.iter().all(|one| one["redrive"] == false)
        }
    };
    desk.until(&["parked"], are_parked(2)).await;
    // What was stored in the very second of a discard would still be handled.
    desk.endpoint.control().advance_clock(2);
    let mut procedure = Procedure::of("See, understand, try again, give up");
    procedure.run(&desk.place, "parked").await;
    procedure.run(&desk.place, "read s-2").await;
    procedure.run(&desk.place, "parked discard s-3").await;
    desk.until(&["parked"], are_parked(1)).await;
    is_mended.store(true, Ordering::SeqCst);
    procedure.run(&desk.place, "parked redrive s-2").await;
    desk.until(&["parked"], are_parked(0)).await;
    procedure.run(&desk.place, "parked discarded").await;
    procedure.run(&desk.place, "parked redrive --all").await;
    procedure.run(&desk.place, "parked").await;
    procedure.end();
    // What waited comes in order, what was given up does not, and both are streams as any other again.
    desk.import(4, 4..=4, 0);
    desk.until_done_by(&["a"]).await;
    receiver.wait(|taken| taken.of("s-3") == [4] && taken.of("s-2") == [1, 2, 3, 4]).await;
    stop(worker);
}
