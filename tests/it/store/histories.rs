//! Random histories of one stream against a model: whatever was repeated, lost or broken off, the
//! stream is one application of each append that was acknowledged.

use std::time::Duration;

use cosmos_event_store::{AppendError, AppendOutcome, ExpectedVersion, NewEvent};
use cosmos_local::{Fault, FaultAction};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::fixture::{Fixture, events, ids_of};

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
        4 => Just(Trouble::None),
        1 => Just(Trouble::AnswerLost),
        1 => Just(Trouble::RequestLost),
        2 => (0_u64..4000).prop_map(Trouble::BrokenOff),
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

struct History<'a> {
    fixture: &'a Fixture,
    stream: String,
    model: Model,
}

impl History<'_> {
    async fn append(
        &self,
        expected: ExpectedVersion,
        events: &[NewEvent],
        trouble: Trouble,
    ) -> Result<AppendOutcome, AppendError> {
        let lose = |action| {
            let fault =
                Fault::new(action).on_kind("batch").with_partition_key(self.stream.as_str());
            self.fixture.control().inject(fault.times(1)).unwrap();
        };
        let call = || self.fixture.store.append(self.stream.as_str(), expected, events.to_vec());
        match trouble {
            Trouble::None => {}
            Trouble::AnswerLost => lose(FaultAction::DropAfter),
            Trouble::RequestLost => lose(FaultAction::DropBefore),
            Trouble::BrokenOff(after) => {
                let broken = tokio::time::timeout(Duration::from_micros(after), call()).await;
                drop(broken);
            }
        }
        let result = call().await;
        self.fixture.control().clear_faults();
        result
    }

    async fn take(&mut self, step: Step) {
        let commits = self.model.commits.len();
        match step {
            Step::Append { count, expect, trouble } => {
                self.new_events(count, expect, trouble).await;
            }
            Step::Repeat { which, expect, trouble } if commits > 0 => {
                let which = which % commits;
                let expected = self.model.expected(expect);
                let commit = self.model.commits[which].clone();
                let outcome = self.append(expected, &commit, trouble).await.unwrap();
                assert!(outcome.is_repeated());
                assert_eq!(outcome.receipt().first, self.model.first_of(which));
            }
            Step::RepeatPart { which, expect } if commits > 0 => {
                let commit = &self.model.commits[which % commits];
                let part = commit[..commit.len() - 1].to_vec();
                if !part.is_empty() {
                    self.is_reuse(expect, &part).await;
                }
            }
            Step::RepeatAndMore { which, expect } if commits > 0 => {
                let more = [self.model.commits[which % commits].clone(), events(1)].concat();
                self.is_reuse(expect, &more).await;
            }
            _ => {}
        }
    }

    async fn new_events(&mut self, count: u64, expect: Expect, trouble: Trouble) {
        let (expected, mine) = (self.model.expected(expect), events(count));
        let result = self.append(expected, &mine, trouble).await;
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

    async fn is_reuse(&self, expect: Expect, call: &[NewEvent]) {
        let expected = self.model.expected(expect);
        let result = self.append(expected, call, Trouble::None).await;
        let nothing_there = expected == ExpectedVersion::StreamExists && self.model.version() == 0;
        assert!(!nothing_there, "there is something to repeat");
        assert!(matches!(result, Err(AppendError::EventIdReused { .. })), "{result:?}");
    }

    async fn check(&self) {
        let expected: Vec<_> =
            self.model.commits.iter().flat_map(|commit| ids_of(commit)).collect();
        assert_eq!(self.fixture.ids(&self.stream).await, expected);
    }
}

#[test]
fn a_stream_is_one_application_of_each_acknowledged_append() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    let histories = std::cell::Cell::new(0_u32);
    let mut runner = TestRunner::new(Config {
        cases: 40,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let result = runner.run(&prop::collection::vec(step(), 1..20), |steps| {
        histories.set(histories.get() + 1);
        let stream = format!("history-{}", histories.get());
        runtime.block_on(async {
            let mut history = History { fixture: &fixture, stream, model: Model::default() };
            for step in steps {
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
