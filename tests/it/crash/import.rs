//! An import that is killed and run again, until the log is stored.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use cosmos_event_store::{
    Credential, EventStore, StoreErrorKind, StoreOptions, store::ChangesFrom,
};
use cosmos_local::LocalCosmos;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Luck,
    program::{Program, run},
};

/// Kills of one import.
const KILLS: u64 = 3;
/// The database of the command line.
const DATABASE: &str = "event-store";
/// Between two looks whether the import has got so far.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Far above what an import takes, also on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(2);

/// The store that the import in this folder fills.
async fn store_of(folder: &Path) -> EventStore {
    loop {
        if let Some(running) = LocalCosmos::attach(folder).await.unwrap() {
            let key = Credential::key(running.key);
            let options = StoreOptions::new(running.endpoint, key, DATABASE);
            match EventStore::connect(options).await {
                Ok(store) => return store,
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::NotProvisioned, "{error}"),
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Waits until at least so many events are stored; gives how many.
async fn wait_for(folder: &Path, count: u64) -> u64 {
    let store = store_of(folder).await;
    let mut changes = store.changes(ChangesFrom::Beginning).await.unwrap();
    let mut seen = 0;
    while seen < count {
        seen += Box::pin(changes.next_page()).await.unwrap().events.len() as u64;
    }
    seen
}

fn place(event: &Value) -> (String, u64) {
    let stream = event["aggregateId"].as_str().unwrap();
    (stream.to_owned(), event["sequenceNumber"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log.jsonl"));
    let events = run(&data, &["sample", "--quotes", "150"]);
    let text: Vec<_> = events.iter().map(Value::to_string).collect();
    fs::write(&log, text.join("\n")).unwrap();
    let total = events.len() as u64;
    let import = ["import", log.to_str().unwrap(), "--concurrency", "2"];

    let mut luck = Luck::new();
    let mut stored = 0;
    for _kill in 0..KILLS {
        let mut program = Program::start(&data, &import);
        let enough = stored + 1 + luck.below(total / 8);
        stored = tokio::select! {
            stored = timeout(TIME_MAX, wait_for(&data, enough)) => stored.unwrap(),
            status = program.end() => panic!("the import has ended before {enough}: {status}"),
        };
        program.kill();
    }
    let reports = [run(&data, &import), run(&data, &import)].map(|mut lines| lines.pop().unwrap());
    let number = |report: &Value, name: &str| report[name].as_u64().unwrap();
    for report in &reports {
        assert_eq!(number(report, "appended") + number(report, "repeated"), total, "{report}");
        assert_eq!((number(report, "failed"), &report["complete"]), (0, &true.into()), "{report}");
    }
    assert!(number(&reports[0], "repeated") >= stored, "{} after {stored}", reports[0]);
    assert!(number(&reports[0], "appended") > 0, "no kill came in the middle");
    assert_eq!(number(&reports[1], "appended"), 0);

    let fed = run(&data, &["tail", "--from-start", "--no-follow"]);
    assert_eq!(fed.len(), events.len());
    let places: BTreeSet<_> = fed.iter().map(place).collect();
    assert_eq!(places, events.iter().map(place).collect(), "each event is there once");
}
