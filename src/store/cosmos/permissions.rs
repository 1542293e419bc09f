//! What an identity may do with documents, found out without changing any.

use azure_data_cosmos::CosmosError;
use uuid::Uuid;

use super::{connection::Client, failure::store_error};
use crate::{cosmos::status_of, store::error::StoreError};

/// The partition of the documents that are asked for. No stream, view or processor is there, for their
/// documents have other ids.
const PARTITION: &str = "permission-probe";

/// What is not allowed in a container: `read`, `write`, or both. A document that is not there is read and
/// deleted: each takes its permission, and changes nothing.
pub(crate) async fn missing_permissions(
    client: &Client,
    database: &str,
    container: &str,
) -> Result<Vec<&'static str>, StoreError> {
    let database = client.0.database_client(database);
    let container =
        Box::pin(database.container_client(container, None)).await.map_err(store_error)?;
    let id = Uuid::new_v4().to_string();
    let read = Box::pin(container.read_item(PARTITION, &id, None)).await;
    let deleted = Box::pin(container.delete_item(PARTITION, &id, None)).await;
    let mut missing = Vec::new();
    if is_denied(read.err())? {
        missing.push("read");
    }
    if is_denied(deleted.err())? {
        missing.push("write");
    }
    Ok(missing)
}

fn is_denied(error: Option<CosmosError>) -> Result<bool, StoreError> {
    match error {
        None => Ok(false),
        Some(error) => match status_of(&error).0 {
            404 => Ok(false),
            401 | 403 => Ok(true),
            _ => Err(store_error(error)),
        },
    }
}
