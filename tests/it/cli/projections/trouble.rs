//! What keeps a version from becoming live, and differences that are found.

use cosmos_event_store::{
    feed::{
        CosmosLeases, FeedRange, LeaseStore as _, Operation,
        documents::{Document, Parked},
    },
    projection::{Found, ViewStore as _, Write},
};
use serde_json::{json, value::to_raw_value};

use super::place::{SUMMARY, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_parked_stream_keeps_readers_where_they_are() {
    let site = Site::new(None).await;
    site.run(&["projections", "rebuild", SUMMARY]).await;
    // As a handler that refuses its events leaves it.
    let leases =
        CosmosLeases::open(&site.account, "leases", &format!("{SUMMARY}@2")).await.unwrap();
    let parked = Document::Parked(Parked {
        key: "quote-1".to_owned(),
        order: 1,
        lsn: 1,
        reason: "tested".to_owned(),
        attempts: 1,
        since: 0,
        range: FeedRange::full(),
        redrive: false,
        discard: None,
    });
    leases.commit(vec![Operation::Upsert(parked)]).await.unwrap();
    let rebuild = ["projections", "rebuild", SUMMARY];
    let ran = site.run(&rebuild).await;
    ran.failed(1, "`cosmos-es parked --processor stream-summary@2`");
    let states = [(1, "live".to_owned()), (2, "building".to_owned())];
    assert_eq!(site.states(SUMMARY).await, states);
    assert_eq!(site.versions(SUMMARY).await[1]["parked"], json!(1));
    let redrive = ["parked", "redrive", "quote-1", "--processor", "stream-summary@2"];
    site.run(&redrive).await.ok();
    // It is tried again as soon as somebody works on the version: by the call that goes on with it.
    let mut rebuilt = site.run(&rebuild).await;
    if rebuilt.code != 0 {
        rebuilt = site.run(&rebuild).await;
    }
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    site.run(&["projections", "verify", SUMMARY]).await.ok();
    assert_eq!(site.states(SUMMARY).await[1], (2, "live".to_owned()));
}

/// Workers with other code keep one version and never join the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_stay_with_the_version_that_workers_keep_up_to_date() {
    let site = Site::new(None).await;
    site.run(&["projections", "rebuild", SUMMARY]).await;
    let old = site.host_of(1).await;
    let rebuild = ["projections", "rebuild", SUMMARY, "--compare", "none"];
    let ran = site.run(&rebuild).await;
    ran.failed(1, "no worker keeps it up to date, as some do with version 1");
    assert_eq!(site.states(SUMMARY).await[0], (1, "live".to_owned()));
    old.shutdown(std::time::Duration::from_secs(5)).await.unwrap();
    let ran = site.run(&rebuild).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("no worker keeps it up to date"), "{ran:?}");
    let new = site.host_of(2).await;
    let ran = site.run(&["projections", "rollback", SUMMARY]).await;
    ran.failed(1, "no worker keeps version 1 up to date, as some do with version 2");
    // One that has died is no reason to stay.
    new.kill();
    let back = site.json(&["projections", "rollback", SUMMARY]).await;
    assert_eq!(back["live"], json!(1));
    // And nobody waits until its document has gone.
    let cleaned = site.json(&["projections", "clean", SUMMARY]).await;
    assert_eq!(cleaned["removed"], json!([2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_view_is_found_by_a_replay_and_by_a_rebuild() {
    let site = Site::new(None).await;
    site.run(&["projections", "rebuild", SUMMARY]).await;
    let views = site.views().await;
    let mut spoiled = None;
    for shard in 0..16 {
        let partition = format!("{SUMMARY}:1:{shard:04}");
        if let Some(Found { mut document, etag, .. }) =
            views.read(&partition, "s:quote-1").await.unwrap()
        {
            let mut data = document.value();
            data["events"] = json!(99);
            document.data = Some(to_raw_value(&data).unwrap());
            let write = Write { document, etag: Some(etag), is_delete: false };
            spoiled = Some(views.commit(&partition, vec![write]).await.unwrap());
        }
    }
    assert!(spoiled.is_some());
    let ran = site.run(&["projections", "verify", SUMMARY]).await;
    ran.failed(1, "1 difference from a replay");
    assert!(ran.out.contains("quote-1 has other data at /events"), "{ran:?}");
    let all = ["projections", "rebuild", SUMMARY, "--compare", "all"];
    let ran = site.run(&[&all[..], &["--stop-on-drift"]].concat()).await;
    ran.failed(1, "does not become live");
    assert!(ran.out.contains("quote-1 has other data at /events"), "{ran:?}");
    let states = [(1, "live".to_owned()), (2, "building".to_owned())];
    assert_eq!(site.states(SUMMARY).await, states);
    site.run(&["projections", "clean", SUMMARY, "--version", "2"]).await.ok();
    // Whoever knows that the old one is wrong goes on.
    let rebuilt = site.json(&all).await;
    assert_eq!((&rebuilt["version"], &rebuilt["live"]), (&json!(3), &json!(true)), "{rebuilt}");
    assert_eq!(rebuilt["drift"]["different"], json!(1));
    site.run(&["projections", "verify", SUMMARY]).await.ok();
}
