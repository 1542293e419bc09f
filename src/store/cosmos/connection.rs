//! The connection to the events container: batches and point reads.

use std::time::Duration;

use azure_data_cosmos::{
    ContainerClient, CosmosClient, CosmosError, DatabaseClient, TransactionalBatch,
    models::TransactionalBatchOperationResult,
    options::{BatchOptions, ContentResponseOnWrite, ItemReadOptions, OperationOptions},
};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::{
    Answered, BATCH_TIME_MAX, EVENTS_CONTAINER, READ_TIME_MAX, THROTTLE_WAIT_MAX,
    failure::{connect_error, kind_of, store_error, usage_of},
};
use crate::{
    config::StoreOptions,
    cosmos::{self, TimeLimits, is_definite_refusal, may_be_carried_out, status_of},
    store::{
        document::EventDocument,
        error::{StoreError, StoreErrorKind},
        plan::BatchAnswer,
        usage::{SessionToken, Usage},
    },
};

/// A connection to the containers of one database.
pub(crate) struct Connection {
    pub(super) events: ContainerClient,
    pub(super) snapshots: OnceCell<ContainerClient>,
    pub(super) database: DatabaseClient,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection(..)")
    }
}

impl Connection {
    /// Looks the container up.
    pub(crate) async fn open(client: &Client, database: &str) -> Result<Self, StoreError> {
        let database = client.0.database_client(database);
        let events = Box::pin(database.container_client(EVENTS_CONTAINER, None))
            .await
            .map_err(store_error)?;
        Ok(Self { events, snapshots: OnceCell::new(), database })
    }

    /// Sends a batch and says what the service made of it.
    pub(crate) async fn send_batch(
        &self,
        request: BatchRequest,
        time_left: Duration,
    ) -> Answered<BatchAnswer> {
        let options = BatchOptions::default()
            .with_operation_options(operation_options(BATCH_TIME_MAX.min(time_left)));
        match Box::pin(self.events.execute_transactional_batch(request.batch, Some(options))).await
        {
            Ok(response) => {
                let usage = usage_of(&response.diagnostics());
                let session_token = response
                    .headers()
                    .session_token()
                    .map(|token| SessionToken::new(token.as_str()));
                let value = if u16::from(response.status().status_code()) == 200 {
                    BatchAnswer::Created
                } else {
                    match response.into_model() {
                        Ok(body) => refusal(request.reads_predecessor, body.results()),
                        Err(error) => BatchAnswer::Failed {
                            error: StoreError::new(StoreErrorKind::Protocol).with_source(error),
                            maybe_stored: true,
                        },
                    }
                };
                Answered { value, usage, session_token }
            }
            Err(error) => {
                let maybe_stored = may_be_carried_out(&error);
                let error = store_error(error);
                let usage = error.usage();
                let value = match error.status() {
                    // The service reports it inside a 207; as a status it means the same.
                    Some((409, _)) => BatchAnswer::Occupied,
                    _ => BatchAnswer::Failed { error, maybe_stored },
                };
                Answered { value, usage, session_token: None }
            }
        }
    }

    /// Reads one document by its id; nothing where there is none.
    pub(crate) async fn read_item(
        &self,
        stream: &str,
        item_id: &str,
        session_token: Option<&SessionToken>,
    ) -> Answered<Result<Option<Box<RawValue>>, StoreError>> {
        let mut options =
            ItemReadOptions::default().with_operation_options(operation_options(READ_TIME_MAX));
        if let Some(token) = session_token {
            options = options.with_session_token(token.as_str().to_owned());
        }
        match Box::pin(self.events.read_item(stream.to_owned(), item_id, Some(options))).await {
            Ok(response) => {
                let usage = usage_of(&response.diagnostics());
                let session_token = response
                    .headers()
                    .session_token()
                    .map(|token| SessionToken::new(token.as_str()));
                let value = response.into_model::<Box<RawValue>>().map(Some).map_err(store_error);
                Answered { value, usage, session_token }
            }
            Err(error) => none_or_failed(error),
        }
    }
}

/// A batch in the making: everything in it is stored, or nothing.
pub(crate) struct BatchRequest {
    batch: TransactionalBatch,
    reads_predecessor: bool,
}

impl BatchRequest {
    /// An empty batch for one stream.
    pub(crate) fn new(stream: &str) -> Self {
        Self { batch: TransactionalBatch::new(stream.to_owned()), reads_predecessor: false }
    }

    /// Requires that a document is there.
    pub(crate) fn read(mut self, item_id: String) -> Self {
        self.batch = self.batch.read_item(item_id, None);
        self.reads_predecessor = true;
        self
    }

    /// Requires that a document is not there, and stores it.
    pub(crate) fn create(mut self, document: &EventDocument<'_>) -> Result<Self, StoreError> {
        self.batch = self.batch.create_item(document).map_err(store_error)?;
        Ok(self)
    }
}

/// What a refused batch means: one operation says why, the others only that they were not done.
fn refusal(reads_predecessor: bool, results: &[TransactionalBatchOperationResult]) -> BatchAnswer {
    let cause = results
        .iter()
        .enumerate()
        .find(|(_, result)| !result.is_success() && result.status_code() != 424);
    let Some((index, result)) = cause else {
        let error = StoreError::new(StoreErrorKind::Protocol)
            .with_source("a batch was neither stored nor refused");
        return BatchAnswer::Failed { error, maybe_stored: true };
    };
    let (status, sub_status) = (result.status_code(), result.substatus_code().unwrap_or(0));
    let error = StoreError::new(kind_of(status, sub_status))
        .with_status(status, sub_status)
        .with_retry_after(result.retry_after());
    match status {
        409 => BatchAnswer::Occupied,
        404 if index == 0 && reads_predecessor => BatchAnswer::PredecessorMissing,
        429 | 449 => BatchAnswer::Busy(error),
        _ => BatchAnswer::Failed { error, maybe_stored: !is_definite_refusal(status, sub_status) },
    }
}

/// The options of every operation; see the module's documentation.
pub(super) fn operation_options(time_max: Duration) -> OperationOptions {
    let limits = TimeLimits { time_max, throttle_wait_max: THROTTLE_WAIT_MAX };
    cosmos::operation_options(limits, ContentResponseOnWrite::Disabled)
}

/// A client of an account.
pub(crate) struct Client(pub(super) CosmosClient);

/// Makes a client of the account, and reads the account's properties.
pub(crate) async fn connect(options: &StoreOptions) -> Result<Client, StoreError> {
    Box::pin(cosmos::connect(options)).await.map(Client).map_err(connect_error)
}

/// A document that is not there is an answer: a plain 404 (sub-status 0). Other ones are about what
/// contains it, or about a session that is ahead.
pub(super) fn none_or_failed<T>(error: CosmosError) -> Answered<Result<Option<T>, StoreError>> {
    let missing = status_of(&error) == (404, 0);
    let error = store_error(error);
    let usage = error.usage();
    let value = if missing { Ok(None) } else { Err(error) };
    Answered { value, usage, session_token: None }
}

/// What an operation that failed before it was sent took.
pub(super) fn failed<T>(error: StoreError) -> Answered<Result<T, StoreError>> {
    let usage: Usage = error.usage();
    Answered { value: Err(error), usage, session_token: None }
}
