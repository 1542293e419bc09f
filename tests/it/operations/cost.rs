//! What operations take, measured against cosmos-local, and compared with the tables of the page.
//!
//! The charges of cosmos-local are synthetic; the numbers of requests are not.

use std::{sync::Arc, time::Duration};

use azure_data_cosmos::models::ItemResponse;
use cosmos_event_store::{
    AppendError, ExpectedVersion, NewEvent,
    aggregate::{CommandOptions, Repository, RepositoryOptions},
    feed::{
        CosmosFeed, CosmosLeases, CosmosProcessor, Delivery, Feed as _, FeedFields, FeedRange,
        Handler, HandlerFault, LeaseStore as _, Operation, ProcessorOptions,
        documents::{Document, Position},
    },
    projection::{Catalog, ReadModels},
    quotes::{Action, Actor, InitiateInput, Quote, QuoteCommand},
    store::{Snapshot, SnapshotKey, Usage},
};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::procedure::{page, section};
use crate::fixture::{self, DATABASE, Fixture};
use crate::sdk;

/// How far a figure of the page may be off.
const TOLERANCE: f64 = 0.05;
/// The defaults of `ProcessorOptions`, of which the page makes an hour.
const HOUR: f64 = 3600.0;

/// A line of the table.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    what: String,
    charge: f64,
    requests: String,
}

/// The cells of the tables under a heading, without their heads.
fn rows(title: &str) -> Vec<Vec<String>> {
    let text = section(&page(), title);
    let rows = text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--"));
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.skip(1).map(cells).collect()
}

fn line(what: &str, usage: Usage) -> Line {
    measured(what, usage.request_charge, &usage.round_trips.to_string())
}

fn measured(what: &str, charge: f64, requests: &str) -> Line {
    Line { what: what.to_owned(), charge, requests: requests.to_owned() }
}

/// Events whose data is a kilobyte of JSON.
fn kilobytes(count: usize) -> Vec<NewEvent> {
    let data = json!({"text": "x".repeat(1000 - r#"{"text":""}"#.len())});
    (0..count).map(|_| NewEvent::new("Tested", data.clone()).unwrap()).collect()
}

async fn appended(fixture: &Fixture, stream: &str, count: usize) -> Usage {
    let outcome = fixture.given(stream, &kilobytes(count)).await;
    let receipt = outcome.into_receipt();
    let mut usage = Usage::default();
    (usage.request_charge, usage.round_trips) = (receipt.request_charge, receipt.round_trips);
    usage
}

async fn of_appends(fixture: &Fixture, lines: &mut Vec<Line>) {
    let new = |stream, expected, events| fixture.store.append(stream, expected, events);
    let usage = |outcome: cosmos_event_store::AppendOutcome| {
        let receipt = outcome.into_receipt();
        (receipt.request_charge, receipt.round_trips.to_string())
    };
    let mut push = |what: &str, (charge, requests): (f64, String)| {
        lines.push(measured(what, charge, &requests));
    };
    let first = kilobytes(1);
    let outcome = new("a", ExpectedVersion::NoStream, first.clone()).await.unwrap();
    push("append of 1 event, the first of its stream", usage(outcome));
    let outcome = new("a", ExpectedVersion::Exact(1), kilobytes(1)).await.unwrap();
    push("append of 1 event", usage(outcome));
    let outcome = new("a", ExpectedVersion::Exact(2), kilobytes(10)).await.unwrap();
    push("append of 10 events", usage(outcome));
    let outcome = new("a", ExpectedVersion::NoStream, first).await.unwrap();
    assert!(outcome.is_repeated());
    push("append of 1 event that is repeated", usage(outcome));
    let error = new("a", ExpectedVersion::Exact(11), kilobytes(1)).await.unwrap_err();
    assert!(matches!(error, AppendError::Conflict { .. }), "{error:?}");
    let spent = error.usage();
    push("append of 1 event that conflicts", (spent.request_charge, spent.round_trips.to_string()));
}

async fn of_reads(fixture: &Fixture, lines: &mut Vec<Line>) {
    appended(fixture, "page", 50).await;
    appended(fixture, "page", 50).await;
    let store = &fixture.store;
    lines.push(line("version of a stream", store.version("a").await.unwrap().usage));
    lines.push(line("point read of an event", store.read_event("a", 2).await.unwrap().usage));
    let read = store.read("page").up_to(10).all().await.unwrap();
    assert_eq!(read.events.len(), 10);
    lines.push(line("page of 10 events", read.usage));
    let read = store.read("page").page_events(100).all().await.unwrap();
    assert_eq!(read.events.len(), 100);
    lines.push(line("page of 100 events", read.usage));
}

async fn of_states(fixture: &Fixture, lines: &mut Vec<Line>) {
    let quotes = Repository::<Quote>::new(fixture.store.clone(), RepositoryOptions::default());
    let command = QuoteCommand {
        by: Actor::new("customer").unwrap(),
        at: "2026-11-20T10:00:00Z".parse().unwrap(),
        action: Action::try_from(InitiateInput::default()).unwrap(),
    };
    quotes.execute("quote-1", &command, CommandOptions::default()).await.unwrap();
    let cached = quotes.load("quote-1").await.unwrap().usage;
    lines.push(line("look whether a cached state is new", cached));
    quotes.close().await;
    let key = SnapshotKey::new("tested", 1).unwrap();
    let last_event_id = fixture.ids("a").await[0];
    let mut snapshot = Snapshot {
        version: 1,
        last_event_id,
        taken_at: "2026-11-20T10:00:00Z".parse().unwrap(),
        state: json!({"text": "x".repeat(1000)}),
    };
    let first = fixture.store.write_snapshot("a", &key, &snapshot).await.unwrap().usage;
    lines.push(line("snapshot, the first of its stream", first));
    snapshot.version = 2;
    let next = fixture.store.write_snapshot("a", &key, &snapshot).await.unwrap().usage;
    lines.push(line("snapshot", next));
    lines.push(line(
        "read of a snapshot",
        fixture.store.read_snapshot("a", &key).await.unwrap().usage,
    ));
}

/// Feed and views. What a view takes is what its very document takes, written by the plain SDK.
async fn of_read_models(fixture: &Fixture, lines: &mut Vec<Line>) {
    let options = fixture::options(fixture.endpoint.endpoint());
    let fields = FeedFields::new("/aggregateId", "/sequenceNumber").unwrap();
    let feed = CosmosFeed::open(&options, "events", fields).await.unwrap();
    let mut open = feed.open(&FeedRange::full(), &Position::Beginning).await.unwrap();
    let page = open.next_page().await.unwrap();
    let changes = f64::from(u32::try_from(page.changes.len()).unwrap());
    assert!(changes >= 100.0);
    lines.push(measured(
        "event out of the change feed, in a page of 100",
        page.request_charge / changes,
        "1/100",
    ));
    let catalog = Catalog::generic().unwrap();
    let models = ReadModels::open(&options, fixture.store.clone(), catalog).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let host = models.host("cost");
    let (stopped, reader) = (stop.clone(), models.clone());
    let working =
        tokio::spawn(async move { host.run(None, &stopped, Duration::from_secs(5)).await });
    let client = sdk::client(fixture.endpoint.endpoint()).await;
    let views =
        client.database_client(DATABASE).container_client("read-models", None).await.unwrap();
    let found = async {
        loop {
            let versions = reader.registry().get("stream-summary").await.unwrap();
            if let Some(version) = versions.live() {
                let shard = (0..version.shards).map(|shard| format!("stream-summary:1:{shard:04}"));
                for partition in shard {
                    if let Ok(read) = views.read_item(partition.clone(), "s:page", None).await {
                        return (partition, read.into_model::<Value>().unwrap());
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (partition, mut view) = tokio::time::timeout(Duration::from_secs(30), found).await.unwrap();
    stop.cancel();
    working.await.unwrap().unwrap();
    view["id"] = "s:copied".into();
    let created = views.create_item(partition.clone(), "s:copied", &view, None).await.unwrap();
    lines.push(measured("view that is created (`stream-summary`)", charge(&created), "1"));
    let replaced = views.replace_item(partition.clone(), "s:copied", &view, None).await.unwrap();
    lines.push(measured("view that is replaced (`stream-summary`)", charge(&replaced), "1"));
}

/// Leases, at the ten-fold pace; a beat costs what it costs.
async fn of_leases(fixture: &Fixture, lines: &mut Vec<Line>) {
    let options = fixture::options(fixture.endpoint.endpoint());
    let fields = FeedFields::new("/aggregateId", "/sequenceNumber").unwrap();
    let paced = ProcessorOptions::new("cost")
        .with_liveness(Duration::from_millis(100), Duration::from_secs(9));
    let (beat, poll, list) = {
        let usual = ProcessorOptions::new("usual");
        (usual.beat.as_secs_f64(), usual.poll_max.as_secs_f64(), 60.0)
    };
    let running = CosmosProcessor::new(&options, "events", fields.clone())
        .named("cost")
        .start(paced, Arc::new(Nothing))
        .await
        .unwrap();
    running.wait_caught_up().await.unwrap();
    let looking = CosmosLeases::open(&options, "leases", "cost").await.unwrap();
    let beats = async || {
        let listed = looking.list().await.unwrap();
        let host = listed.iter().find_map(|found| match &found.document {
            Document::Host(host) => Some(host.beat),
            _ => None,
        });
        f64::from(u32::try_from(host.unwrap()).unwrap())
    };
    let (first, before) = (beats().await, running.metrics().leases_charge);
    let mut last = first;
    while last < first + 40.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        last = beats().await;
    }
    let of_beat = (running.metrics().leases_charge - before) / (last - first);
    lines.push(measured("beat of a host", of_beat, "1"));
    running.shutdown(Duration::from_secs(5)).await.unwrap();
    let (listed, of_list) = spent(&looking, looking.list()).await;
    let lease =
        listed.unwrap().into_iter().find(|found| matches!(found.document, Document::Lease(_)));
    let lease = lease.unwrap();
    let replace = vec![Operation::Replace { document: lease.document, etag: lease.etag }];
    let (done, of_checkpoint) = spent(&looking, looking.commit(replace)).await;
    done.unwrap();
    lines.push(measured("checkpoint of a lease", of_checkpoint, "1"));
    let feed = CosmosFeed::open(&options, "events", fields).await.unwrap().with_page_changes(1);
    let now = feed.now(&FeedRange::full()).await.unwrap();
    let mut open = feed.open(&FeedRange::full(), &Position::Continuation(now)).await.unwrap();
    let of_poll = open.next_page().await.unwrap().request_charge;
    lines.push(measured("poll of a lease with nothing new", of_poll, "1"));
    lines.push(measured("lag of a processor with one lease", of_list + of_poll, "2"));
    let per_hour = HOUR / beat * of_beat + HOUR / list * of_list + HOUR / poll * of_poll;
    let requests = HOUR / beat + HOUR / list + HOUR / poll;
    lines.push(measured(
        "idle host of a processor with one lease, an hour",
        per_hour,
        &format!("{requests:.0}"),
    ));
}

async fn spent<T>(leases: &CosmosLeases, work: impl Future<Output = T>) -> (T, f64) {
    let before = leases.request_charge();
    let done = work.await;
    (done, leases.request_charge() - before)
}

fn charge(response: &ItemResponse) -> f64 {
    response.diagnostics().total_request_charge().value()
}

struct Nothing;

impl Handler for Nothing {
    fn handle<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_cost_what_the_page_says() {
    let fixture = Fixture::new().await;
    let mut lines = Vec::new();
    of_appends(&fixture, &mut lines).await;
    of_reads(&fixture, &mut lines).await;
    of_states(&fixture, &mut lines).await;
    of_read_models(&fixture, &mut lines).await;
    of_leases(&fixture, &mut lines).await;
    let table = lines.iter().fold(String::new(), |table, Line { what, charge, requests }| {
        table + &format!("| {what} | {charge:.1} | {requests} |\n")
    });
    let rows = rows("What operations take");
    assert_eq!(rows.len(), lines.len(), "measured:\n{table}");
    for (row, line) in rows.iter().zip(&lines) {
        let said: f64 = row[1].replace(',', "").parse().unwrap();
        let is_near = (said - line.charge).abs() <= (line.charge * TOLERANCE).max(0.06);
        assert!(
            row[0] == line.what && is_near && row[2].replace(',', "") == line.requests,
            "the page says {row:?}, measured:\n{table}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_take_the_room_that_the_page_says() {
    let fixture = Fixture::new().await;
    appended(&fixture, "a", 1).await;
    let container = sdk::events_container(fixture.endpoint.endpoint()).await;
    let read = container.read_item("a", &format!("{:020}", 1), None).await.unwrap();
    let document: Value = read.into_model().unwrap();
    let bytes = document.to_string().len();
    let data = document["data"].to_string().len();
    let around = bytes - data;
    let text = section(&page(), "Room");
    let said = text.split("about ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let said: usize = said.parse().unwrap();
    assert!(
        said.abs_diff(around) <= said / 10,
        "{around} bytes beside the data, the page says {said}"
    );
}
