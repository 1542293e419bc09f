//! One typed operation per call reaches `tracing`, and no payload does.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use cosmos_event_store::{ExpectedVersion, NewEvent, telemetry};
use serde_json::json;
use tracing::{
    Dispatch, Event, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::Context, prelude::*};

use crate::fixture::Fixture;

/// The target and the fields of an event.
type Told = (String, BTreeMap<String, String>);

/// What a subscriber is told.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<Told>>>);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Captured {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        self.0.lock().unwrap().push((event.metadata().target().to_owned(), fields));
    }
}

#[tokio::test]
async fn one_operation_per_call_and_no_payload() {
    let fixture = Fixture::new().await;
    // While there is one subscriber only, `tracing` asks just the thread that first comes to a place in the
    // code whether anybody listens there, and the threads of other tests have none. With two it asks both.
    let _silent = Dispatch::new(tracing_subscriber::registry().with(LevelFilter::OFF));
    let captured = Captured::default();
    let subscriber = tracing_subscriber::registry().with(captured.clone());
    let event = NewEvent::new("Tested", json!({"secret": "s3cr3t"})).unwrap();
    let store = fixture.store.clone();
    let errors = async {
        let mine = vec![event];
        store.append("quote-1", ExpectedVersion::NoStream, mine.clone()).await.unwrap();
        store.append("quote-1", ExpectedVersion::NoStream, mine.clone()).await.unwrap();
        let other = vec![NewEvent::new("Tested", json!({"secret": "s3cr3t"})).unwrap()];
        let conflict = store.append("quote-1", ExpectedVersion::NoStream, other).await.unwrap_err();
        let refused =
            store.append("quote-1", ExpectedVersion::NoStream, Vec::new()).await.unwrap_err();
        store.read("quote-1").all().await.unwrap();
        store.read_event("quote-1", 1).await.unwrap();
        store.version("quote-1").await.unwrap();
        store.counts().await.unwrap();
        format!("{conflict} {conflict:?} {refused:?}")
    }
    .with_subscriber(subscriber)
    .await;
    assert!(!errors.contains("s3cr3t"), "{errors}");

    let captured = captured.0.lock().unwrap();
    assert!(!format!("{captured:?}").contains("s3cr3t"));
    let operations: Vec<[&str; 4]> = captured
        .iter()
        .filter(|(target, _)| target == telemetry::TARGET)
        .map(|(_, fields)| {
            [
                telemetry::FIELD_OPERATION,
                telemetry::FIELD_CATEGORY,
                telemetry::FIELD_OUTCOME,
                telemetry::FIELD_ROUND_TRIPS,
            ]
            .map(|name| fields[name].as_str())
        })
        .collect();
    assert_eq!(
        operations,
        [
            ["append", "quote", "done", "1"],
            ["append", "quote", "repeated", "2"],
            ["append", "quote", "conflict", "2"],
            ["append", "quote", "bad_input", "0"],
            ["read_page", "quote", "done", "1"],
            ["read_event", "quote", "done", "1"],
            ["read_version", "quote", "done", "1"],
            ["count", "", "done", "1"],
        ]
    );
}
