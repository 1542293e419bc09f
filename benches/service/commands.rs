//! Quote commands on cached states.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cosmos_event_store::{
    EventStore,
    aggregate::{CommandOptions, CommandOutcome, Repository, RepositoryOptions},
    clock::{Clock as _, SystemClock},
    quotes::{Action, Actor, ContactInput, InitiateInput, Quote, QuoteCommand},
};

use crate::rates::{EVENTS_PER_STREAM, counters, per_second, place};

/// Commands on a quote per task that go on where the last round stopped.
pub(crate) struct Commands {
    quotes: Repository<Quote>,
    done: Arc<Vec<AtomicU64>>,
}

impl Commands {
    pub(crate) fn new(store: &EventStore) -> Self {
        Self {
            quotes: Repository::new(store.clone(), RepositoryOptions::default()),
            done: counters(),
        }
    }

    /// Each is a probe and an append.
    pub(crate) async fn per_second(&self, time: Duration) -> f64 {
        self.run(time, CommandOptions::default()).await
    }

    /// Each is an append.
    pub(crate) async fn trusting_per_second(&self, time: Duration) -> f64 {
        self.run(time, CommandOptions::default().trusting_the_cache()).await
    }

    async fn run(&self, time: Duration, options: CommandOptions) -> f64 {
        let (quotes, done) = (self.quotes.clone(), Arc::clone(&self.done));
        per_second(time, move |task| {
            let (quotes, options) = (quotes.clone(), options.clone());
            let number = done[task].fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                let (quote, version) = place("quote", task, number);
                let command = command(number);
                let executed = quotes.execute(quote, &command, options).await.unwrap();
                assert!(matches!(executed.outcome, CommandOutcome::Appended(_)));
                assert_eq!(executed.version, version + 1);
                // Without a cached state, which is once per quote, a query takes the place of the probe.
                assert!(executed.usage.round_trips <= 2);
            })
        })
        .await
    }

    pub(crate) async fn close(&self) {
        self.quotes.close().await;
    }
}

/// A quote begins, and then gets other contact details each time.
fn command(number: u64) -> QuoteCommand {
    let action = if number.is_multiple_of(EVENTS_PER_STREAM) {
        Action::try_from(InitiateInput::default()).unwrap()
    } else {
        let input = ContactInput {
            first_name: Some("Asha".to_owned()),
            last_name: Some("Raghunathan".to_owned()),
            email: Some(format!("asha.{number}@example.com")),
            phone: Some("+91 80 5550 1234".to_owned()),
        };
        Action::try_from(input).unwrap()
    };
    QuoteCommand { by: Actor::new("bench").unwrap(), at: SystemClock::new().now(), action }
}
