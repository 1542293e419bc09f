//! The connection to an account, for every module that keeps something in Cosmos DB.
//!
//! This is the one place that makes clients and that says what a status of the SDK means. What is sent
//! over a connection is the business of the modules named `cosmos` inside of others. Nothing here is
//! left to defaults that the environment can change.

mod account;
mod failure;
mod limits;

use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_data_cosmos::{
    AccountEndpoint, AccountReference, CosmosClient, CosmosError, CosmosRuntime, RoutingStrategy,
    options::{
        BinaryEncodingOptions, ConnectionPoolOptions, ContentResponseOnWrite,
        EndToEndOperationLatencyPolicy, OperationOptions, OperationOptionsBuilder, Region,
        ThrottlingRetryOptionsBuilder,
    },
};
use azure_identity::{
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential,
};
use thiserror::Error;

pub(crate) use self::account::read_account;
pub use self::account::{AccountFault, AccountProperties};
pub(crate) use self::{
    failure::{answer_was_lost, is_definite_refusal, may_be_carried_out, status_of},
    limits::{TimeLimits, Unanswered},
};
use crate::config::{Credential, StoreOptions};

/// How often the SDK repeats a throttled request.
const THROTTLE_RETRIES_MAX: u32 = 9;

/// Why there is no client.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    /// The account does not answer, or its address is wrong.
    #[error("the account cannot be reached")]
    Account(#[source] CosmosError),
    /// The credential cannot be made from its settings.
    #[error("the credential cannot be used")]
    Credential(#[source] azure_core::Error),
}

/// The options of every operation: texts instead of the binary form, a limit of time, and bodies of
/// written documents only where they are wanted.
pub(crate) fn operation_options(
    limits: TimeLimits,
    content: ContentResponseOnWrite,
) -> OperationOptions {
    let throttling = ThrottlingRetryOptionsBuilder::new()
        .with_max_retry_count(THROTTLE_RETRIES_MAX)
        .with_max_retry_wait_time(limits.throttle_wait_max)
        .build();
    OperationOptionsBuilder::new()
        .with_content_response_on_write(content)
        .with_binary_encoding(BinaryEncodingOptions::new().with_enabled(false))
        .with_end_to_end_latency_policy(EndToEndOperationLatencyPolicy::new(limits.time_max))
        .with_throttling_retry_options(throttling)
        .build()
}

/// Makes a client of the account, and reads the account's properties.
pub(crate) async fn connect(options: &StoreOptions) -> Result<CosmosClient, ConnectError> {
    let endpoint: AccountEndpoint = options.endpoint.parse().map_err(ConnectError::Account)?;
    // HTTP/1.1 answers faster than HTTP/2 on loopback, where connections cost nothing.
    let pool = ConnectionPoolOptions::builder()
        .with_is_http2_allowed(!is_loopback(&options.endpoint))
        .build()
        .map_err(ConnectError::Account)?;
    // Every client has a runtime of its own: connections belong to the tokio runtime that made them,
    // and one that is shared by the process would outlive that.
    let runtime = Box::pin(CosmosRuntime::builder().with_connection_pool(pool).build())
        .await
        .map_err(ConnectError::Account)?;
    let routing = match &options.region {
        Some(region) => RoutingStrategy::ProximityTo(Region::from(region.clone())),
        None => RoutingStrategy::PreferredRegions(Vec::new()),
    };
    let account = account(endpoint, &options.credential).map_err(ConnectError::Credential)?;
    Box::pin(CosmosClient::builder().with_runtime(runtime).build(account, routing))
        .await
        .map_err(ConnectError::Account)
}

fn account(
    endpoint: AccountEndpoint,
    credential: &Credential,
) -> Result<AccountReference, azure_core::Error> {
    Ok(match signing(credential)? {
        Signing::Key(key) => AccountReference::with_authentication_key(endpoint, key),
        Signing::Tokens(tokens) => AccountReference::with_credential(endpoint, tokens),
    })
}

/// What signs requests.
enum Signing {
    Key(Secret),
    Tokens(Arc<dyn TokenCredential>),
}

fn signing(credential: &Credential) -> Result<Signing, azure_core::Error> {
    Ok(Signing::Tokens(match credential {
        Credential::Key(key) => return Ok(Signing::Key(Secret::new(key.clone()))),
        Credential::ManagedIdentity { client_id } => {
            let user_assigned_id = client_id.clone().map(UserAssignedId::ClientId);
            let options =
                ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() };
            ManagedIdentityCredential::new(Some(options))?
        }
        Credential::WorkloadIdentity => WorkloadIdentityCredential::new(None)?,
        Credential::DeveloperTools => DeveloperToolsCredential::new(None)?,
    }))
}

/// Whether an endpoint is on this machine.
pub(crate) fn is_loopback(endpoint: &str) -> bool {
    let Ok(endpoint) = endpoint.parse::<AccountEndpoint>() else { return false };
    match endpoint.url().host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_by_the_host() {
        for endpoint in [
            "http://localhost:8081",
            "http://127.0.0.1:1/",
            "https://127.1.2.3",
            "http://[::1]:8081/",
        ] {
            assert!(is_loopback(endpoint), "{endpoint}");
        }
        for endpoint in ["https://account.documents.azure.com/", "http://10.0.0.1", "nonsense"] {
            assert!(!is_loopback(endpoint), "{endpoint}");
        }
    }
}
