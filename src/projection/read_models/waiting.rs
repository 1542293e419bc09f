//! Waiting until an append is visible in a read model.

use std::time::Duration;

use futures::TryStreamExt as _;

use super::{InvalidToken, ReadModelError, ReadModels, ReceiptToken};
use crate::{
    event::RecordedEvent,
    feed::{
        Done, LeaseStore as _, Operation, StoreFault,
        documents::{Document, parked_id},
    },
    projection::{HistoryFault, Projection, ViewKey, definition::Site, document::view_id},
    store::{ReadError, StoreErrorKind},
};

/// The first wait between two looks.
const LOOK_MIN: Duration = Duration::from_millis(4);
/// The longest wait between two looks: each costs a point read.
const LOOK_MAX: Duration = Duration::from_millis(50);
/// How often it is looked whether the stream is parked.
const PARKED_LOOK: Duration = Duration::from_millis(300);

/// What waiting came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// Everything of the stream up to there that concerns the projection is in the read model.
    Applied,
    /// Nothing was left to wait for: no event up to there that is not in it concerns the projection.
    Irrelevant,
    /// The stream is parked before it: it will not be visible until an operator tries it again.
    Parked {
        /// Why.
        reason: String,
    },
    /// It is not visible yet.
    TimedOut,
}

/// What has to be in the read model.
enum Goal {
    /// This event, and all before it.
    Event(u64),
    /// Nothing that is not in it.
    Nothing,
    /// The append is not visible yet.
    Unknown,
}

impl ReadModels {
    /// Waits until what was appended is visible in a read model, at most for so long. A point read for each
    /// look, every 4 to 50 ms, and a query where events are to be told apart that concern the projection.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn wait_for(
        &self,
        name: &str,
        token: &ReceiptToken,
        time_max: Duration,
    ) -> Result<Waited, ReadModelError> {
        let waiting = Box::pin(self.wait(name, token));
        match tokio::time::timeout(time_max, waiting).await {
            Ok(waited) => waited,
            Err(_) => Ok(Waited::TimedOut),
        }
    }

    async fn wait(&self, name: &str, token: &ReceiptToken) -> Result<Waited, ReadModelError> {
        let projection = self.projection(name)?;
        let clock = &self.account().clock;
        let mut look = LOOK_MIN;
        let mut goal = Goal::Unknown;
        let mut looked_at_parked = clock.monotonic();
        loop {
            if let Some(live) = self.live(name).await? {
                let applied = self.applied(live, &token.stream).await?;
                if applied >= token.last {
                    return Ok(Waited::Applied);
                }
                if matches!(goal, Goal::Unknown) {
                    goal = self.goal(projection, token, applied).await?;
                }
                match goal {
                    Goal::Nothing => return Ok(Waited::Irrelevant),
                    Goal::Event(needed) if applied >= needed => return Ok(Waited::Applied),
                    Goal::Event(needed) => {
                        let now = clock.monotonic();
                        if now.saturating_sub(looked_at_parked) >= PARKED_LOOK {
                            looked_at_parked = now;
                            if let Some(reason) = self.parked(live, token, needed).await? {
                                return Ok(Waited::Parked { reason });
                            }
                        }
                    }
                    Goal::Unknown => {}
                }
            }
            tokio::time::sleep(look).await;
            look = look.saturating_mul(2).min(LOOK_MAX);
        }
    }

    /// Up to which event a stream is in a version.
    async fn applied(&self, live: Site<'_>, stream: &str) -> Result<u64, ReadModelError> {
        let partition = live.partition_of(stream);
        let found = self.views().read(&partition, &view_id(stream, &ViewKey::Stream)).await?;
        Ok(found.and_then(|found| found.document.last_sequence_number).unwrap_or_default())
    }

    /// The newest event of an append, or of before it, that concerns the projection and is not in it.
    async fn goal(
        &self,
        projection: &Projection,
        token: &ReceiptToken,
        applied: u64,
    ) -> Result<Goal, ReadModelError> {
        let mut read = self
            .store()
            .read(token.stream.as_str())
            .from(applied.saturating_add(1))
            .up_to(token.last);
        if let Some(token) = &token.session_token {
            read = read.session_token(token.clone());
        }
        let mut events = read.stream();
        let (mut needed, mut last) = (None, applied);
        while let Some(event) = events.try_next().await.map_err(|error| fault(error, token))? {
            last = event.sequence_number();
            if takes(projection, &event) {
                needed = Some(last);
            }
        }
        Ok(match needed {
            _ if last < token.last => Goal::Unknown,
            Some(needed) => Goal::Event(needed),
            None => Goal::Nothing,
        })
    }

    /// Why a stream is parked, if it is so at an event or before it.
    async fn parked(
        &self,
        live: Site<'_>,
        token: &ReceiptToken,
        needed: u64,
    ) -> Result<Option<String>, ReadModelError> {
        let read = Operation::Read { id: parked_id(&token.stream) };
        match self.leases(live.name, live.number).commit(vec![read]).await {
            Ok(done) => Ok(done.into_iter().find_map(|done| match done {
                Done::Read(found) => match found.document {
                    Document::Parked(parked) if parked.order <= needed => Some(parked.reason),
                    _ => None,
                },
                _ => None,
            })),
            Err(StoreFault::Conflict { .. }) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }
}

/// A read of the events that failed. What the store does not understand is the session token of the receipt,
/// where that has one: everything else of the read is made here.
fn fault(error: ReadError, token: &ReceiptToken) -> ReadModelError {
    let is_refused = matches!(
        &error,
        ReadError::Store(store)
            if matches!(store.kind(), StoreErrorKind::Rejected | StoreErrorKind::Protocol)
    );
    if is_refused && token.session_token.is_some() {
        return InvalidToken.into();
    }
    HistoryFault::from(error).into()
}

fn takes(projection: &Projection, event: &RecordedEvent) -> bool {
    projection.definition().takes_type(event.event_type().as_str())
}
