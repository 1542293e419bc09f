//! The reference: the feed by the bare SDK, each range in a task of its own, documents as they come.

use std::{num::NonZeroU32, time::Instant};

use azure_data_cosmos::{
    AccountReference, ContainerClient, CosmosClient, CosmosRuntime, FeedScope, RoutingStrategy,
    models::ChangeFeedItem,
    options::{
        BinaryEncodingOptions, ChangeFeedOptions, ChangeFeedStartFrom, ConnectionPoolOptions,
        FeedOptions, MaxItemCountHint, OperationOptionsBuilder,
    },
};
use cosmos_event_store::feed::options::PAGE_CHANGES;
use futures::StreamExt as _;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use crate::account::Endpoint;

/// The events container. The connection is made as the library makes it: HTTP/1.1, which is the faster one
/// on loopback.
pub(crate) async fn container(endpoint: &Endpoint) -> ContainerClient {
    let pool = ConnectionPoolOptions::builder().with_is_http2_allowed(false).build().unwrap();
    let runtime = CosmosRuntime::builder().with_connection_pool(pool).build();
    let address = endpoint.address.parse().unwrap();
    let account = AccountReference::with_authentication_key(address, endpoint.key.clone());
    let client = CosmosClient::builder().with_runtime(Box::pin(runtime).await.unwrap());
    let routing = RoutingStrategy::PreferredRegions(Vec::new());
    let client = Box::pin(client.build(account, routing)).await.unwrap();
    let container = client.database_client("bench");
    Box::pin(container.container_client("events", None)).await.unwrap()
}

/// Reads everything; gives the documents, and how long it took in seconds.
pub(crate) async fn read_all(container: &ContainerClient) -> (u64, f64) {
    let ranges = Box::pin(container.read_feed_ranges(None)).await.unwrap();
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for range in ranges {
        let container = container.clone();
        tasks.spawn(Box::pin(read_range(container, FeedScope::range(range))));
    }
    let documents = tasks.join_all().await.into_iter().sum();
    (documents, started.elapsed().as_secs_f64())
}

async fn read_range(container: ContainerClient, scope: FeedScope) -> u64 {
    let page = MaxItemCountHint::Limit(NonZeroU32::new(PAGE_CHANGES).unwrap());
    let text = BinaryEncodingOptions::new().with_enabled(false);
    let operation = OperationOptionsBuilder::new().with_binary_encoding(text).build();
    let options = ChangeFeedOptions::default()
        .with_operation_options(operation)
        .with_feed_options(FeedOptions::default().with_max_item_count(page));
    let start = ChangeFeedStartFrom::Beginning;
    let reading = container.query_change_feed::<Box<RawValue>>(scope, start, Some(options));
    let mut pages = Box::pin(reading).await.unwrap();
    let mut documents = 0;
    loop {
        let items: Vec<ChangeFeedItem<Box<RawValue>>> =
            pages.next().await.unwrap().unwrap().into_items();
        if items.is_empty() {
            return documents;
        }
        documents += items.iter().filter(|item| item.current().is_some()).count() as u64;
    }
}
