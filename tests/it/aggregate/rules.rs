//! Aggregates that tempt the repository: rules that see time and metadata, that race, and that cannot
//! be stored.

use std::sync::Arc;

use cosmos_event_store::{
    ExpectedVersion, Metadata, NewEvent, RecordedEvent,
    aggregate::{
        Aggregate, CommandError, CommandId, CommandOptions, CommandOutcome, DecodeError,
        DomainEvent, EncodeError, EventSchema, Repository, RepositoryOptions, Snapshots,
    },
};
use serde::{Deserialize, Serialize};

use crate::fixture::Fixture;

/// Something was noted, by somebody at some time, which the data does not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Event {
    Noted {
        value: f64,
        #[serde(skip)]
        by: Option<String>,
        #[serde(skip)]
        told: Option<String>,
    },
}

static SCHEMA: EventSchema = EventSchema::new(&[("Noted", 1)]);

fn noted(value: f64) -> Event {
    Event::Noted { value, by: None, told: None }
}

impl DomainEvent for Event {
    fn encode(&self) -> Result<NewEvent, EncodeError> {
        SCHEMA.encode(self)
    }

    fn decode(event: &RecordedEvent) -> Result<Option<Self>, DecodeError> {
        let read: Option<Self> = SCHEMA.decode_or_fail(event)?;
        let (number, commit) = (event.sequence_number(), event.commit());
        let (at, occurred_at) = (event.recorded_at(), event.occurred_at());
        let (stream, kind, hash) = (event.stream(), event.aggregate_type(), event.content_hash());
        let told = format!("{number} {commit:?} {at} {occurred_at} {stream} {kind} {hash}");
        let by = event.metadata().actor.clone();
        Ok(read.map(|Self::Noted { value, .. }| Self::Noted { value, by, told: Some(told) }))
    }
}

/// What a command has decided, in the words of the test.
type Rule = Arc<dyn Fn() -> Result<Vec<Event>, Refused> + Send + Sync>;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("refused")]
struct Refused;

/// All that was noted. The number tells versions of the aggregate apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Notes<const SCHEMA_VERSION: u32>(Vec<(f64, Option<String>, Option<String>)>);

impl<const SCHEMA_VERSION: u32> Aggregate for Notes<SCHEMA_VERSION> {
    type Event = Event;
    type Command = Rule;
    type Rejection = Refused;

    const TYPE: &'static str = "notes";
    const STATE_SCHEMA: u32 = SCHEMA_VERSION;

    fn initial() -> Self {
        Self(Vec::new())
    }

    fn evolve(mut self, event: &Event) -> Self {
        let Event::Noted { value, by, told } = event;
        // The second version of the rules counts double.
        let times = f64::from(SCHEMA_VERSION);
        self.0.push((value * times, by.clone(), told.clone()));
        self
    }

    fn decide(&self, command: &Rule) -> Result<Vec<Event>, Refused> {
        command()
    }
}

fn note(value: f64) -> Rule {
    Arc::new(move || Ok(vec![noted(value)]))
}

fn repository<const V: u32>(fixture: &Fixture, states: usize) -> Repository<Notes<V>> {
    let options = RepositoryOptions::default().with_cached_states_max(states);
    Repository::new(fixture.store.clone(), options)
}

/// A repository without a cache that takes a snapshot at each command.
fn snapshotting<const V: u32>(fixture: &Fixture) -> Repository<Notes<V>> {
    let options = RepositoryOptions::default().with_cached_states_max(0);
    Repository::new(fixture.store.clone(), options.with_snapshots(Snapshots::every(1)))
}

#[tokio::test]
async fn the_state_after_a_command_is_what_a_replay_gives() {
    let fixture = Fixture::new().await;
    let notes = repository::<1>(&fixture, 10);
    for actor in ["ann", "bob"] {
        let metadata = Metadata::default().with_actor(actor);
        let options = CommandOptions::default().with_metadata(metadata);
        let two: Rule = Arc::new(|| Ok(vec![noted(0.5), noted(2.0)]));
        let executed = notes.execute("notes-1", &two, options).await.unwrap();
        assert_eq!(executed.state.0.last().unwrap().1.as_deref(), Some(actor));
        let replayed = repository::<1>(&fixture, 0).load("notes-1").await.unwrap();
        assert_eq!(executed.state, replayed.state);
        let cached = notes.load("notes-1").await.unwrap();
        assert_eq!(cached.state, replayed.state);
    }
}

#[tokio::test]
async fn an_event_that_could_not_be_read_again_is_not_stored() {
    let fixture = Fixture::new().await;
    let notes = repository::<1>(&fixture, 10);
    notes.execute("notes-1", &note(1.0), CommandOptions::default()).await.unwrap();
    let refused = notes.execute("notes-1", &note(f64::NAN), CommandOptions::default()).await;
    assert!(
        matches!(&refused, Err(CommandError::Encode { error: EncodeError::Unreadable { event_type, .. }, .. })
            if event_type == "Noted"),
        "{refused:?}"
    );
    assert_eq!(fixture.events("notes-1").await.len(), 1);
    notes.execute("notes-1", &note(2.0), CommandOptions::default()).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_of_another_version_of_the_rules_is_not_used() {
    let fixture = Fixture::new().await;
    let first = snapshotting::<1>(&fixture);
    for value in [1.0, 2.0] {
        first.execute("notes-1", &note(value), CommandOptions::default()).await.unwrap();
    }
    first.close().await;
    let second = snapshotting::<2>(&fixture);
    let values = |state: &[(f64, Option<String>, Option<String>)]| {
        state.iter().map(|(value, ..)| *value).collect::<Vec<_>>()
    };
    let executed = second.execute("notes-1", &note(4.0), CommandOptions::default()).await.unwrap();
    assert_eq!(values(&executed.state.0), [2.0, 4.0, 8.0]);
    second.close().await;
    // Each version has one of its own by now.
    let (old, new) = (first.load("notes-1").await, second.load("notes-1").await);
    assert_eq!(values(&old.unwrap().state.0), [1.0, 2.0, 4.0]);
    assert_eq!(values(&new.unwrap().state.0), [2.0, 4.0, 8.0]);
}

/// Stores the events of a command as another process would, in the middle of a decision.
fn somebody_else_gives(fixture: &Fixture, id: &CommandId, values: &[f64]) {
    let events = values
        .iter()
        .enumerate()
        .map(|(index, value)| noted(*value).encode().unwrap().with_id(id.event_id(index)));
    let (store, events) = (fixture.store.clone(), events.collect());
    tokio::task::block_in_place(|| {
        let append = store.append("notes-1", ExpectedVersion::Any, events);
        tokio::runtime::Handle::current().block_on(append).unwrap();
    });
}

/// A command that somebody else gives at the moment when it is decided for the `when`-th time, and that
/// ends with `then`.
fn raced(
    fixture: &Arc<Fixture>,
    id: &CommandId,
    when: usize,
    then: impl Fn() -> Result<Vec<Event>, Refused> + Send + Sync + 'static,
) -> Rule {
    let (fixture, id) = (Arc::clone(fixture), id.clone());
    let decisions = std::sync::atomic::AtomicUsize::new(0);
    Arc::new(move || {
        if decisions.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == when {
            somebody_else_gives(&fixture, &id, &[1.0, 2.0]);
        }
        then()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_another_process_gives_at_the_same_moment_is_one_command() {
    type Then = fn() -> Result<Vec<Event>, Refused>;
    let ends: [Then; 5] = [
        || Err(Refused),
        || Ok(vec![]),
        || Ok(vec![noted(1.0), noted(2.0)]),
        || Ok(vec![noted(3.0)]),
        || Ok(vec![noted(1.0); 100]),
    ];
    for then in ends {
        // On a state that is read, and on one that is cached.
        for when in [1, 2] {
            let fixture = Arc::new(Fixture::new().await);
            let notes = repository::<1>(&fixture, 10);
            fixture.given("notes-1", &[noted(0.5).encode().unwrap()]).await;
            if when == 2 {
                notes.load("notes-1").await.unwrap();
            }
            let id = CommandId::new("c-1").unwrap();
            let rule = raced(&fixture, &id, when, then);
            let options = CommandOptions::default().with_id(id).trusting_the_cache();
            let executed = notes.execute("notes-1", &rule, options).await.unwrap();
            let receipt = match executed.outcome {
                CommandOutcome::Repeated(receipt) | CommandOutcome::Appended(receipt) => receipt,
                other => panic!("{other:?}"),
            };
            let version = fixture.events("notes-1").await.len();
            assert_eq!(receipt.first, 2);
            assert_eq!(receipt.last, u64::try_from(version).unwrap());
            // The state has what the receipt says.
            assert_eq!((executed.version, executed.state.0.len()), (receipt.last, version));
            let replayed = repository::<1>(&fixture, 0).load("notes-1").await.unwrap();
            assert_eq!(executed.state, replayed.state);
        }
    }
}
