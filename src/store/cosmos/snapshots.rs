//! The snapshots container: point reads and conditional writes.

use azure_data_cosmos::{
    ContainerClient,
    options::{ItemReadOptions, ItemWriteOptions, Precondition},
};
use serde_json::value::RawValue;

use super::{
    Answered, Connection, READ_TIME_MAX, SNAPSHOTS_CONTAINER, WRITE_TIME_MAX,
    connection::{failed, none_or_failed, operation_options},
    failure::{store_error, usage_of},
};
use crate::{
    cosmos::status_of,
    store::{error::StoreError, usage::Usage},
};

/// A snapshot document and what names this very version of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) raw: Box<RawValue>,
    pub(crate) etag: Option<String>,
}

/// What a conditional write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is stored.
    Done,
    /// Somebody else has written in between.
    Overtaken,
}

impl Connection {
    /// The container, which is looked up when it is first needed: not every store uses snapshots.
    async fn snapshots(&self) -> Result<&ContainerClient, StoreError> {
        self.snapshots
            .get_or_try_init(|| Box::pin(self.database.container_client(SNAPSHOTS_CONTAINER, None)))
            .await
            .map_err(store_error)
    }

    /// Reads a snapshot; nothing where there is none.
    pub(crate) async fn read_snapshot(
        &self,
        stream: &str,
        item_id: &str,
    ) -> Answered<Result<Option<Found>, StoreError>> {
        let container = match self.snapshots().await {
            Ok(container) => container,
            Err(error) => return failed(error),
        };
        let options =
            ItemReadOptions::default().with_operation_options(operation_options(READ_TIME_MAX));
        match Box::pin(container.read_item(stream.to_owned(), item_id, Some(options))).await {
            Ok(response) => {
                let usage = usage_of(&response.diagnostics());
                let etag = response.headers().etag().map(ToString::to_string);
                let raw = response.into_model::<Box<RawValue>>().map_err(store_error);
                let value = raw.map(|raw| Some(Found { raw, etag }));
                Answered { value, usage, session_token: None }
            }
            Err(error) => none_or_failed(error),
        }
    }

    /// Creates a snapshot, or replaces the one with this etag.
    pub(crate) async fn write_snapshot(
        &self,
        stream: &str,
        item_id: &str,
        document: &RawValue,
        etag: Option<String>,
    ) -> Answered<Result<Written, StoreError>> {
        let container = match self.snapshots().await {
            Ok(container) => container,
            Err(error) => return failed(error),
        };
        let partition = stream.to_owned();
        let options =
            ItemWriteOptions::default().with_operation_options(operation_options(WRITE_TIME_MAX));
        let written = match etag {
            Some(etag) => {
                let options = options.with_precondition(Precondition::if_match(etag));
                Box::pin(container.replace_item(partition, item_id, document, Some(options))).await
            }
            None => {
                Box::pin(container.create_item(partition, item_id, document, Some(options))).await
            }
        };
        match written {
            Ok(response) => {
                let usage: Usage = usage_of(&response.diagnostics());
                Answered { value: Ok(Written::Done), usage, session_token: None }
            }
            Err(error) => {
                // 404: it was removed since it was read.
                let overtaken = matches!(status_of(&error), (409 | 412, _) | (404, 0));
                let error = store_error(error);
                let usage = error.usage();
                let value = if overtaken { Ok(Written::Overtaken) } else { Err(error) };
                Answered { value, usage, session_token: None }
            }
        }
    }
}
