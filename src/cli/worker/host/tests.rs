//! Hosts on an embedded store of their own.

use std::path::Path;

use super::*;
use crate::{
    cli::{
        args::Target,
        target::Missing,
        worker::{counting::Counting, receiver::Receiver},
    },
    event::NewEvent,
    store::EventStore,
    stream::ExpectedVersion,
};

/// Far above what anything takes here, and far below the polls.
const PATIENCE: Duration = Duration::from_mins(1);
/// Nothing is found by a poll.
const NEVER: Duration = Duration::from_hours(1);

async fn open(folder: &Path) -> (Account, EventStore) {
    let target = Target::Folder { folder: folder.join("data"), database: "test".to_owned() };
    let account = Box::pin(Account::open(target, Missing::Create)).await.unwrap();
    let store = Box::pin(account.connect()).await.unwrap();
    (account, store)
}

fn work(receiver: &Receiver) -> Work {
    let options = receiver.options("one").with_polls(NEVER, NEVER);
    Work { processor: "default".to_owned(), options, figures: Figures::default() }
}

fn other() -> Receiver {
    Receiver::parse("http://127.0.0.1:1/").unwrap()
}

async fn append(store: &EventStore) {
    let event = NewEvent::new("Tested", serde_json::json!({})).unwrap();
    store.append("a-1", ExpectedVersion::Any, vec![event]).await.unwrap();
}

async fn caught_up(host: &Host) {
    let running = host.work.figures.take().unwrap();
    running.wait_caught_up().await.unwrap();
    host.work.figures.put("default", running);
}

/// Watches a host until so many events are counted.
async fn until_counted(host: &mut Host, counting: &Counting, events: u64) {
    let looking = async {
        while counting.tally().events < events {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        error = host.failed() => panic!("{error}"),
        looked = tokio::time::timeout(PATIENCE, looking) => {
            assert!(looked.is_ok(), "{:?}", counting.tally());
        }
    }
}

#[tokio::test]
async fn an_append_of_this_process_waits_for_no_poll() {
    let folder = tempfile::tempdir().unwrap();
    let (account, store) = open(folder.path()).await;
    append(&store).await;
    let counting = Arc::new(Counting::default());
    let handler: Arc<dyn Handler> = counting.clone();
    let starting = work(&Receiver::Count).start(&account, handler, Some(store.appends()));
    let mut host = Box::pin(starting).await.unwrap();
    caught_up(&host).await;
    for events in 2..5 {
        append(&store).await;
        until_counted(&mut host, &counting, events).await;
        caught_up(&host).await;
    }
    host.shutdown(PATIENCE).await.unwrap();
    account.close().await.unwrap();
}

#[tokio::test]
async fn a_processor_that_does_other_work_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (account, _store) = open(folder.path()).await;
    let start = async |work: Work| {
        let handler = Arc::new(Counting::default());
        Box::pin(work.start(&account, handler, None)).await
    };
    let first = start(work(&Receiver::Count)).await.unwrap();
    caught_up(&first).await;
    let expected = "the processor \"default\" does \"count\", this worker \"url\": choose another \
                    --processor";
    let refused = start(work(&other())).await.err().unwrap();
    assert_eq!(refused.to_string(), expected);
    // The same when it was made only after it was looked at.
    let mut late = start(work(&Receiver::Count)).await.unwrap();
    late.work = work(&other());
    let running = Processor::new(
        Arc::new(open_feed(&account).await.unwrap()),
        Arc::new(CosmosLeases::open(&account.options, LEASES_CONTAINER, "default").await.unwrap()),
        Arc::new(Counting::default()),
        other().options("late"),
    );
    late.work.figures.put("default", running.start().unwrap());
    let failed = tokio::time::timeout(PATIENCE, late.failed()).await.unwrap();
    assert_eq!(failed.to_string(), expected);
    first.shutdown(PATIENCE).await.unwrap();
    account.close().await.unwrap();
}

#[test]
fn an_instance_without_a_name_gets_one_that_is_valid() {
    assert_eq!(ProcessorOptions::new(default_instance()).check(), Ok(()));
}
