//! Read models while partitions of the events are split and merged, and hosts come and go.

use std::time::Duration;

use cosmos_event_store::projection::{
    ReadModels, ReceiptToken, Waited,
    generic::{StreamSummary, TypeTotals},
};
use tokio_util::sync::CancellationToken;

use crate::fixture::{DATABASE, Fixture, events, options};

const STREAMS: u64 = 40;
/// Far above what any step takes, also on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(3);

/// Appends to every stream, and waits until both read models have all of it.
async fn append_and_wait(fixture: &Fixture, read_models: &ReadModels) {
    let mut tokens = Vec::new();
    for stream in (0..STREAMS).map(|number| format!("moved-{number}")) {
        let receipt = fixture.given(&stream, &events(2)).await.into_receipt();
        tokens.push(ReceiptToken::of(&receipt));
    }
    for name in [StreamSummary::NAME, TypeTotals::NAME] {
        for token in &tokens {
            let waited = read_models.wait_for(name, token, TIME_MAX).await;
            assert_eq!(waited, Ok(Waited::Applied), "{name} {}", token.stream());
        }
    }
}

/// Both read models are what a replay makes, and the total counts every event.
async fn check(read_models: &ReadModels, events: u64) {
    for name in [StreamSummary::NAME, TypeTotals::NAME] {
        let verified = read_models.verify(name, None, |_| {}).await.unwrap();
        assert!(verified.drift.is_none() && verified.behind == 0, "{name}: {verified:?}");
        assert_eq!((verified.streams, verified.events), (STREAMS, events));
    }
    let total = read_models.total(TypeTotals::NAME, "Tested").await.unwrap().unwrap();
    assert_eq!((total.streams, total.shown()["events"].as_u64()), (STREAMS, Some(events)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn splits_and_merges_lose_and_double_nothing() {
    let fixture = Fixture::new().await;
    let options = options(fixture.endpoint.endpoint());
    let catalog = cosmos_event_store::projection::Catalog::generic().unwrap();
    let read_models = ReadModels::open(&options, fixture.store.clone(), catalog).await.unwrap();
    let (one, other) = (read_models.host("one"), read_models.host("other"));
    let (stop, stop_other) = (CancellationToken::new(), CancellationToken::new());
    let telling = async {
        append_and_wait(&fixture, &read_models).await;
        fixture.control().split(DATABASE, "events", Some(0), None).await.unwrap();
        append_and_wait(&fixture, &read_models).await;
        // The other one goes while partitions move again.
        stop_other.cancel();
        fixture.control().merge(DATABASE, "events", 1, 2).await.unwrap();
        append_and_wait(&fixture, &read_models).await;
        check(&read_models, STREAMS * 6).await;
        stop.cancel();
    };
    let (ran, ran_other, ()) = tokio::join!(
        one.run(None, &stop, TIME_MAX),
        other.run(None, &stop_other, TIME_MAX),
        telling
    );
    ran_other.unwrap();
    let repeats: u64 = ran.unwrap().iter().map(|hosting| hosting.applied.repeats).sum();
    // A merged range begins again a minute before.
    assert!(repeats > 0, "the merge has repeated nothing, so it was not tried");
}
