//! The requests that a page of events takes: at most one read and one write for each document that it
//! touches, and fewer where they go together.

use std::sync::Arc;

use cosmos_event_store::{
    RecordedEvent,
    projection::{
        Catalog, CosmosViews, Kind, Projection, ProjectionHandler, ViewQuery, ViewStore as _,
        generic::{StreamSummary, TypeTotals},
    },
};
use futures::future::join_all;

use crate::fixture::{self, Fixture, events};

const STREAMS: usize = 60;

/// A page of events, by stream.
type Page = Vec<(String, Vec<RecordedEvent>)>;

/// What a page took.
#[derive(Debug, PartialEq)]
struct Took {
    reads: u64,
    batches: u64,
    others: u64,
}

async fn appended(fixture: &Fixture) -> Page {
    let mut page = Vec::new();
    for stream in (0..STREAMS).map(|number| format!("cost-{number}")) {
        let before = fixture.events(&stream).await.len();
        fixture.given(&stream, &events(5)).await;
        let all = fixture.events(&stream).await;
        page.push((stream, all[before..].to_vec()));
    }
    page
}

/// Has all streams of a page applied at the same time, as the processor does.
async fn apply(fixture: &Fixture, handler: &ProjectionHandler, page: &Page) -> Took {
    fixture.control().reset_counts();
    let applied = page.iter().map(|(stream, events)| handler.apply(stream, events.clone()));
    for done in join_all(applied).await {
        done.unwrap();
    }
    let counts = fixture.control().reset_counts();
    let (reads, batches) = (counts.of("read_item"), counts.of("batch"));
    Took { reads, batches, others: counts.total - reads - batches }
}

fn handler(fixture: &Fixture, views: &CosmosViews, projection: &Projection) -> ProjectionHandler {
    let (views, store) = (Arc::new(views.clone()), Arc::new(fixture.store.clone()));
    ProjectionHandler::new(projection.clone(), 1, views, store)
}

async fn views_of(fixture: &Fixture) -> CosmosViews {
    let views = CosmosViews::open(&fixture::options(fixture.endpoint.endpoint())).await.unwrap();
    // The SDK reads the partitions of a container with the first query, which is not what is counted.
    let query = ViewQuery::of(vec![Kind::View], 1);
    views.query("warm-up", &query).await.unwrap();
    views
}

#[tokio::test]
async fn a_view_takes_one_read_and_one_write_a_page_at_the_most() {
    let fixture = Fixture::new().await;
    let views = views_of(&fixture).await;
    let projection = Catalog::new().with_views(StreamSummary).unwrap();
    let projection = projection.get(StreamSummary::NAME).unwrap();
    let streams = STREAMS as u64;

    let new = handler(&fixture, &views, projection);
    let page = appended(&fixture).await;
    let took = apply(&fixture, &new, &page).await;
    assert!(
        took.reads == 0 && took.others == 0,
        "views of new streams are not looked for: {took:?}"
    );
    assert!((1..=streams).contains(&took.batches), "{took:?}");
    assert_eq!(new.applied().writes, streams, "each view is written once for five events");

    let next = appended(&fixture).await;
    let took = apply(&fixture, &new, &next).await;
    assert!(took.reads == 0 && took.others == 0, "what was written is remembered: {took:?}");
    assert_eq!(new.applied().writes, 2 * streams);

    let other = handler(&fixture, &views, projection);
    let third = appended(&fixture).await;
    let took = apply(&fixture, &other, &third).await;
    assert!(took.reads == streams && took.others == 0, "one read of each view: {took:?}");
    assert!(took.batches <= streams, "{took:?}");

    let nothing = Took { reads: 0, batches: 0, others: 0 };
    for repeated in [&page, &next, &third] {
        assert_eq!(apply(&fixture, &other, repeated).await, nothing, "repeats cost nothing");
    }
    let again = handler(&fixture, &views, projection);
    let took = apply(&fixture, &again, &third).await;
    assert_eq!(took, Took { reads: streams, ..nothing }, "repeats are not written");
}

#[tokio::test]
async fn a_contribution_and_its_totals_take_one_batch() {
    let fixture = Fixture::new().await;
    let views = views_of(&fixture).await;
    let projection = Catalog::new().with_totals(TypeTotals).unwrap();
    let projection = projection.get(TypeTotals::NAME).unwrap();
    let shards = u64::from(projection.definition().shards);
    let streams = STREAMS as u64;

    let new = handler(&fixture, &views, projection);
    let page = appended(&fixture).await;
    let took = apply(&fixture, &new, &page).await;
    // One total in each shard, which may have been there.
    assert!(took.reads == shards && took.others == 0, "{took:?}");
    assert!((shards..=streams).contains(&took.batches), "{took:?}");
    assert_eq!(
        new.applied().writes,
        streams + took.batches,
        "a contribution each, a total each time"
    );

    let other = handler(&fixture, &views, projection);
    let next = appended(&fixture).await;
    let took = apply(&fixture, &other, &next).await;
    assert!(took.reads == streams + shards && took.others == 0, "{took:?}");
    assert!(took.batches <= streams, "{took:?}");
}
