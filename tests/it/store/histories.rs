//! Random histories of one stream against a model: whatever was repeated, lost, broken off or crashed,
//! the stream is one application of each append that was acknowledged.

use std::{path::Path, time::Duration};

use cosmos_event_store::{AppendError, AppendOutcome, EventStore, ExpectedVersion, NewEvent};
use cosmos_local::{Fault, FaultAction, LocalCosmos};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;

use crate::fixture::{Fixture, events, ids_of, options};

/// What a step expects of the stream.
#[derive(Debug, Clone, Copy)]
enum Expect {
    Current,
    Behind(u64),
    Beyond(u64),
    NoStream,
    Exists,
    Any,
}

/// How the way to the service fails during a step.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    AnswerLost,
    RequestLost,
    /// The caller goes away after this many microseconds, and another one repeats the call.
    BrokenOff(u64),
    /// The service crashes after this many microseconds, and the call is repeated when it is back.
    Crash(u64),
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Append { count: u64, expect: Expect, trouble: Trouble },
    Repeat { which: usize, expect: Expect, trouble: Trouble },
    RepeatPart { which: usize, expect: Expect },
    RepeatAndMore { which: usize, expect: Expect },
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![
        4 => Just(Expect::Current),
        1 => (1_u64..3).prop_map(Expect::Behind),
        1 => (1_u64..3).prop_map(Expect::Beyond),
        1 => Just(Expect::NoStream),
        1 => Just(Expect::Exists),
        2 => Just(Expect::Any),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        5 => Just(Trouble::None),
        1 => Just(Trouble::AnswerLost),
        1 => Just(Trouble::RequestLost),
        2 => (0_u64..4000).prop_map(Trouble::BrokenOff),
        1 => (0_u64..8000).prop_map(Trouble::Crash),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0_usize..16;
    prop_oneof![
        5 => (1_u64..4, expect(), trouble())
            .prop_map(|(count, expect, trouble)| Step::Append { count, expect, trouble }),
        2 => (which.clone(), expect(), trouble())
            .prop_map(|(which, expect, trouble)| Step::Repeat { which, expect, trouble }),
        1 => (which.clone(), expect()).prop_map(|(which, expect)| Step::RepeatPart { which, expect }),
        1 => (which, expect()).prop_map(|(which, expect)| Step::RepeatAndMore { which, expect }),
    ]
}

/// The stream as it must be: the acknowledged commits, in order.
#[derive(Default)]
struct Model {
    commits: Vec<Vec<NewEvent>>,
}

impl Model {
    fn version(&self) -> u64 {
        self.commits.iter().map(|commit| commit.len() as u64).sum()
    }

    fn first_of(&self, which: usize) -> u64 {
        self.commits[..which].iter().map(|commit| commit.len() as u64).sum::<u64>() + 1
    }

    fn expected(&self, expect: Expect) -> ExpectedVersion {
        let version = self.version();
        match expect {
            Expect::Current => ExpectedVersion::Exact(version),
            Expect::Behind(by) => ExpectedVersion::Exact(version.saturating_sub(by)),
            Expect::Beyond(by) => ExpectedVersion::Exact(version + by),
            Expect::NoStream => ExpectedVersion::NoStream,
            Expect::Exists => ExpectedVersion::StreamExists,
            Expect::Any => ExpectedVersion::Any,
        }
    }

    /// Whether new events under this expectation are stored.
    fn admits(&self, expected: ExpectedVersion) -> bool {
        match expected {
            ExpectedVersion::Any => true,
            ExpectedVersion::StreamExists => self.version() > 0,
            other => other.version() == Some(self.version()),
        }
    }
}

/// An endpoint on a folder, in a runtime of its own: when that goes, the endpoint goes as it is.
struct Service<'a> {
    folder: &'a Path,
    running: Option<(Fixture, Runtime)>,
}

impl<'a> Service<'a> {
    fn start(folder: &'a Path) -> Self {
        let mut service = Self { folder, running: None };
        service.restart();
        service
    }

    /// Ends the endpoint without closing its storage, and starts another on the folder.
    fn restart(&mut self) {
        if let Some((fixture, runtime)) = self.running.take() {
            drop(runtime);
            drop(fixture);
        }
        let runtime = runtime();
        let fixture = runtime.block_on(async {
            let endpoint = LocalCosmos::builder().data_dir(self.folder).start().await.unwrap();
            let options = options(endpoint.endpoint());
            let (store, _) = EventStore::provision_and_connect(options).await.unwrap();
            Fixture { endpoint, store }
        });
        self.running = Some((fixture, runtime));
    }

    fn fixture(&self) -> &Fixture {
        &self.running.as_ref().expect("it runs").0
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

struct History<'a, 'b> {
    service: &'a mut Service<'b>,
    /// Where the callers run.
    runtime: &'a Runtime,
    stream: String,
    model: Model,
}

impl History<'_, '_> {
    fn append(
        &mut self,
        expected: ExpectedVersion,
        events: &[NewEvent],
        trouble: Trouble,
    ) -> Result<AppendOutcome, AppendError> {
        let lose = |control: &cosmos_local::Control, action| {
            let fault =
                Fault::new(action).on_kind("batch").with_partition_key(self.stream.as_str());
            control.inject(fault.times(1)).unwrap();
        };
        let call = |fixture: &Fixture| {
            let store = fixture.store.clone();
            let (stream, events) = (self.stream.clone(), events.to_vec());
            async move { store.append(stream, expected, events).await }
        };
        let break_off = |fixture: &Fixture, after| {
            self.runtime.block_on(async {
                let broken = tokio::time::timeout(Duration::from_micros(after), call(fixture));
                drop(broken.await);
            });
        };
        let fixture = self.service.fixture();
        match trouble {
            Trouble::None => {}
            Trouble::AnswerLost => lose(fixture.control(), FaultAction::DropAfter),
            Trouble::RequestLost => lose(fixture.control(), FaultAction::DropBefore),
            Trouble::BrokenOff(after) => break_off(fixture, after),
            Trouble::Crash(after) => {
                break_off(fixture, after);
                self.service.restart();
            }
        }
        let fixture = self.service.fixture();
        let result = self.runtime.block_on(call(fixture));
        fixture.control().clear_faults();
        result
    }

    fn take(&mut self, step: &Step) {
        let commits = self.model.commits.len();
        match *step {
            Step::Append { count, expect, trouble } => {
                self.new_events(count, expect, trouble);
            }
            Step::Repeat { which, expect, trouble } if commits > 0 => {
                let which = which % commits;
                let expected = self.model.expected(expect);
                let commit = self.model.commits[which].clone();
                let outcome = self.append(expected, &commit, trouble).unwrap();
                assert!(outcome.is_repeated());
                assert_eq!(outcome.receipt().first, self.model.first_of(which));
            }
            Step::RepeatPart { which, expect } if commits > 0 => {
                let commit = &self.model.commits[which % commits];
                let part = commit[..commit.len() - 1].to_vec();
                if !part.is_empty() {
                    self.is_reuse(expect, &part);
                }
            }
            Step::RepeatAndMore { which, expect } if commits > 0 => {
                let more = [self.model.commits[which % commits].clone(), events(1)].concat();
                self.is_reuse(expect, &more);
            }
            _ => {}
        }
    }

    fn new_events(&mut self, count: u64, expect: Expect, trouble: Trouble) {
        let (expected, mine) = (self.model.expected(expect), events(count));
        let result = self.append(expected, &mine, trouble);
        if !self.model.admits(expected) {
            let Err(AppendError::Conflict { actual, .. }) = result else { panic!("{result:?}") };
            assert_eq!(actual, self.model.version());
            return;
        }
        let receipt = result.unwrap().into_receipt();
        assert_eq!(receipt.first, self.model.version() + 1);
        self.model.commits.push(mine);
        assert_eq!(receipt.last, self.model.version());
    }

    fn is_reuse(&mut self, expect: Expect, call: &[NewEvent]) {
        let expected = self.model.expected(expect);
        let result = self.append(expected, call, Trouble::None);
        let nothing_there = expected == ExpectedVersion::StreamExists && self.model.version() == 0;
        assert!(!nothing_there, "there is something to repeat");
        assert!(matches!(result, Err(AppendError::EventIdReused { .. })), "{result:?}");
    }

    fn check(&self) {
        let expected: Vec<_> =
            self.model.commits.iter().flat_map(|commit| ids_of(commit)).collect();
        let ids = self.runtime.block_on(self.service.fixture().ids(&self.stream));
        assert_eq!(ids, expected);
    }
}

#[test]
fn a_stream_is_one_application_of_each_acknowledged_append() {
    let folder = tempfile::tempdir().unwrap();
    let service = std::cell::RefCell::new(Service::start(folder.path()));
    let runtime = runtime();
    let histories = std::cell::Cell::new(0_u32);
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let result = runner.run(&prop::collection::vec(step(), 1..20), |steps| {
        histories.set(histories.get() + 1);
        let stream = format!("history-{}", histories.get());
        let service = &mut *service.borrow_mut();
        let mut history = History { service, runtime: &runtime, stream, model: Model::default() };
        for step in &steps {
            history.take(step);
        }
        history.check();
        history.service.restart();
        history.check();
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
