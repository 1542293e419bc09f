//! The worker inside of `serve`, and others beside it: real processes.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::program::{Place, Running, SAMPLE, SAMPLE_EVENTS};

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at what only can be asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Starts the service, and gives what it says first.
fn serve(place: &Place, more: &[&str]) -> (Running, Value) {
    let start = ["serve", "--listen", "127.0.0.1:0", "--store-port", "0", "--output", "json"];
    let mut serve = place.spawn(&[&start, more].concat());
    let ready = serde_json::from_str(&serve.line()).unwrap();
    (serve, ready)
}

/// Waits until something holds of the ranges.
async fn until(place: &Place, what: &str, is_so: impl Fn(&[Value]) -> bool) {
    let seen = std::cell::RefCell::new(None);
    let looking = async {
        loop {
            let ran = place.run(&["lag", "--output", "json"]);
            // Before the first worker has made it, there is no processor.
            let ranges = if ran.code == 0 { ran.json() } else { json!([]) };
            let ranges = ranges.as_array().unwrap();
            if !ranges.is_empty() && is_so(ranges) {
                return;
            }
            seen.replace(Some(ran));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let looked = tokio::time::timeout(PATIENCE, looking).await;
    assert!(looked.is_ok(), "never: {what}: {:?}", seen.borrow());
}

fn owners(ranges: &[Value]) -> BTreeSet<&str> {
    ranges.iter().map(|range| range["owner"].as_str().unwrap_or_default()).collect()
}

fn is_done(ranges: &[Value]) -> bool {
    let is_idle = |range: &Value| range["state"] == "idle" && range["lagSeconds"] == 0;
    ranges.iter().all(is_idle) && ranges.iter().all(|range| range["lagTransactions"] == 0)
}

async fn status(ready: &Value, path: &str) -> u16 {
    let url = format!("{}{path}", ready["http"].as_str().unwrap());
    reqwest::get(url).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn local_serve_and_a_second_worker_share_the_leases() {
    let place = Place::new();
    let mut local = place.spawn(&["local", "--port", "0", "--partitions", "4", "--output", "json"]);
    local.line();
    let (serve, ready) = serve(&place, &["--worker-to", "count", "--instance", "inside"]);
    let worker = json!({"processor": "default", "instance": "inside", "to": "count"});
    assert_eq!(ready["worker"], worker);
    until(&place, "the service has all ranges", |ranges| owners(ranges) == ["inside"].into()).await;
    let mut second =
        place.spawn(&["worker", "--to", "count", "--instance", "beside", "--output", "json"]);
    second.line();
    until(&place, "both have ranges", |ranges| owners(ranges) == ["beside", "inside"].into()).await;
    place.run(&["import", SAMPLE]).ok();
    until(&place, "all is handled", is_done).await;
    let both = place.json(&["lag"]);
    assert_eq!(owners(both.as_array().unwrap()), ["beside", "inside"].into());
    serve.interrupt();
    let ran = serve.wait();
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    until(&place, "the worker has all ranges", |ranges| {
        owners(ranges) == ["beside"].into() && is_done(ranges)
    })
    .await;
    second.interrupt();
    let counted = second.wait().json();
    let events = counted["events"].as_u64().unwrap();
    assert!(0 < events && events < SAMPLE_EVENTS, "{counted}");
}

#[tokio::test]
async fn a_service_that_is_started_again_goes_on() {
    let place = Place::with_sample();
    let (mut first, _) = serve(&place, &["--worker-to", "count", "--instance", "first"]);
    until(&place, "all is handled", is_done).await;
    first.kill();
    // What is gone for good has left its lease behind.
    let (second, _) = serve(&place, &["--worker-to", "count", "--instance", "second", "-v"]);
    until(&place, "the second one has it", |ranges| owners(ranges) == ["second"].into()).await;
    place.run(&["append", "new-1", "--type", "Tested", "--data", "{}"]).ok();
    until(&place, "the new event is handled", is_done).await;
    second.terminate();
    let ran = second.wait();
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("the worker has stopped events=1 streams=1"), "{}", ran.err);
    for range in place.json(&["lag"]).as_array().unwrap() {
        assert_eq!((&range["state"], &range["lagTransactions"]), (&json!("unowned"), &json!(0)));
    }
}

#[tokio::test]
async fn a_service_whose_worker_may_not_join_goes_on_without() {
    let place = Place::with_sample();
    let mut printing = place.spawn(&["worker", "--to", "stdout", "--output", "json"]);
    printing.line();
    printing.line();
    printing.interrupt();
    assert_eq!(printing.wait().code, 0);
    let (mut serve_1, ready) = serve(&place, &["--worker-to", "count"]);
    serve_1.wait_for("the service goes on without a worker");
    assert_eq!(status(&ready, "/readyz").await, 200);
    let lag = place.json(&["lag"]);
    assert_eq!(owners(lag.as_array().unwrap()), [""].into(), "{lag}");
    serve_1.interrupt();
    assert_eq!(serve_1.wait().code, 0);
    // A processor of its own is the way out.
    let (serve_2, _) = serve(&place, &["--worker-to", "count", "--processor", "counting"]);
    let is_done = || {
        let ran = place.run(&["lag", "--processor", "counting", "--output", "json"]);
        ran.code == 0 && is_done(ran.json().as_array().unwrap())
    };
    assert!((0..1000).any(|_| is_done()), "it never catches up");
    serve_2.interrupt();
    assert_eq!(serve_2.wait().code, 0);
}

#[tokio::test]
async fn a_service_may_have_no_worker() {
    let place = Place::new();
    let (serve, ready) = serve(&place, &["--worker-to", "none"]);
    assert_eq!(ready.get("worker"), None);
    assert_eq!(status(&ready, "/readyz").await, 200);
    serve.interrupt();
    let ran = serve.wait();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(place.json(&["processors"]), json!([]));
}

#[test]
fn a_worker_that_cannot_be_is_refused_before_anything_is_done() {
    let place = Place::new();
    for (args, text) in [
        (&["--worker-to", "stdout"][..], "what serve says goes to standard output"),
        (&["--worker-to", "somewhere"], "expected views, count, none, or an http(s) URL"),
        (&["--processor", ""], "1 to 128 characters"),
        (&["--processor", "a"], "every read model has its own"),
        (&["--instance", ""], "the name of an instance"),
    ] {
        let ran = place.run(&[&["serve", "--listen", "127.0.0.1:0"], args].concat());
        assert!(ran.code == 2 && ran.err.contains(text), "{ran:?}");
    }
    assert!(!place.data_dir().exists());
}
