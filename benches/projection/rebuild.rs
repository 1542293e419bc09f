//! A read model from the beginning, against reading the feed alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cosmos_event_store::{
    feed::{CosmosFeed, FeedFields, Processor, ProcessorOptions},
    projection::{CosmosViews, Projection, ProjectionHandler, generic::StreamSummary},
};

use crate::{
    Scale,
    account::{Account, Endpoint},
    log, median, scratch, sdk,
};

const PARTITIONS: usize = 4;

pub(crate) async fn rebuild_vs_feed(scale: &Scale) {
    let folder = scratch();
    let endpoint = Endpoint::start(&folder.path().join("data"), PARTITIONS);
    let account = Account::of(&endpoint);
    let store = account.store().await;
    let events = log::import(&endpoint, folder.path(), scale.logs);
    let container = sdk::container(&endpoint).await;
    let (read, seconds) = sdk::read_all(&container).await;
    assert_eq!(read, events);
    let mut reading = Vec::new();
    for _ in 0..3 {
        let (_, seconds) = sdk::read_all(&container).await;
        reading.push(events as f64 / seconds);
    }
    println!("feed alone {:.0}/s", events as f64 / seconds);
    let page: u32 = std::env::var("PAGE").map_or(1000, |v| v.parse().unwrap());
    let runs: usize = std::env::var("RUNS").map_or(2048, |v| v.parse().unwrap());
    for version in 1..3 {
        let views = Arc::new(Box::pin(CosmosViews::open(account.options())).await.unwrap());
        let projection = Projection::views(StreamSummary).unwrap();
        let handler = ProjectionHandler::new(projection, version, views, Arc::new(store.clone()));
        let fields =
            FeedFields::new("/aggregateId", "/sequenceNumber").unwrap().with_rising_order();
        let feed = Box::pin(CosmosFeed::open(account.options(), "events", fields)).await.unwrap();
        let feed = feed.with_page_changes(page);
        let leases = account.leases(&format!("s{version}")).await;
        let mut options = ProcessorOptions::new("bench");
        options.runs_max = runs;
        options.run_changes_max = 1000;
        let begun = Instant::now();
        let host =
            Processor::new(Arc::new(feed), Arc::new(leases), Arc::new(handler.clone()), options)
                .start()
                .unwrap();
        host.wait_caught_up().await.unwrap();
        let seconds = begun.elapsed().as_secs_f64();
        host.shutdown(Duration::from_secs(5)).await.unwrap();
        println!(
            "built in {seconds:.1} s, {:.0}/s, {:?}",
            events as f64 / seconds,
            handler.applied()
        );
        println!("ratio {:.2}", events as f64 / seconds / median(&mut reading.clone()));
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        println!(
            "{:?}",
            status
                .lines()
                .filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS"))
                .collect::<Vec<_>>()
        );
    }
}
