//! Aggregates over the wire: an account that takes deposits and refuses to go below zero.

mod answers;
mod commands;
mod contention;
mod histories;
mod idempotency;
mod rules;
mod snapshots;

use cosmos_event_store::{
    EventStore, NewEvent, RecordedEvent,
    aggregate::{
        Aggregate, CommandId, CommandOptions, CommandOutcome, DecodeError, DomainEvent,
        EncodeError, EventSchema, Executed, Repository, RepositoryOptions,
    },
};
use serde::{Deserialize, Serialize};

/// What happens to an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum AccountEvent {
    Deposited { cents: u64 },
    Withdrawn { cents: u64 },
}

static SCHEMA: EventSchema = EventSchema::new(&[("Deposited", 1), ("Withdrawn", 1)]);

impl DomainEvent for AccountEvent {
    fn encode(&self) -> Result<NewEvent, EncodeError> {
        SCHEMA.encode(self)
    }

    fn decode(event: &RecordedEvent) -> Result<Option<Self>, DecodeError> {
        SCHEMA.decode_or_fail(event)
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    cents: u64,
    events: u64,
}

/// What an account is asked to do.
#[derive(Debug, Clone, Copy)]
enum Command {
    Deposit(u64),
    /// Two events in one commit.
    DepositTwice(u64),
    Withdraw(u64),
    /// Everything that is there; nothing when there is nothing.
    WithdrawAll,
    /// So many events of a cent in one commit.
    DepositCents(usize),
    /// As many events as there are cents.
    WithdrawCents,
}

/// Why it does not.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the balance is {0}")]
struct BalanceTooLow(u64);

impl Aggregate for Account {
    type Event = AccountEvent;
    type Command = Command;
    type Rejection = BalanceTooLow;

    const TYPE: &'static str = "account";

    fn initial() -> Self {
        Self { cents: 0, events: 0 }
    }

    fn evolve(self, event: &AccountEvent) -> Self {
        let cents = match event {
            AccountEvent::Deposited { cents } => self.cents + cents,
            AccountEvent::Withdrawn { cents } => self.cents - cents,
        };
        Self { cents, events: self.events + 1 }
    }

    fn decide(&self, command: &Command) -> Result<Vec<AccountEvent>, BalanceTooLow> {
        let deposited = |cents| AccountEvent::Deposited { cents };
        match *command {
            Command::Deposit(cents) => Ok(vec![deposited(cents)]),
            Command::DepositTwice(cents) => Ok(vec![deposited(cents), deposited(cents)]),
            Command::Withdraw(cents) if cents > self.cents => Err(BalanceTooLow(self.cents)),
            Command::Withdraw(cents) => Ok(vec![AccountEvent::Withdrawn { cents }]),
            Command::WithdrawAll if self.cents == 0 => Ok(vec![]),
            Command::WithdrawAll => Ok(vec![AccountEvent::Withdrawn { cents: self.cents }]),
            Command::DepositCents(times) => Ok(vec![deposited(1); times]),
            Command::WithdrawCents => {
                Ok((0..self.cents).map(|_| AccountEvent::Withdrawn { cents: 1 }).collect())
            }
        }
    }
}

type Accounts = Repository<Account>;

/// A repository as users make it: with a cache, without snapshots.
fn accounts(store: &EventStore) -> Accounts {
    Repository::new(store.clone(), RepositoryOptions::default())
}

/// A repository that remembers no states.
fn forgetful(store: &EventStore) -> Accounts {
    let options = RepositoryOptions::default().with_cached_states_max(0);
    Repository::new(store.clone(), options)
}

/// A command that may be given again.
fn with_id(id: &str) -> CommandOptions {
    CommandOptions::default().with_id(CommandId::new(id).unwrap())
}

fn plain() -> CommandOptions {
    CommandOptions::default()
}

fn trusting() -> CommandOptions {
    CommandOptions::default().trusting_the_cache()
}

/// Where the events of a command are, and whether this call has stored them.
fn places(executed: &Executed<Account>) -> (bool, u64, u64) {
    match &executed.outcome {
        CommandOutcome::Appended(receipt) => (true, receipt.first, receipt.last),
        CommandOutcome::Repeated(receipt) => (false, receipt.first, receipt.last),
        other => panic!("{other:?}"),
    }
}
