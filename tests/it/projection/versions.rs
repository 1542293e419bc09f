//! Versions of a read model that are made by different code, with other logical partitions.

use std::time::Duration;

use cosmos_event_store::{
    RecordedEvent,
    feed::{CosmosLeases, LeaseStore as _, Operation, documents::Document},
    projection::{
        Adds, Catalog, Code, Definition, List, ReadModels, RebuildOptions, ReceiptToken, Totals,
        TotalsList, Unreadable, ViewKey, Views, Waited,
    },
};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, events, options};

const STREAMS: usize = 20;
/// Far above what any step takes, also on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(2);

/// How many events a stream has, by a version of the code that counts each so often.
#[derive(Clone, Copy)]
struct Counted {
    code: u32,
    shards: u16,
}

impl Views for Counted {
    type Event = ();
    type View = u32;

    fn definition(&self) -> Definition {
        Definition::new("counted", self.code).sharded(self.shards)
    }

    fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> {
        Ok(Some(()))
    }

    fn change(&self, _: &ViewKey, view: Option<u32>, (): &(), _: &RecordedEvent) -> Option<u32> {
        Some(view.unwrap_or(0) + self.code)
    }
}

/// The same of all streams.
struct All(Counted);

impl Totals for All {
    type Event = ();
    type State = i64;

    fn definition(&self) -> Definition {
        Definition::new("all", self.0.code).sharded(self.0.shards)
    }

    fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> {
        Ok(Some(()))
    }

    fn evolve(&self, state: i64, (): &(), _: &RecordedEvent) -> i64 {
        state + i64::from(self.0.code)
    }

    fn adds(&self, _: &str, state: &i64) -> Adds {
        let mut adds = Adds::default();
        adds.to("all").count("events", *state);
        adds
    }
}

async fn read_models(fixture: &Fixture, counted: Counted) -> ReadModels {
    let catalog = Catalog::new().with_views(counted).unwrap().with_totals(All(counted)).unwrap();
    let options = options(fixture.endpoint.endpoint());
    ReadModels::open(&options, fixture.store.clone(), catalog).await.unwrap()
}

/// What readers find: each view, the list, and the total.
async fn found(read_models: &ReadModels) -> (Vec<u64>, usize, i64) {
    let mut each = Vec::new();
    for stream in (0..STREAMS).map(|number| format!("s-{number}")) {
        let view = read_models.view("counted", &stream, &ViewKey::Stream).await.unwrap();
        each.push(view.map_or(0, |view| view.data.as_u64().unwrap()));
    }
    let listed = read_models.list("counted", &List::new()).await.unwrap().items.len();
    let total = read_models.total("all", "all").await.unwrap();
    let events = |total: &cosmos_event_store::projection::Total| total.shown()["events"].as_i64();
    let totals = read_models.totals("all", &TotalsList::new()).await.unwrap().items;
    assert_eq!(
        totals.iter().map(|(_, total)| events(total)).collect::<Vec<_>>(),
        [total.as_ref().and_then(events)]
    );
    (each, listed, total.as_ref().and_then(events).unwrap_or_default())
}

async fn until_is(read_models: &ReadModels, factor: u64) {
    let all = i64::try_from(3 * factor).unwrap() * i64::try_from(STREAMS).unwrap();
    let expected = (vec![3 * factor; STREAMS], STREAMS, all);
    let waiting = async {
        while found(read_models).await != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(TIME_MAX, waiting).await;
    assert!(waited.is_ok(), "{:?} and not {expected:?}", found(read_models).await);
}

#[tokio::test]
async fn readers_of_newer_code_use_the_version_of_the_older_until_theirs_is_built() {
    let fixture = Fixture::new().await;
    let mut receipt = None;
    for stream in (0..STREAMS).map(|number| format!("s-{number}")) {
        receipt = Some(fixture.given(&stream, &events(3)).await.into_receipt());
    }
    let token = ReceiptToken::of(&receipt.unwrap());
    let older = read_models(&fixture, Counted { code: 1, shards: 4 }).await;
    let newer = read_models(&fixture, Counted { code: 2, shards: 7 }).await;
    let (old_host, new_host) = (older.host("old"), newer.host("new"));
    let (stop_old, stop_new) = (CancellationToken::new(), CancellationToken::new());
    let watching = async {
        let built = async {
            while older.wait_for("counted", &token, Duration::from_secs(1)).await.unwrap()
                != Waited::Applied
            {}
            while older.wait_for("all", &token, Duration::from_secs(1)).await.unwrap()
                != Waited::Applied
            {}
        };
        tokio::time::timeout(TIME_MAX, built).await.unwrap();
        until_is(&older, 1).await;
        // The other program has other shards, and nobody has begun its version.
        assert_eq!(found(&newer).await, found(&older).await);
        assert_eq!(newer.wait_for("counted", &token, TIME_MAX).await, Ok(Waited::Applied));
        let verified = older.verify("counted", None, |_| {}).await.unwrap();
        assert!(verified.drift.is_none() && verified.behind == 0, "{verified:?}");
        let run_new = new_host.run(None, &stop_new, TIME_MAX);
        let switching = async {
            until_is(&newer, 2).await;
            until_is(&older, 2).await;
            stop_new.cancel();
        };
        let (ran, ()) = tokio::join!(run_new, switching);
        assert_eq!(ran.unwrap().len(), 2);
        stop_old.cancel();
    };
    let (ran, ()) = tokio::join!(old_host.run(None, &stop_old, TIME_MAX), watching);
    assert_eq!(ran.unwrap().len(), 2);
}

/// Builds a version until everything is in, and gives the version that readers use then.
async fn rebuilt(read_models: &ReadModels, options: &RebuildOptions) -> Option<u32> {
    let stop = CancellationToken::new();
    let rebuilding = read_models.rebuild("counted", options, |_| {}, &stop);
    tokio::time::timeout(TIME_MAX, rebuilding).await.unwrap().unwrap();
    let versions = read_models.registry().get("counted").await.unwrap();
    versions.live().map(|live| live.number)
}

#[tokio::test]
async fn a_rebuild_that_leaves_readers_alone_keeps_hosts_from_switching() {
    let fixture = Fixture::new().await;
    fixture.given("s-0", &events(3)).await;
    let older = read_models(&fixture, Counted { code: 1, shards: 4 }).await;
    assert_eq!(rebuilt(&older, &RebuildOptions::new("older")).await, Some(1));
    // As a host of newer code does when it begins.
    let newer = read_models(&fixture, Counted { code: 2, shards: 7 }).await;
    let code = Code { version: 2, shards: 7 };
    let registering = newer.registry();
    let registering =
        registering.change("counted", |versions| Ok((versions.register(code, 1)?, ())));
    registering.await.unwrap();
    let automatic = async || {
        let versions = newer.registry().get("counted").await.unwrap();
        versions.get(2).unwrap().is_automatic
    };
    assert!(automatic().await);
    let mut options = RebuildOptions::new("newer");
    options.stops_at_drift = true;
    // Each event counts twice, so the two differ.
    assert_eq!(rebuilt(&newer, &options).await, Some(1));
    assert!(!automatic().await);
    assert_eq!(rebuilt(&newer, &RebuildOptions::new("newer")).await, Some(2));
}

#[tokio::test]
async fn readers_find_views_while_the_version_that_they_remember_is_removed() {
    let fixture = Fixture::new().await;
    fixture.given("s-0", &events(3)).await;
    let counted = Counted { code: 1, shards: 4 };
    let operator = read_models(&fixture, counted).await;
    let how = RebuildOptions::new("operator");
    assert_eq!(rebuilt(&operator, &how).await, Some(1));
    // As after some minutes: nothing is left of the host that built it, and nobody has to be waited for.
    let leases = CosmosLeases::open(&options(fixture.endpoint.endpoint()), "leases", "counted@1")
        .await
        .unwrap();
    for found in leases.list().await.unwrap() {
        if matches!(found.document, Document::Host(_)) {
            let delete = Operation::Delete { id: found.document.id(), etag: found.etag };
            leases.commit(vec![delete]).await.unwrap();
        }
    }
    // Of another process, which does not know of what the operator does.
    let reader = read_models(&fixture, counted).await;
    let reading = async {
        loop {
            let view = reader.view("counted", "s-0", &ViewKey::Stream).await.unwrap();
            assert_eq!(view.map(|view| view.sequence_number), Some(3));
            tokio::task::yield_now().await;
        }
    };
    let removing = async {
        assert_eq!(rebuilt(&operator, &how).await, Some(2));
        operator.clean_up("counted").await
    };
    let removed = tokio::select! {
        removed = tokio::time::timeout(TIME_MAX, removing) => removed.unwrap(),
        () = reading => unreachable!(),
    };
    assert_eq!(removed, Ok(vec![1]));
}
