//! Faults of the host, of the handler, and of what is sent: nothing is lost.

use cosmos_local::{Fault, FaultAction};
use serde_json::{Map, Value, json};

use super::{
    app::App,
    encode::{self, Rewrite, documents, packed, timer},
    host::Host,
    reply::Failure,
};

/// The wake-ups until everything must be done.
const WAKEUPS_MAX: usize = 3;

fn wake() -> Value {
    documents(&[json!({"id": "e"})], Rewrite::Nothing)
}

/// Everything is done, as soon as the next changes or timers come: what a dead host held is free after its expiry,
/// which may take the time of one wake-up.
async fn nothing_is_lost(app: &App, host: &Host) {
    let mut is_done = false;
    for _ in 0..WAKEUPS_MAX {
        is_done |= host.invoke("wakeup", wake()).await.unwrap().value["isCaughtUp"] == true;
        if is_done {
            break;
        }
    }
    assert!(is_done, "it never catches up: {:?}", host.log());
    app.verify().await;
    app.assert_released().await;
    assert!(host.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_were_changed_on_the_way_change_nothing() {
    let app = App::new().await;
    app.append(0..30, 4).await;
    let host = app.started().await;
    let mut trigger = app.trigger(&host, "host-1").await;
    trigger.rewrite = Rewrite::DatesAndNumbers;
    trigger.run().await;
    assert_eq!((trigger.documents, trigger.lost.len()), (120, 0));
    app.verify().await;
    nothing_is_lost(&app, &host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_is_answered() {
    let app = App::new().await;
    app.append(0..10, 2).await;
    let host = app.started().await;
    let empty = host.invoke("wakeup", documents(&[], Rewrite::Nothing)).await.unwrap();
    assert_eq!(empty.value, Value::Null, "there is nothing to wake up for");
    // A repeated invocation, with what the host says of it.
    let context = json!({"RetryCount": 3, "MaxRetryCount": -1, "Exception": {"Message": "x"}});
    for context in [context.clone(), packed(&Value::String(context.to_string()))] {
        let more = Map::from_iter([("RetryContext".to_owned(), context)]);
        let again = host.invoke_once("wakeup", wake(), more).await.unwrap();
        assert_eq!(again.value["isCaughtUp"], true);
    }
    app.verify().await;
    // What cannot be read has been stored all the same.
    app.append(10..20, 2).await;
    for body in ["", "nothing", "[]", "{\"Data\":{\"changes\":\"[\"}}", "{\"Data\":{}}"] {
        let answered = host.post("wakeup", body.to_owned()).await;
        let reply = answered.unwrap_or_else(|failure| panic!("{body}: {failure:?}"));
        assert_eq!(reply.value["isCaughtUp"], true, "{body}");
        app.verify().await;
    }
    assert!(host.log().iter().any(|line| line.contains("an invocation cannot be read")));
    assert!(host.log().iter().any(|line| line.contains("an invocation is repeated")));
    nothing_is_lost(&app, &host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_is_taken() {
    let app = App::new().await;
    app.append(0..3, 1).await;
    let host = app.started().await;
    // Quotes become longer each time that they are packed.
    let text = "a \"quoted\" word, and some more of them. ".repeat(27_000);
    let batch: Vec<Value> = (0..10)
        .map(|n| json!({"id": n.to_string(), "aggregateId": "s-1", "sequenceNumber": n, "data": text}))
        .collect();
    assert!(Value::from(batch.clone()).to_string().len() > 10_000_000);
    let packed = documents(&batch, Rewrite::Nothing);
    let reply = host.invoke_once("wakeup", packed, Map::new()).await.unwrap();
    assert!(reply.logs[0].contains("10 documents of 1 streams"), "{reply:?}");
    nothing_is_lost(&app, &host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_one_for_the_host_which_repeats() {
    let app = App::new().await;
    app.append(0..10, 2).await;
    let host = app.started().await;
    let refused = || {
        let status = FaultAction::Status { status: 400, substatus: None, retry_after_ms: None };
        Fault::new(status).in_container("read-models")
    };
    app.endpoint.control().inject(refused()).unwrap();
    for (function, value) in [("wakeup", wake()), ("pump", timer(false))] {
        let once = host.invoke_once(function, value, Map::new()).await;
        assert_eq!(once, Err(Failure::Status(500)), "{function}");
    }
    app.endpoint.control().clear_faults();
    app.endpoint.control().inject(refused().times(2)).unwrap();
    let mut trigger = app.trigger(&host, "host-1").await;
    trigger.run().await;
    assert_eq!(trigger.lost, []);
    app.verify().await;
    let log = host.log();
    assert!(log.iter().any(|line| line.contains("an invocation is repeated")), "{log:?}");
    nothing_is_lost(&app, &host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_is_waited_for() {
    let app = App::new().await;
    app.append(0..10, 2).await;
    let host = app.started().await;
    let slow = Fault::new(FaultAction::Delay { ms: 300 }).for_seconds(5.0);
    app.endpoint.control().inject(slow).unwrap();
    let reply = host.invoke("wakeup", wake()).await.unwrap();
    assert_eq!(reply.value["isCaughtUp"], true);
    app.verify().await;
    nothing_is_lost(&app, &host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_killed_in_a_batch_loses_nothing() {
    let app = App::new().await;
    app.append(0..60, 4).await;
    let host = app.started().await;
    let mut trigger = app.trigger(&host, "host-1").await;
    let killing = async {
        app.until("somebody holds leases", async |app| !app.owners().await.1.is_empty()).await;
        host.kill();
    };
    tokio::join!(trigger.run(), killing);
    assert_eq!((trigger.documents, trigger.lost.len()), (240, 0), "the policy knows no end");
    nothing_is_lost(&app, &host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_host_takes_over() {
    let app = App::new().await;
    app.append(0..40, 3).await;
    let (first, second) = (app.started().await, app.started().await);
    let pumping = first.invoke_once("pump", timer(false), Map::new());
    let killing = async {
        app.until("the first one holds leases", async |app| !app.owners().await.1.is_empty()).await;
        first.kill();
    };
    let (pumped, ()) = tokio::join!(pumping, killing);
    assert_eq!(pumped, Err(Failure::Gone));
    assert!(!app.owners().await.1.is_empty(), "what the dead one held is not free yet");
    app.append(40..50, 3).await;
    app.trigger(&second, "host-2").await.run().await;
    nothing_is_lost(&app, &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_third_crash_the_host_gives_up_and_the_next_one_loses_nothing() {
    let app = App::new().await;
    app.append(0..20, 3).await;
    let first = app.started().await;
    let mut trigger = app.trigger(&first, "host-1").await;
    let killing = async {
        for crash in 1..=3 {
            app.until("it runs", async |_| first.client.get(first.url("/")).send().await.is_ok())
                .await;
            first.kill();
            if crash < 3 {
                assert!(first.mind().await);
            }
        }
        assert!(!first.mind().await, "the third crash is the last");
    };
    tokio::join!(trigger.run(), killing);
    // The trigger is past a batch that nobody has handled: for the functions that is no loss.
    assert!(!trigger.lost.is_empty());
    let second = app.started().await;
    nothing_is_lost(&app, &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_ends_loses_the_batch_and_not_the_events() {
    let app = App::new().await;
    app.append(0..10, 2).await;
    let mut host = app.host();
    host.change("wakeup", |function| function["retry"]["maxRetryCount"] = json!(1));
    app.start(&host).await;
    let status = FaultAction::Status { status: 400, substatus: None, retry_after_ms: None };
    app.endpoint.control().inject(Fault::new(status).in_container("read-models")).unwrap();
    let mut trigger = app.trigger(&host, "host-1").await;
    trigger.run().await;
    assert!(trigger.lost.iter().all(|failure| *failure == Failure::Status(500)));
    assert!(!trigger.lost.is_empty(), "the trigger advances when a function fails");
    app.endpoint.control().clear_faults();
    trigger.lost.clear();
    let handed = trigger.documents;
    trigger.run().await;
    assert_eq!(trigger.documents, handed, "these batches never come again");
    // But the timer comes, and has places of its own.
    host.invoke("pump", encode::timer(false)).await.unwrap();
    app.verify().await;
    nothing_is_lost(&app, &host).await;
}
