//! The plain SDK, for tests that need documents or containers which the store would not make.

use azure_data_cosmos::{
    AccountReference, ContainerClient, CosmosClient, CosmosRuntime, RoutingStrategy,
};

use crate::fixture::{DATABASE, KEY};

/// A client of the endpoint.
pub(crate) async fn client(endpoint: &str) -> CosmosClient {
    let account = AccountReference::with_authentication_key(endpoint.parse().unwrap(), KEY);
    CosmosClient::builder()
        .with_runtime(CosmosRuntime::builder().build().await.unwrap())
        .build(account, RoutingStrategy::PreferredRegions(Vec::new()))
        .await
        .unwrap()
}

/// The events container of the endpoint.
pub(crate) async fn events_container(endpoint: &str) -> ContainerClient {
    let client = client(endpoint).await;
    client.database_client(DATABASE).container_client("events", None).await.unwrap()
}
