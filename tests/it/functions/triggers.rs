//! What the triggers do when all is well.

use std::time::Duration;

use serde_json::{Map, json};
use tokio::time::{Instant, timeout};

use super::{
    app::{App, PATIENCE, PUMP_SECONDS},
    encode::{self, timer},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wakeup_brings_read_models_up_to_date() {
    let app = App::new().await;
    app.append(0..40, 5).await;
    let host = app.started().await;
    let mut trigger = app.trigger(&host, "host-1").await;
    trigger.run().await;
    assert_eq!((trigger.documents, trigger.lost.len()), (200, 0));
    app.verify().await;
    app.assert_released().await;
    // It goes on where it was.
    app.append(40..45, 1).await;
    trigger.run().await;
    assert_eq!((trigger.documents, trigger.lost.len()), (205, 0));
    app.verify().await;
    app.assert_released().await;
    assert!(host.stop().await.success());
    let log = host.log().join("\n");
    assert!(log.contains("function=\"wakeup\""), "{log}");
    for secret in ["payload-of-a-customer", "s-7", crate::fixture::KEY] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    assert_eq!(host.errors(), Vec::<String>::new(), "the host takes these for errors");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pump_runs_for_its_time_and_gives_its_leases_away() {
    let app = App::new().await;
    app.append(0..20, 3).await;
    let host = app.started().await;
    let begun = Instant::now();
    let pumping = async {
        let reply = host.invoke("pump", timer(true)).await.unwrap();
        (reply, begun.elapsed())
    };
    let meanwhile = async {
        app.until("somebody holds the leases", async |app| !app.owners().await.1.is_empty()).await;
        app.append(20..30, 3).await;
        // It shares the run that there is, and answers when what was stored is done.
        let woken = timeout(
            PATIENCE,
            host.invoke("wakeup", encode::documents(&[json!({})], encode::Rewrite::Nothing)),
        );
        let woken = woken.await.unwrap().unwrap();
        assert_eq!(woken.value["isCaughtUp"], true, "{woken:?}");
        app.verify().await;
        let (leases, owners) = app.owners().await;
        assert_eq!(owners.len(), leases, "the pump has them still");
        begun.elapsed()
    };
    let ((reply, pumped), woken) = tokio::join!(pumping, meanwhile);
    let time = Duration::from_secs(PUMP_SECONDS.parse().unwrap());
    assert!(pumped >= time && woken < time, "{pumped:?} {woken:?}");
    assert!(pumped < time + Duration::from_secs(10), "{pumped:?}");
    assert!(reply.logs.iter().any(|line| line.contains("past due")), "{reply:?}");
    assert!(reply.value["events"].as_u64().unwrap() > 0, "{reply:?}");
    app.assert_released().await;
    assert!(host.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_lasts_as_long_as_somebody_has_a_use_for_it() {
    let app = App::new().await;
    app.append(0..5, 1).await;
    let host = app.started().await;
    {
        let mut pumping = std::pin::pin!(host.invoke_once("pump", timer(false), Map::new()));
        let held = app.until("somebody holds leases", async |app| !app.owners().await.1.is_empty());
        tokio::select! {
            ended = &mut pumping => panic!("too early: {ended:?}"),
            () = held => {}
        }
    }
    // The connection is gone, the process is not: its run ends by itself, and in order.
    app.until("all leases are given away", async |app| app.owners().await.1.is_empty()).await;
    app.assert_released().await;
    host.invoke("wakeup", encode::documents(&[json!({})], encode::Rewrite::Nothing)).await.unwrap();
    app.verify().await;
    assert!(host.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_to_end_gives_its_leases_away() {
    let app = App::new().await;
    app.append(0..20, 2).await;
    let host = app.started().await;
    let pumping = host.invoke_once("pump", timer(false), Map::new());
    let stopping = async {
        app.until("somebody holds the leases", async |app| !app.owners().await.1.is_empty()).await;
        let begun = Instant::now();
        assert!(host.stop().await.success());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    };
    let (pumped, ()) = tokio::join!(pumping, stopping);
    assert!(pumped.is_ok(), "what was done is done: {pumped:?}");
    app.assert_released().await;
    assert_eq!(host.errors(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_is_told_whether_anybody_works_or_not() {
    let app = App::new().await;
    let host = app.started().await;
    let none = host.invoke("lag", timer(false)).await.unwrap();
    assert_eq!(none.value["processors"], json!([]), "nobody has begun");
    app.append(0..3, 1).await;
    app.trigger(&host, "host-1").await.run().await;
    app.append(3..5, 1).await;
    let behind = host.invoke("lag", timer(false)).await.unwrap();
    let processors = behind.value["processors"].as_array().unwrap();
    let names: Vec<&str> =
        processors.iter().map(|one| one["processor"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"stream-summary@1")
            && names.len() == app.read_models.catalog().names().count(),
        "{names:?}"
    );
    assert!(
        processors.iter().all(|one| one["lagTransactions"] == 2 && one["parked"] == 0),
        "{behind:?}"
    );
    assert_eq!(behind.logs.len(), names.len());
    assert!(host.stop().await.success());
    let log = host.log().join("\n");
    assert!(log.contains("feed lag processor=\"stream-summary@1\""), "{log}");
}
