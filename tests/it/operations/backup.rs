//! Back-ups, and what comes after one was put back.

use std::collections::BTreeSet;

use cosmos_event_store::store::{BadContinuation, ChangesFrom, ReadError};
use serde_json::{Value, json};

use super::{
    desk::{Desk, stop},
    procedure::Procedure,
};
use crate::{
    cli::program::{Place, SAMPLE_EVENTS},
    feed::processes::receiver::Receiver,
};

/// What an export has of each event, without what is of the copy itself.
fn exported(place: &Place) -> BTreeSet<String> {
    let mut events = BTreeSet::new();
    for mut event in place.run(&["export"]).json_lines() {
        event.as_object_mut().unwrap().remove("recordedAt");
        assert!(events.insert(event.to_string()), "twice: {event}");
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_a_back_up_and_its_import_may_be_cut_off() {
    let place = Place::with_sample();
    let mut procedure = Procedure::of("A log as a back-up");
    procedure.run(&place, "export --file backup.jsonl.gz").await;
    let copy = Place::new();
    std::fs::copy(place.path("backup.jsonl.gz"), copy.path("backup.jsonl.gz")).unwrap();
    // What an import leaves that was cut off: some streams, commits whole.
    let log = place.run(&["export"]).out;
    let is_of_few = |line: &&str| line.contains("\"aggregateId\":\"quote-1");
    let part: String = log.lines().filter(is_of_few).flat_map(|line| [line, "\n"]).collect();
    copy.run(&["import", &copy.file("part.jsonl", &part)]).ok();
    procedure.run(&copy, "import backup.jsonl.gz").await;
    procedure.run(&copy, "import backup.jsonl.gz").await;
    procedure.run(&copy, "stats").await;
    procedure.end();
    let original = exported(&place);
    assert_eq!(original.len() as u64, SAMPLE_EVENTS);
    assert!(exported(&copy) == original, "the copy has other events");
}

/// Puts the events back as they were when `backup.jsonl` was written, as a restore does: into a container
/// that has the name of the former and nothing else of it.
async fn restore(desk: &Desk) {
    desk.delete_container("events").await;
    desk.place.run(&["provision"]).ok();
    desk.place.run(&["import", &desk.place.path("backup.jsonl")]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_read_models_are_built_anew_and_receivers_get_everything() {
    let receiver = Receiver::start(|_, _| 200);
    let desk = Desk::new().await;
    desk.import(5, 1..=3, 0);
    let (views, mails) = (desk.worker("views", "views"), desk.worker("mails", &receiver.url()));
    desk.place.run(&["export", "--file", &desk.place.path("backup.jsonl")]).ok();
    // What the back-up does not have, and everybody has seen.
    desk.import(5, 4..=4, 0);
    desk.until_views_are_done().await;
    desk.until_done_by(&["mails"]).await;
    let mut procedure = Procedure::of("After a restore");
    stop(views);
    stop(mails);
    desk.delete_container("leases").await;
    desk.delete_container("read-models").await;
    restore(&desk).await;
    procedure.run(&desk.place, "provision").await;
    procedure.run(&desk.place, "doctor").await;
    procedure.run(&desk.place, "stats").await;
    let (views, mails) = (desk.worker("views", "views"), desk.worker("mails", &receiver.url()));
    desk.until_views_are_done().await;
    procedure.run(&desk.place, "projections verify --all").await;
    desk.until_done_by(&["mails"]).await;
    procedure.run(&desk.place, "lag").await;
    procedure.run(&desk.place, "parked").await;
    procedure.end();
    receiver.all_taken().check_exactly(&[1, 2, 3, 4, 1, 2, 3]);
    // The number goes to another event now, under the key that the receiver knows already.
    desk.import(5, 4..=4, 1);
    receiver.wait(|taken| taken.is_complete(5, 4, 2)).await;
    let keys = receiver.keys("s-1");
    assert_eq!(keys.iter().filter(|key| *key == "s-1-4-4").count(), 2, "{keys:?}");
    stop(views);
    stop(mails);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_of_the_former_container_are_refused_and_pass_nothing_over() {
    let receiver = Receiver::start(|_, _| 200);
    let desk = Desk::new().await;
    desk.import(5, 1..=3, 0);
    desk.place.run(&["export", "--file", &desk.place.path("backup.jsonl")]).ok();
    desk.import(5, 4..=9, 0);
    let mails = desk.worker("mails", &receiver.url());
    desk.until_done_by(&["mails"]).await;
    stop(mails);
    let store = desk.store().await;
    let mut changes = store.changes(ChangesFrom::Beginning).await.unwrap();
    let token = changes.next_page().await.unwrap().continuation();
    let snapshot = desk.place.run(&["processors", "snapshot", "default"]).ok();
    restore(&desk).await;
    // The lag is not known, and nobody says that it is none.
    let lag = desk.place.json(&["lag"]);
    assert_eq!((&lag[0]["lagSeconds"], &lag[0]["lagTransactions"]), (&Value::Null, &Value::Null));
    // Tokens of `GET /feed` name an event that the container does not have as it was.
    let refused = desk.store().await.changes(ChangesFrom::Continuation(token)).await;
    assert!(
        matches!(refused, Err(ReadError::Continuation(BadContinuation::Elsewhere))),
        "{refused:?}"
    );
    let mut mails = desk.worker("mails", &receiver.url());
    mails.wait_for("the place of a lease cannot be used, it restarts by time");
    desk.import(5, 4..=4, 1);
    desk.until_done_by(&["mails"]).await;
    // It went on a minute before what it had done last. What a back-up brings is stored later than that.
    receiver.wait(|taken| taken.of("s-1") == [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4]).await;
    // Saved positions of the former container do no better and no worse.
    let saved = format!("@{}", desk.place.file("saved.json", &snapshot));
    desk.place.run(&["processors", "rewind", "default", "--to", &saved]).ok();
    mails.wait_for("the place of a lease cannot be used, it restarts by time");
    receiver.wait(|taken| taken.of("s-1").len() == 17).await;
    assert_eq!(receiver.taken("s-1")[13..], [1, 2, 3, 4]);
    stop(mails);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_that_were_kept_are_found_wrong() {
    let desk = Desk::new().await;
    desk.import(5, 1..=3, 0);
    desk.place.run(&["export", "--file", &desk.place.path("backup.jsonl")]).ok();
    desk.import(5, 4..=4, 0);
    let views = desk.worker("views", "views");
    desk.until_views_are_done().await;
    stop(views);
    restore(&desk).await;
    let views = desk.worker("views", "views");
    // One stream goes on, otherwise than it did; of the others nothing comes.
    desk.import(1, 4..=4, 1);
    let parked = ["parked", "--processor", "stream-summary@1"];
    desk.until(&parked, |parked| {
        parked.as_array().unwrap().iter().any(|one| one["stream"] == "s-1")
    })
    .await;
    let mut procedure = Procedure::of("Read models that were kept");
    procedure.run(&desk.place, "projections verify stream-summary").await;
    procedure.run(&desk.place, "parked --processor stream-summary@1").await;
    procedure.run(&desk.place, "projections rebuild stream-summary").await;
    procedure.run(&desk.place, "projections verify stream-summary").await;
    procedure.end();
    let listed = desk.place.json(&["projections", "list"]);
    let live = listed.as_array().unwrap().iter();
    let live = live.filter(|one| one["projection"] == "stream-summary" && one["state"] == "live");
    let live: Vec<&Value> = live.map(|one| &one["version"]).collect();
    assert_eq!(live, [&json!(2)]);
    stop(views);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_gets_everything_again_and_goes_back_to_where_it_was() {
    let receiver = Receiver::start(|_, _| 200);
    let desk = Desk::new().await;
    desk.import(5, 1..=3, 0);
    let mails = desk.worker("mails", &receiver.url());
    desk.until_done_by(&["mails"]).await;
    let mut procedure = Procedure::of("Let receivers have events again");
    procedure.run(&desk.place, "processors snapshot default").await;
    desk.import(5, 4..=4, 0);
    receiver.wait(|taken| taken.is_complete_of(5, 4)).await;
    procedure.run(&desk.place, "processors rewind default --to beginning").await;
    receiver.wait(|taken| taken.is_complete(5, 4, 2)).await;
    desk.until_done_by(&["mails"]).await;
    procedure.run(&desk.place, "lag").await;
    procedure.run(&desk.place, "processors rewind default --to @before.json").await;
    procedure.end();
    // Only what came behind the place that was kept.
    receiver.wait(|taken| (1..=5).all(|s| taken.of(&format!("s-{s}")).len() == 9)).await;
    receiver.all_taken().check_exactly(&[1, 2, 3, 4, 1, 2, 3, 4, 4]);
    stop(mails);
}
