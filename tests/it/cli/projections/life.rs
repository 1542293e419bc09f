//! Rebuilds beside a host that keeps the live version up to date, and rebuilds that are cut off.

use serde_json::json;

use super::place::{SUMMARY, Site, until};
use crate::cli::program::line;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_joins_the_new_version_and_leaves_what_is_removed() {
    let site = Site::new(None).await;
    let host = site.host();
    until("the host never begins", || async {
        let versions = site.versions(SUMMARY).await;
        versions.first().is_some_and(|line| line["hosts"] == json!(["h"]))
    })
    .await;
    let rebuilt = site.json(&["projections", "rebuild", SUMMARY, "--stop-on-drift"]).await;
    assert_eq!((&rebuilt["live"], &rebuilt["attended"]), (&json!(true), &json!(true)));
    assert_eq!((&rebuilt["version"], &rebuilt["former"]), (&json!(2), &json!(1)), "{rebuilt}");
    site.run(&["append", "new-1", "--type", "Tested", "--data", "{}"]).await.ok();
    until("the versions do not go on", || async {
        let versions = site.versions(SUMMARY).await;
        versions
            .iter()
            .all(|line| line["views"] == json!(41) && line["lagTransactions"] == json!(0))
    })
    .await;
    site.run(&["projections", "verify", "--all"]).await.ok();
    let back = site.json(&["projections", "rollback", SUMMARY]).await;
    assert_eq!(back, json!({"projection": SUMMARY, "live": 1}));
    let cleaned = site.json(&["projections", "clean", SUMMARY]).await;
    assert_eq!(cleaned["removed"], json!([2]));
    assert_eq!(site.states(SUMMARY).await, [(1, "live".to_owned())]);
    host.end().await;
}

/// A host that dies keeps its document for minutes; nobody has to wait for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebuild_that_is_killed_or_stopped_goes_on_with_the_next_call() {
    let log: String = (1..=1500)
        .flat_map(|stream| (1..=4).map(move |number| line(&format!("s-{stream}"), number, stream)))
        .collect();
    let site = Site::new(Some(&log)).await;
    let args = ["projections", "rebuild", SUMMARY, "--output", "json"];
    let is_begun = |at_least: u64| {
        let read_models = site.read_models.clone();
        async move {
            let versions = read_models.registry().get(SUMMARY).await.unwrap();
            let Some(version) = versions.get(1) else { return false };
            read_models.count(SUMMARY, version).await.unwrap() >= at_least
        }
    };
    let mut killed = site.place.spawn(&args);
    until("the rebuild never begins", || is_begun(1)).await;
    killed.kill();
    let list = site.versions(SUMMARY).await;
    let is_complete = list[0]["views"] == json!(1500) && list[0]["lagTransactions"] == json!(0);
    assert!(!is_complete && list[0]["state"] == "building", "{list:?}");
    let stopped = site.place.spawn(&args);
    until("the second never begins", || async {
        let overview = site.read_models.overview(SUMMARY, 1).await.unwrap();
        overview.hosts.len() > 1
    })
    .await;
    stopped.interrupt();
    let ran = tokio::task::spawn_blocking(move || stopped.wait()).await.unwrap();
    ran.failed(130, "goes on with the next call");
    let rebuilt = site.json(&args[..3]).await;
    assert_eq!((&rebuilt["version"], &rebuilt["live"]), (&json!(1), &json!(true)), "{rebuilt}");
    let verified = site.json(&["projections", "verify", SUMMARY]).await;
    let line = &verified[0];
    assert_eq!((&line["events"], &line["behind"]), (&json!(6000), &json!(0)), "{verified}");
    assert_eq!(line["drift"]["different"], json!(0), "{verified}");
}
