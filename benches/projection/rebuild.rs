//! A read model from the first event on, against reading the feed alone.

use std::{sync::Arc, sync::Mutex, time::Duration};

use cosmos_event_store::projection::{Catalog, ReadModels, RebuildOptions, generic::StreamSummary};
use tokio_util::sync::CancellationToken;

use crate::{
    Scale,
    account::{Account, Endpoint},
    log, median, scratch, sdk,
};

const PARTITIONS: usize = 4;
/// Rebuilds, and readings of the feed.
const ROUNDS: usize = 3;
/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) async fn rebuild_vs_feed(scale: &Scale) {
    let folder = scratch();
    let endpoint = Endpoint::start(&folder.path().join("data"), PARTITIONS);
    let account = Account::of(&endpoint);
    let store = account.store().await;
    let events = log::import(&endpoint, folder.path(), scale.logs);
    let catalog = Catalog::new().with_views(StreamSummary).unwrap();
    let opening = ReadModels::open(account.options(), store, catalog);
    let read_models = Box::pin(opening).await.unwrap();
    let container = sdk::container(&endpoint).await;
    let (mut building, mut reading) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (per_second, memory) = rebuild(&read_models, events).await;
        building.push(per_second);
        if round == 0 {
            tell_memory(&memory);
        }
        let (read, seconds) = sdk::read_all(&container).await;
        assert_eq!(read, events);
        reading.push(events as f64 / seconds);
    }
    let (building, reading) = (median(&mut building), median(&mut reading));
    println!(
        "{events} events in {PARTITIONS} ranges: SDK {reading:.0}/s, rebuild {building:.0}/s (medians)"
    );
    println!(
        "figure rebuild_vs_feed = {:.2} ratio (reference: feed alone, bare SDK = {reading:.0} events/s)",
        building / reading
    );
}

/// Rebuilds once; gives the events in a second, and the memory of this process while it ran, in MB.
async fn rebuild(read_models: &ReadModels, events: u64) -> (f64, Vec<f64>) {
    let memory = Arc::new(Mutex::new(vec![resident()]));
    let sampling = {
        let memory = Arc::clone(&memory);
        async move {
            loop {
                tokio::time::sleep(LOOK).await;
                memory.lock().unwrap().push(resident());
            }
        }
    };
    let stop = CancellationToken::new();
    let options = RebuildOptions::new("bench");
    let rebuilding = read_models.rebuild(StreamSummary::NAME, &options, |_| {}, &stop);
    let built = tokio::select! {
        built = Box::pin(rebuilding) => built.unwrap(),
        () = sampling => unreachable!("it never ends"),
    };
    assert_eq!(built.events, events);
    assert!(built.is_live && built.drift.is_none_or(|drift| drift.is_none()));
    let memory = memory.lock().unwrap().clone();
    (events as f64 / built.time.as_secs_f64(), memory)
}

fn tell_memory(memory: &[f64]) {
    let peak = |samples: &[f64]| samples.iter().copied().fold(0.0, f64::max);
    let half = memory.len().div_ceil(2);
    let (first, second) = (peak(&memory[..half]), peak(&memory[half..]));
    let before = memory[0];
    println!(
        "figure rebuild_memory_peak = {:.0} MB (reference: before = {before:.0} MB)",
        first.max(second)
    );
    println!(
        "figure rebuild_memory_growth = {:.2} ratio (reference: peak of the first half = {first:.0} MB)",
        second / first
    );
}

/// The memory of this process, in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}
