//! Making a database ready, and refusing one that is not.

use cosmos_event_store::{
    EventStore, StoreErrorKind, provision,
    store::{ProvisionError, ProvisionReport},
};
use cosmos_local::LocalCosmos;

use crate::fixture::options;

#[tokio::test]
async fn provisioning_creates_once_and_is_safe_to_repeat() {
    let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
    let options = options(endpoint.endpoint());
    let ProvisionReport { created, existing, .. } = provision(&options).await.unwrap();
    assert_eq!(created, ["events", "snapshots", "read-models", "leases"]);
    assert!(existing.is_empty());
    let ProvisionReport { created, existing, .. } = provision(&options).await.unwrap();
    assert!(created.is_empty());
    assert_eq!(existing, ["events", "snapshots", "read-models", "leases"]);
}

#[tokio::test]
async fn paths_that_an_older_store_lacks_are_added_to_its_index() {
    use azure_data_cosmos::models::{
        ContainerProperties, IndexingPolicy, PropertyPath, TimeToLive,
    };
    let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
    let options = options(endpoint.endpoint());
    let sdk = crate::sdk::client(endpoint.endpoint()).await;
    sdk.create_database("test", None).await.unwrap();
    let path = |path: &str| PropertyPath::default().with_path(path.to_owned());
    let mut indexing = IndexingPolicy::default()
        .with_indexing_mode(azure_data_cosmos::models::IndexingMode::Consistent)
        .with_included_path(path("/partitionKey/?"))
        .with_included_path(path("/own/?"))
        .with_excluded_path(path("/*"));
    indexing.automatic = true;
    let older = ContainerProperties::new("read-models", "/partitionKey".into())
        .with_indexing_policy(indexing)
        .with_default_ttl(TimeToLive::NoDefault);
    let database = sdk.database_client("test");
    database.create_container(older, None).await.unwrap();
    let report = provision(&options).await.unwrap();
    assert_eq!(report.existing, ["read-models"]);
    let container = database.container_client("read-models", None).await.unwrap();
    let found = container.read(None).await.unwrap().into_model().unwrap();
    let mut paths: Vec<String> =
        found.indexing_policy.unwrap().included_paths.into_iter().map(|one| one.path).collect();
    paths.sort();
    assert_eq!(paths, ["/kind/?", "/own/?", "/partitionKey/?", "/sort/*"]);
}

#[tokio::test]
async fn a_store_needs_its_containers() {
    let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
    let error = EventStore::connect(options(endpoint.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotProvisioned, "{error:?}");
}

#[tokio::test]
async fn a_container_that_differs_is_refused_with_every_difference_and_left_alone() {
    let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
    let options = options(endpoint.endpoint());
    let sdk = crate::sdk::client(endpoint.endpoint()).await;
    sdk.create_database("test", None).await.unwrap();
    let other = azure_data_cosmos::models::ContainerProperties::new("events", "/id".into());
    sdk.database_client("test").create_container(other, None).await.unwrap();
    for _ in 0..2 {
        let Err(ProvisionError::Unfit { database, problems }) = provision(&options).await else {
            panic!()
        };
        assert_eq!(database, "test");
        assert!(
            problems.contains(
                &"container \"events\": its partition key is /id, not /aggregateId".to_owned()
            ),
            "{problems:?}"
        );
        assert!(
            problems.contains(
                &"container \"events\": its unique keys is none, not /eventId".to_owned()
            ),
            "{problems:?}"
        );
    }
}

#[tokio::test]
async fn wrong_keys_are_denied() {
    let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
    let options = cosmos_event_store::StoreOptions::new(
        endpoint.endpoint(),
        cosmos_event_store::Credential::key("c29tZSBvdGhlciBrZXk="),
        "test",
    );
    let Err(ProvisionError::Store(error)) = provision(&options).await else { panic!() };
    assert_eq!(error.kind(), StoreErrorKind::Denied, "{error:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_a_configuration_error() {
    let error = EventStore::connect(options("no endpoint")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration, "{error:?}");
}
