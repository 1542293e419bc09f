//! Rebuilds beside a host that keeps the live version up to date, and rebuilds that are cut off.

use cosmos_event_store::{
    RecordedEvent,
    projection::{
        Catalog, Definition, ReadModels, Unreadable, ViewKey, Views,
        generic::{StreamSummary, StreamSummaryView},
    },
};
use serde_json::json;

use super::place::{SUMMARY, Site, host, until};
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

/// The same with newer code.
struct Newer;

impl Views for Newer {
    type Event = ();
    type View = StreamSummaryView;

    fn definition(&self) -> Definition {
        let mut definition = StreamSummary.definition();
        definition.version = 2;
        definition
    }

    fn decode(&self, recorded: &RecordedEvent) -> Result<Option<()>, Unreadable> {
        StreamSummary.decode(recorded)
    }

    fn change(
        &self,
        key: &ViewKey,
        view: Option<StreamSummaryView>,
        event: &(),
        recorded: &RecordedEvent,
    ) -> Option<StreamSummaryView> {
        StreamSummary.change(key, view, event, recorded)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn newer_code_takes_over_by_itself_and_older_code_does_not_take_back() {
    let site = Site::new(None).await;
    site.run(&["projections", "rebuild", SUMMARY]).await;
    let catalog = Catalog::new().with_views(Newer).unwrap();
    let store = site.read_models.store().clone();
    let newer = ReadModels::open(&site.account, store, catalog).await.unwrap();
    let host = host(&newer);
    until("the newer code never takes over", || async {
        let states = site.states(SUMMARY).await;
        states == [(1, "previous".to_owned()), (2, "live".to_owned())]
    })
    .await;
    let list = site.versions(SUMMARY).await;
    assert_eq!((&list[1]["code"], &list[1]["programCode"]), (&json!(2), &json!(1)));
    assert_eq!(list[1]["views"], json!(40), "{list:?}");
    site.run(&["projections", "rebuild", SUMMARY]).await.failed(1, "this program has version 1");
    site.run(&["projections", "verify", SUMMARY]).await.failed(2, "was made by code 2");
    let verify = ["projections", "verify", SUMMARY, "--version", "1"];
    assert_eq!(site.run(&verify).await.code, 0);
    // Nobody keeps the version of the older code.
    let back = site.run(&["projections", "rollback", SUMMARY]).await;
    back.failed(1, "no worker keeps version 1 up to date");
    host.end().await;
}
