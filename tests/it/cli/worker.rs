//! Workers and what is said to them: one process at a time.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::program::{Place, Running, SAMPLE_EVENTS, SAMPLE_STREAMS};

/// Starts a worker that prints, and gives what it says first.
fn worker(place: &Place, more: &[&str]) -> (Running, Value) {
    let mut worker =
        place.spawn(&[&["worker", "--to", "stdout", "--output", "json"], more].concat());
    let ready = serde_json::from_str(&worker.line()).unwrap();
    (worker, ready)
}

/// The events of deliveries until there are so many.
fn events(worker: &mut Running, count: u64) -> BTreeSet<(String, u64)> {
    let mut events = BTreeSet::new();
    while (events.len() as u64) < count {
        let delivery: Value = serde_json::from_str(&worker.line()).unwrap();
        let stream = delivery["stream"].as_str().unwrap();
        for event in delivery["events"].as_array().unwrap() {
            assert_eq!(event["aggregateId"], stream);
            let number = event["sequenceNumber"].as_u64().unwrap();
            assert!(events.insert((stream.to_owned(), number)), "{stream} {number} came twice");
        }
    }
    events
}

#[test]
fn a_worker_goes_on_where_the_processor_was() {
    let place = Place::with_sample();
    let (mut first, ready) = worker(&place, &["--instance", "one"]);
    assert_eq!(ready, json!({"processor": "default", "instance": "one", "to": "stdout"}));
    let had = events(&mut first, SAMPLE_EVENTS);
    let streams: BTreeSet<&String> = had.iter().map(|(stream, _)| stream).collect();
    assert_eq!(streams.len() as u64, SAMPLE_STREAMS);
    first.interrupt();
    let ran = first.wait();
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    for range in place.json(&["lag"]).as_array().unwrap() {
        assert_eq!((&range["state"], &range["lagSeconds"]), (&json!("unowned"), &json!(0)));
        assert_eq!((&range["owner"], &range["lagTransactions"]), (&Value::Null, &json!(0)));
    }
    place.run(&["append", "new-1", "--type", "Tested", "--data", "{}"]).ok();
    let lag = place.json(&["lag"]);
    let behind = lag.as_array().unwrap().iter().map(|range| range["lagTransactions"].as_u64());
    assert_eq!(behind.sum::<Option<u64>>(), Some(1), "{lag}");
    let (mut second, _) = worker(&place, &[]);
    assert_eq!(events(&mut second, 1), [("new-1".to_owned(), 1)].into());
    second.terminate();
    let ran = second.wait();
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
}

#[test]
fn a_new_processor_may_begin_now() {
    let place = Place::with_sample();
    let mut local = place.spawn(&["local", "--port", "0", "--output", "json"]);
    local.line();
    let (mut mails, _) = worker(&place, &["--processor", "mails", "--from", "now"]);
    // It has pinned its beginning once it has a range.
    let has_owner = || {
        let ran = place.run(&["lag", "--processor", "mails", "--output", "json"]);
        ran.code == 0 && ran.json().as_array().unwrap().iter().all(|one| one["owner"].is_string())
    };
    assert!((0..1000).any(|_| has_owner()), "nobody ever had the range");
    place.run(&["append", "new-1", "--type", "Tested", "--data", "{}"]).ok();
    assert_eq!(events(&mut mails, 1), [("new-1".to_owned(), 1)].into());
    let listed = place.json(&["processors"]);
    let expected = json!([{"processor": "mails", "state": "running", "leases": 1, "workers": 1,
                           "parked": 0, "generation": 0}]);
    assert_eq!(listed, expected);
    let told = place.json(&["processors", "pause", "mails"]);
    assert_eq!(told, json!({"processor": "mails", "done": "paused"}));
    let out = place.run(&["processors"]).ok();
    assert_eq!(out, "mails  paused  1 lease  1 worker  0 parked\n");
    let lag = place.run(&["lag", "--processor", "mails"]).ok();
    assert!(lag.trim_end().ends_with("paused"), "{lag}");
    assert_eq!(place.json(&["parked", "--processor", "mails"]), json!([]));
    mails.interrupt();
    assert_eq!(mails.wait().code, 0);
}

#[test]
fn for_people_standard_output_has_nothing_but_events() {
    let place = Place::with_sample();
    let mut worker = place.spawn(&["worker", "--to", "stdout", "--instance", "one"]);
    worker.wait_for("processor  default   instance one");
    worker.wait_for("Ctrl-C");
    events(&mut worker, SAMPLE_EVENTS);
    worker.interrupt();
    assert_eq!(worker.wait().code, 0);
}

#[test]
fn a_worker_counts_and_says_at_the_end_how_much() {
    let place = Place::with_sample();
    // Its store is its own, and it is done when nothing is left: others look while it runs.
    let mut local = place.spawn(&["local", "--port", "0", "--output", "json"]);
    local.line();
    let caught_up = || {
        let ran = place.run(&["lag", "--output", "json"]);
        ran.code == 0 && ran.json().as_array().unwrap().iter().all(|one| one["lagSeconds"] == 0)
    };
    let mut for_people = place.spawn(&["worker", "--to", "count", "--instance", "one"]);
    assert_eq!(for_people.line(), "  processor  default   instance one\n");
    assert_eq!(for_people.line(), "  to         count\n");
    assert_eq!(for_people.line(), "  working - Ctrl-C stops cleanly\n");
    assert!((0..1000).any(|_| caught_up()), "it never catches up");
    for_people.interrupt();
    let ran = for_people.wait();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, "handled 330 events of 40 streams\n");
    let mut for_programs = place.spawn(&["worker", "--to", "count", "--output", "json"]);
    for_programs.line();
    for_programs.interrupt();
    assert_eq!(for_programs.wait().json(), json!({"events": 0, "streams": 0}));
}

#[test]
fn workers_of_one_processor_do_the_same() {
    let place = Place::with_sample();
    let (mut first, _) = worker(&place, &[]);
    events(&mut first, SAMPLE_EVENTS);
    let refused = "the processor \"default\" does \"stdout\", this worker \"count\": choose another \
                   --processor";
    place.run(&["worker", "--to", "count"]).failed(2, refused);
    first.interrupt();
    assert_eq!(first.wait().code, 0);
    place.run(&["worker", "--to", "http://127.0.0.1:1/"]).failed(2, "\"url\"");
}

#[test]
fn a_worker_whose_output_nobody_reads_ends() {
    let place = Place::with_sample();
    let mut child = place
        .command(&["worker", "--to", "stdout"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // What was not printed comes again, and nothing was parked for it.
    let (mut again, _) = self::worker(&place, &[]);
    events(&mut again, SAMPLE_EVENTS);
    again.interrupt();
    assert_eq!(again.wait().code, 0);
    assert_eq!(place.json(&["parked"]), json!([]));
}

#[test]
fn a_watch_looks_again_until_ctrl_c() {
    let place = Place::with_sample();
    let (mut worker, _) = worker(&place, &[]);
    events(&mut worker, SAMPLE_EVENTS);
    let mut watch = place.spawn(&["lag", "--watch"]);
    for _ in 0..2 {
        assert!(watch.line().contains("epoch 1"));
    }
    watch.interrupt();
    let ran = watch.wait();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn a_watch_waits_for_the_processor_and_for_the_store() {
    let place = Place::with_sample();
    let start = || {
        let mut local = place.spawn(&["local", "--port", "0", "--output", "json"]);
        local.line();
        local
    };
    let mut local = start();
    let mut watch = place.spawn(&["lag", "--watch", "--output", "json"]);
    watch.wait_for("waiting: there is no such processor");
    let mut worker = place.spawn(&["worker", "--to", "count", "--instance", "one"]);
    let until = |is_so: fn(&Value) -> bool, watch: &mut Running| {
        let found = |watch: &mut Running| -> Value { serde_json::from_str(&watch.line()).unwrap() };
        assert!((0..1000).any(|_| is_so(&found(watch)[0])), "the watch never shows it");
    };
    until(|range| range["owner"] == "one" && range["state"] == "idle", &mut watch);
    worker.kill();
    local.kill();
    watch.wait_for("waiting: ");
    // At another port, and nobody works any more.
    let _again = start();
    place.run(&["append", "new-1", "--type", "Tested", "--data", "{}"]).ok();
    until(|range| range["lagTransactions"] == 1, &mut watch);
    watch.interrupt();
    assert_eq!(watch.wait().code, 0);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_done() {
    let place = Place::new();
    let not_json = format!("@{}", place.file("text", "quote-7"));
    let other_json = format!("@{}", place.file("other.json", "[{\"range\": \"-FF\"}]"));
    for (args, text) in [
        (&["worker", "--instance", ""][..], "name of an instance"),
        (&["worker", "--processor", "a"], "every read model has a processor of its own"),
        (&["worker", "--from", "now"], "every read model has a processor of its own"),
        (&["processors", "pause"], "name the processor"),
        (&["processors", "rewind", "a"], "needs --to"),
        (&["parked", "discard"], "name the stream"),
        (&["parked", "discard", "a"], "needs --reason"),
        (&["parked", "discard", "a", "--reason", "r"], "--yes"),
        (&["parked", "redrive"], "name the stream"),
        (&["parked", "redrive", "a", "--from", "2"], "--yes"),
        (&["parked", "redrive", "a", "--all"], "--all"),
        (&["parked", "list", "--reason", "r"], "--reason is for discard"),
        (&["processors", "snapshot"], "name the processor"),
        (&["processors", "rewind", "a", "--to", "@/none.json"], "/none.json cannot be read: "),
        (&["processors", "rewind", "a", "--to", &not_json], "is no snapshot of a processor: "),
        (&["processors", "rewind", "a", "--to", &other_json], "is no snapshot of a processor: "),
        (&["lag"], "there is no data folder"),
    ] {
        place.run(args).failed(2, text);
    }
    let wrong_url = place.run(&["worker", "--to", "http://user:pass@127.0.0.1:1/"]);
    assert_eq!(wrong_url.code, 2, "{wrong_url:?}");
    let none = place.run(&["worker", "--to", "none"]);
    assert!(none.code == 2 && none.err.contains("none is for `cosmos-es serve`"), "{none:?}");
    assert!(!place.data_dir().exists());
    let place = Place::with_sample();
    for args in [
        &["lag"][..],
        &["parked"],
        &["parked", "discarded"],
        &["parked", "discard", "a", "--reason", "r", "--yes"],
        &["parked", "redrive", "a"],
        &["parked", "redrive", "--all"],
        &["processors", "snapshot", "a"],
        &["processors", "pause", "a"],
        &["processors", "rewind", "a", "--to", "beginning"],
    ] {
        place.run(args).failed(1, "there is no such processor (`cosmos-es processors` lists them");
    }
    let wordless = ["parked", "discard", "a", "--reason", "", "--yes"];
    place.run(&wordless).failed(2, "a reason has 1 to ");
    assert_eq!(place.json(&["processors"]), json!([]));
}
