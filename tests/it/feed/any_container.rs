//! A processor of a container with documents of any kind, as a user starts it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_data_cosmos::models::{ContainerProperties, PartitionKeyValue};
use cosmos_event_store::{
    feed::{
        CosmosProcessor, Delivery, FeedFields, Handler, HandlerFault, InvalidOptions,
        ProcessorOptions, StartError, documents::Start,
    },
    provision,
};
use cosmos_local::LocalCosmos;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::{
    fixture::{DATABASE, options},
    sdk,
};

/// How long the test waits for what should happen within moments.
const PATIENCE: Duration = Duration::from_mins(2);

/// The totals of the orders that came, by customer, in the order in which they came.
#[derive(Clone, Default)]
struct Totals(Arc<Mutex<BTreeMap<String, Vec<u64>>>>);

impl Totals {
    fn read(&self) -> BTreeMap<String, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Handler for Totals {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        Box::pin(async move {
            let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for change in delivery.changes.iter() {
                let order: Value = serde_json::from_str(change.document.get())
                    .map_err(|_| HandlerFault::poison("it is no JSON"))?;
                let total = order["total"].as_u64().ok_or(HandlerFault::poison("no total"))?;
                totals.entry(delivery.key.clone()).or_default().push(total);
            }
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_with_documents_of_any_kind_is_processed() {
    let endpoint = LocalCosmos::builder().ephemeral().partitions(2).start().await.unwrap();
    let account = options(endpoint.endpoint());
    provision(&account).await.unwrap();
    let client = sdk::client(endpoint.endpoint()).await;
    let database = client.database_client(DATABASE);
    let properties = ContainerProperties::new("orders", "/customer".into());
    database.create_container(properties, None).await.unwrap();
    let orders = database.container_client("orders", None).await.unwrap();
    let put = async |id: &str, customer: Value, total: Value| {
        let order = json!({"id": id, "customer": customer, "total": total});
        let key: PartitionKeyValue = match &customer {
            Value::String(text) => text.into(),
            other => other.as_bool().unwrap().into(),
        };
        orders.upsert_item(key, id, &order, None).await.unwrap();
    };
    put("1", json!("anna"), json!(10)).await;
    put("2", json!(true), json!(20)).await;
    put("3", json!("ben"), json!("much")).await;

    let totals = Totals::default();
    let fields = FeedFields::new("/customer", "/_ts").unwrap();
    let processor =
        CosmosProcessor::new(&account, "orders", fields).named("totals").page_changes(2);
    let wrong = processor.clone().start(ProcessorOptions::new(""), Arc::new(totals.clone())).await;
    assert_eq!(wrong.err(), Some(StartError::Options(InvalidOptions::Instance)));
    let wrong = processor.clone().leases("nowhere");
    let wrong = wrong.start(ProcessorOptions::new("a"), Arc::new(totals.clone())).await;
    assert!(matches!(wrong.err(), Some(StartError::Leases(_))));

    let options = ProcessorOptions::new("a").with_start(Start::Beginning);
    let host = processor.start(options, Arc::new(totals.clone())).await.unwrap();
    host.wait_caught_up().await.unwrap();
    // A document that is changed comes again, as it is then.
    put("1", json!("anna"), json!(11)).await;
    host.wait_caught_up().await.unwrap();
    let expected =
        BTreeMap::from([("anna".to_owned(), vec![10, 11]), ("=true".to_owned(), vec![20])]);
    assert_eq!(totals.read(), expected);
    let parked = host.control().overview().await.unwrap().parked;
    assert_eq!((parked[0].key.as_str(), parked[0].reason.as_str()), ("ben", "no total"));

    // It is put right, and tried again.
    put("3", json!("ben"), json!(30)).await;
    host.control().redrive("ben", None).await.unwrap();
    let is_tried = async {
        while totals.read().get("ben") != Some(&vec![30]) || !host.status().parked.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, is_tried).await.is_ok(), "{:?}", host.status());
    host.shutdown(Duration::from_secs(10)).await.unwrap();
    endpoint.shutdown().await.unwrap();
}
