//! Aggregates: commands become events, decided on a state that is folded from events.
//!
//! An [`Aggregate`] is pure: [`initial`](Aggregate::initial), [`evolve`](Aggregate::evolve) and
//! [`decide`](Aggregate::decide) read no clock, draw no random numbers and do no IO. Its events are
//! a [`DomainEvent`]: an enum of serde with stable names and versions, read and written by an
//! [`EventSchema`], which also turns events of old versions into what the program knows today.
//!
//! This module knows nothing of Cosmos DB's wire types and nothing of HTTP.

mod cache;
mod command;
mod decode;
mod foresight;
pub mod kit;
mod lanes;
mod repository;
mod schema;
mod snapshots;
mod variant;

pub use self::{
    command::{
        COMMAND_ID_CHARS_MAX, COMMAND_NAMESPACE, CommandError, CommandId, CommandOptions,
        CommandOutcome, Executed, FINGERPRINT_KEY, Freshness, InvalidCommandId, LoadError,
    },
    decode::{DecodeError, DecodeProblem, EncodeError, UpcastError},
    repository::{
        CACHED_STATES_MAX, DECISIONS_MAX, LoadOptions, Loaded, Repository, RepositoryOptions,
    },
    schema::{EventSchema, SchemaProblem, Upcaster},
    snapshots::{SNAPSHOT_AFTER, Snapshots},
};
use crate::event::{NewEvent, RecordedEvent};

/// The state of one stream and the rules by which it changes. Pure; the repository does the rest.
///
/// ```
/// use cosmos_event_store::aggregate::{
///     Aggregate, DecodeError, DomainEvent, EncodeError, EventSchema,
/// };
/// use cosmos_event_store::{NewEvent, RecordedEvent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// enum AccountEvent {
///     Deposited { cents: u64 },
///     Withdrawn { cents: u64 },
/// }
///
/// static SCHEMA: EventSchema = EventSchema::new(&[("Deposited", 1), ("Withdrawn", 1)]);
///
/// impl DomainEvent for AccountEvent {
///     fn encode(&self) -> Result<NewEvent, EncodeError> {
///         SCHEMA.encode(self)
///     }
///
///     fn decode(event: &RecordedEvent) -> Result<Option<Self>, DecodeError> {
///         SCHEMA.decode_or_fail(event)
///     }
/// }
///
/// #[derive(Debug, Clone, PartialEq)]
/// struct Account {
///     cents: u64,
/// }
///
/// enum Command {
///     Deposit(u64),
///     Withdraw(u64),
/// }
///
/// #[derive(Debug, PartialEq, thiserror::Error)]
/// #[error("the balance is too low")]
/// struct BalanceTooLow;
///
/// impl Aggregate for Account {
///     type Event = AccountEvent;
///     type Command = Command;
///     type Rejection = BalanceTooLow;
///
///     const TYPE: &'static str = "account";
///
///     fn initial() -> Self {
///         Self { cents: 0 }
///     }
///
///     fn evolve(self, event: &AccountEvent) -> Self {
///         match event {
///             AccountEvent::Deposited { cents } => Self { cents: self.cents + cents },
///             AccountEvent::Withdrawn { cents } => Self { cents: self.cents - cents },
///         }
///     }
///
///     fn decide(&self, command: &Command) -> Result<Vec<AccountEvent>, BalanceTooLow> {
///         match *command {
///             Command::Deposit(cents) => Ok(vec![AccountEvent::Deposited { cents }]),
///             Command::Withdraw(cents) if cents > self.cents => Err(BalanceTooLow),
///             Command::Withdraw(cents) => Ok(vec![AccountEvent::Withdrawn { cents }]),
///         }
///     }
/// }
///
/// use cosmos_event_store::aggregate::kit::given;
///
/// given::<Account>([AccountEvent::Deposited { cents: 5 }])
///     .when(&Command::Withdraw(7))
///     .then_rejected(&BalanceTooLow);
/// ```
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// What happens to it.
    type Event: DomainEvent;
    /// What it is asked to do.
    type Command: Send + Sync;
    /// Why it does not: a rule that the command would break.
    type Rejection: std::error::Error + Send + Sync + 'static;

    /// The type that is stored with each event; see
    /// [`AppendOptions::aggregate_type`](crate::AppendOptions::aggregate_type).
    const TYPE: &'static str;

    /// The version of the state's shape and of the rules that fold it. Raise it with every change of
    /// [`evolve`](Self::evolve) or of the fields: snapshots of other versions are then passed over.
    const STATE_SCHEMA: u32 = 1;

    /// The state of an empty stream.
    fn initial() -> Self;

    /// The state after an event. It must take every event that [`decide`](Self::decide) ever gave: what
    /// has happened cannot be refused.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// The events that a command leads to; none when there is nothing to do.
    ///
    /// # Errors
    ///
    /// The rule that the command would break.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;
}

/// An event of an aggregate, to and from its stored form.
///
/// Both functions are usually one line that hands the work to an [`EventSchema`]. What is not part
/// of the data, such as [actor](crate::Metadata::actor) and
/// [time](NewEvent::with_occurred_at), is added here and read back here.
///
/// A state is only ever folded from events that [`decode`](Self::decode) gave: the repository reads
/// what it is about to append, and an event that cannot be read back is not appended.
pub trait DomainEvent: Clone + Send + Sync + 'static {
    /// The event to append. Its id is set by the repository.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the event cannot be stored as it is.
    fn encode(&self) -> Result<NewEvent, EncodeError>;

    /// The event as this program knows it, or nothing for one that it skips on purpose.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for an event that this program cannot read.
    fn decode(event: &RecordedEvent) -> Result<Option<Self>, DecodeError>;
}
