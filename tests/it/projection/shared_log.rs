//! The summaries of a whole log, built by processes that are killed, against figures that are computed from
//! the file alone.
#![allow(clippy::print_stderr, reason = "a test that uses another log says so")]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use cosmos_event_store::{
    Credential, EventStore, StoreOptions,
    projection::{
        Catalog, List, ReadModels,
        generic::{StreamSummary, StreamSummaryView},
    },
};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tokio::time::timeout;

use crate::cli::program::{Place, Running, SAMPLE};

/// The processes that are killed.
const KILLS: u64 = 3;
/// Far above what a build takes, with the time until each lease is free again, on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(8);
/// Between two looks how far it is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The database of the command line.
const DATABASE: &str = "event-store";

/// What the file says of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    events: u64,
    first_at: String,
    last_at: String,
    last_type: String,
}

fn log() -> PathBuf {
    let shared =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/loan-applications.jsonl.gz");
    if shared.exists() {
        return shared;
    }
    eprintln!("{} is not there: the sample log stands in for it", shared.display());
    PathBuf::from(SAMPLE)
}

/// Times as the store has them: six digits of a second, UTC.
fn stored(time: &str) -> String {
    let time: jiff::Timestamp = time.parse().unwrap();
    format!("{time:.6}")
}

fn expected(log: &Path) -> BTreeMap<String, Expected> {
    let file = File::open(log).unwrap();
    let is_packed = log.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> =
        if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut streams: BTreeMap<String, Expected> = BTreeMap::new();
    for line in BufReader::new(reader).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let at = stored(&text("time"));
        let stream = streams.entry(text("aggregateId")).or_insert_with(|| Expected {
            events: 0,
            first_at: at.clone(),
            last_at: String::new(),
            last_type: String::new(),
        });
        stream.events += 1;
        (stream.last_at, stream.last_type) = (at, text("type"));
    }
    streams
}

async fn found(read_models: &ReadModels) -> BTreeMap<String, Expected> {
    let mut views = BTreeMap::new();
    let mut list = List::new().limit(1000);
    loop {
        let page = read_models.list(StreamSummary::NAME, &list).await.unwrap();
        for view in page.items {
            let summary: StreamSummaryView = view.decode().unwrap();
            assert_eq!(summary.events, view.sequence_number);
            let found = Expected {
                events: summary.events,
                first_at: summary.first_at,
                last_at: summary.last_at,
                last_type: summary.last_type,
            };
            assert!(views.insert(view.stream, found).is_none(), "a view came twice");
        }
        let Some(next) = page.next else { return views };
        list = List::new().limit(1000).after(next);
    }
}

/// The transactions that are not in the summaries yet; nothing before somebody has begun.
async fn left(read_models: &ReadModels) -> Option<u64> {
    let overview = read_models.overview(StreamSummary::NAME, 1).await.unwrap();
    let of_each = overview.leases.iter().map(|lease| Some(lease.lag?.transactions));
    let all: Vec<u64> = of_each.collect::<Option<_>>()?;
    (!all.is_empty()).then(|| all.iter().sum())
}

/// Kills whoever builds, and lets the last one finish; gives how many were killed on the way.
async fn build(place: &Place, read_models: &ReadModels) -> u64 {
    // One read model: workers would build all of them.
    let start =
        || place.spawn(&["projections", "rebuild", StreamSummary::NAME, "--output", "json"]);
    let mut builder: Running = start();
    let (mut kills, mut most) = (0, 0);
    while kills < KILLS {
        tokio::time::sleep(LOOK_AGAIN).await;
        let Some(left) = left(read_models).await else { continue };
        most = most.max(left);
        if left == 0 {
            break;
        }
        // After a quarter, a half and three quarters.
        if left * (KILLS + 1) <= most * (KILLS - kills) {
            builder.kill();
            builder = start();
            kills += 1;
        }
    }
    let built = tokio::task::spawn_blocking(move || builder.wait()).await.unwrap();
    assert_eq!(built.code, 0, "{built:?}");
    kills
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_summaries_of_a_log_are_those_of_its_file_although_builders_are_killed() {
    let place = Place::new();
    let mut local = place.spawn(&["local", "--port", "0", "--partitions", "2", "--output", "json"]);
    let ready: Value = serde_json::from_str(&local.line()).unwrap();
    let log = log();
    place.run(&["import", log.to_str().unwrap()]).ok();
    let text = |name: &str| ready[name].as_str().unwrap().to_owned();
    let options = StoreOptions::new(text("endpoint"), Credential::key(text("key")), DATABASE);
    let store = EventStore::connect(options.clone()).await.unwrap();
    let catalog = Catalog::generic().unwrap();
    let read_models = ReadModels::open(&options, store, catalog).await.unwrap();

    let expected = expected(&log);
    let kills = timeout(TIME_MAX, build(&place, &read_models)).await.expect("it catches up");
    let found = found(&read_models).await;
    assert_eq!(found.len(), expected.len());
    for (stream, expected) in &expected {
        assert_eq!(found.get(stream), Some(expected), "{stream}");
    }
    if log != Path::new(SAMPLE) {
        assert_eq!((kills, expected.len()), (KILLS, 13_087));
    }
    local.interrupt();
}
