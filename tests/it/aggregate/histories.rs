//! Random histories of commands against a model: whoever gives them, however often, and whatever gets
//! lost on the way, the stream is one application of each command that was acknowledged.

use std::time::Duration;

use cosmos_event_store::aggregate::{CommandError, Snapshots};
use cosmos_local::{Control, Fault, FaultAction};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::*;
use crate::fixture::Fixture;

/// How the way to the service fails while a command is on its way.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    AnswerLost,
    RequestLost,
    Throttled,
    /// The caller goes away after this many microseconds, and gives the command again.
    BrokenOff(u64),
}

#[derive(Debug, Clone)]
struct Given {
    /// Which of two processes.
    by: usize,
    trusting: bool,
    trouble: Trouble,
}

#[derive(Debug, Clone)]
enum Step {
    New(Command, Given),
    /// A command that was acknowledged, given again.
    Again(usize, Given),
    /// The id of one that was acknowledged, with another command.
    Reused(usize, Command, Given),
    /// Both processes give it at the same moment.
    Together(Command),
    /// The process ends and comes back with nothing in memory.
    Restart(usize),
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => (1_u64..9).prop_map(Command::Deposit),
        1 => (1_u64..9).prop_map(Command::DepositTwice),
        1 => (1_usize..5).prop_map(Command::DepositCents),
        4 => (1_u64..9).prop_map(Command::Withdraw),
        1 => Just(Command::WithdrawAll),
        1 => Just(Command::WithdrawCents),
    ]
}

fn given() -> impl Strategy<Value = Given> {
    let trouble = prop_oneof![
        4 => Just(Trouble::None),
        1 => Just(Trouble::AnswerLost),
        1 => Just(Trouble::RequestLost),
        1 => Just(Trouble::Throttled),
        2 => (0_u64..4000).prop_map(Trouble::BrokenOff),
    ];
    (0_usize..2, any::<bool>(), trouble).prop_map(|(by, trusting, trouble)| Given {
        by,
        trusting,
        trouble,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (command(), given()).prop_map(|(command, given)| Step::New(command, given)),
        3 => (0_usize..16, given()).prop_map(|(which, given)| Step::Again(which, given)),
        1 => (0_usize..16, command(), given())
            .prop_map(|(which, command, given)| Step::Reused(which, command, given)),
        2 => command().prop_map(Step::Together),
        1 => (0_usize..2).prop_map(Step::Restart),
    ]
}

/// A command that was acknowledged, with the places of its events.
struct Done {
    id: String,
    command: Command,
    places: (u64, u64),
}

struct History<'a> {
    fixture: &'a Fixture,
    stream: String,
    processes: [Accounts; 2],
    /// The state as it must be.
    account: Account,
    /// The events as they must be.
    events: Vec<AccountEvent>,
    done: Vec<Done>,
    commands: usize,
}

fn process(store: &EventStore) -> Accounts {
    let options = RepositoryOptions::default().with_snapshots(Snapshots::every(3));
    Repository::new(store.clone(), options)
}

impl<'a> History<'a> {
    fn new(fixture: &'a Fixture, stream: String) -> Self {
        Self {
            fixture,
            stream,
            processes: [process(&fixture.store), process(&fixture.store)],
            account: Account::initial(),
            events: Vec::new(),
            done: Vec::new(),
            commands: 0,
        }
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::New(command, given) => {
                let id = self.next_id();
                let result = self.give(&id, *command, given).await;
                self.expect(id, *command, vec![result]);
            }
            Step::Again(which, given) if !self.done.is_empty() => {
                let done = &self.done[which % self.done.len()];
                let result = self.give(&done.id, done.command, given).await.unwrap();
                self.is_repeated(&result, done);
            }
            Step::Reused(which, command, given) if !self.done.is_empty() => {
                let done = &self.done[which % self.done.len()];
                let result = self.give(&done.id, *command, given).await.unwrap();
                self.is_repeated(&result, done);
            }
            Step::Together(command) => {
                let id = self.next_id();
                let [first, second] = &self.processes;
                let (first, second) = tokio::join!(
                    first.execute(self.stream.as_str(), command, with_id(&id)),
                    second.execute(self.stream.as_str(), command, with_id(&id)),
                );
                self.expect(id, *command, vec![first, second]);
            }
            Step::Restart(which) => {
                self.processes[*which].close().await;
                self.processes[*which] = process(&self.fixture.store);
            }
            _ => {}
        }
    }

    fn next_id(&mut self) -> String {
        self.commands += 1;
        format!("c-{}", self.commands)
    }

    async fn give(
        &self,
        id: &str,
        command: Command,
        given: &Given,
    ) -> Result<Executed<Account>, CommandError<BalanceTooLow>> {
        let options = || {
            let options = with_id(id);
            if given.trusting { options.trusting_the_cache() } else { options }
        };
        let accounts = &self.processes[given.by];
        let execute = || accounts.execute(self.stream.as_str(), &command, options());
        let busy =
            FaultAction::Status { status: 429, substatus: Some(3200), retry_after_ms: Some(1) };
        let control = self.fixture.control();
        match given.trouble {
            Trouble::None => {}
            Trouble::AnswerLost => lose(control, &self.stream, FaultAction::DropAfter),
            Trouble::RequestLost => lose(control, &self.stream, FaultAction::DropBefore),
            Trouble::Throttled => lose(control, &self.stream, busy),
            Trouble::BrokenOff(after) => {
                drop(tokio::time::timeout(Duration::from_micros(after), execute()).await);
            }
        }
        let result = execute().await;
        control.clear_faults();
        result
    }

    /// What the rules make of a new command, for each that gave it.
    fn expect(
        &mut self,
        id: String,
        command: Command,
        results: Vec<Result<Executed<Account>, CommandError<BalanceTooLow>>>,
    ) {
        let decided = match self.account.decide(&command) {
            Ok(decided) => decided,
            Err(rule) => {
                for result in results {
                    let Err(CommandError::Rejected { rejection: rejected, .. }) = result else {
                        panic!("{result:?}");
                    };
                    assert_eq!(rejected, rule);
                }
                return;
            }
        };
        let first = self.events.len() as u64 + 1;
        for event in &decided {
            self.account = self.account.clone().evolve(event);
        }
        self.events.extend(decided.iter().cloned());
        let last = self.events.len() as u64;
        let appended = results.iter().flatten().filter(|executed| match executed.outcome {
            CommandOutcome::Appended(_) => true,
            CommandOutcome::Nothing => decided.is_empty(),
            _ => false,
        });
        assert!(results.len() == 1 || decided.is_empty() || appended.count() == 1, "{results:?}");
        for executed in results {
            let executed = executed.unwrap();
            assert_eq!((&*executed.state, executed.version), (&self.account, last));
            if decided.is_empty() {
                assert_eq!(executed.outcome, CommandOutcome::Nothing);
            } else {
                let (_, from, to) = places(&executed);
                assert_eq!((from, to), (first, last));
            }
        }
        if !decided.is_empty() {
            self.done.push(Done { id, command, places: (first, last) });
        }
    }

    fn is_repeated(&self, executed: &Executed<Account>, done: &Done) {
        let (is_new, first, last) = places(executed);
        assert_eq!((is_new, first, last), (false, done.places.0, done.places.1));
        assert_eq!((&*executed.state, executed.version), (&self.account, self.events.len() as u64));
    }

    async fn check(&self) {
        let stored = self.fixture.events(&self.stream).await;
        let stored: Vec<_> =
            stored.iter().map(|event| AccountEvent::decode(event).unwrap().unwrap()).collect();
        assert_eq!(stored, self.events);
        for accounts in self.processes.iter().chain([&process(&self.fixture.store)]) {
            accounts.close().await;
            let loaded = accounts.load(self.stream.as_str()).await.unwrap();
            assert_eq!(*loaded.state, self.account);
        }
    }
}

fn lose(control: &Control, stream: &str, action: FaultAction) {
    let fault = Fault::new(action).on_kind("batch").on_kind("query_items");
    control.inject(fault.with_partition_key(stream).times(1)).unwrap();
}

#[test]
fn a_stream_is_one_application_of_each_acknowledged_command() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let fixture = runtime.block_on(Fixture::new());
    let histories = std::cell::Cell::new(0_u32);
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let result = runner.run(&prop::collection::vec(step(), 1..20), |steps| {
        histories.set(histories.get() + 1);
        let mut history = History::new(&fixture, format!("account-{}", histories.get()));
        runtime.block_on(async {
            for step in &steps {
                history.take(step).await;
            }
            history.check().await;
        });
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
