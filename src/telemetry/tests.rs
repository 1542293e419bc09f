//! Tests of what reaches a subscriber.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Captured {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TARGET {
            let mut fields = BTreeMap::new();
            event.record(&mut Fields(&mut fields));
            self.0.lock().unwrap().push(fields);
        }
    }
}

#[test]
fn an_operation_reports_every_field_under_its_name() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::registry().with(captured.clone());
    tracing::subscriber::with_default(subscriber, || {
        let mut operation = StoreOperation::new(OperationKind::Append, "quote");
        operation.outcome = Outcome::Repeated;
        operation.request_charge = 12.5;
        operation.round_trips = 2;
        (operation.retries, operation.throttles) = (1, 1);
        operation.items = 3;
        operation.bytes = 1200;
        operation.elapsed = Duration::from_millis(4);
        operation.emit();
    });
    let reported = captured.0.lock().unwrap();
    let expected: BTreeMap<String, String> = [
        (FIELD_OPERATION, "append"),
        (FIELD_CATEGORY, "quote"),
        (FIELD_OUTCOME, "repeated"),
        (FIELD_REQUEST_CHARGE, "12.5"),
        (FIELD_ROUND_TRIPS, "2"),
        (FIELD_RETRIES, "1"),
        (FIELD_THROTTLES, "1"),
        (FIELD_ITEMS, "3"),
        (FIELD_BYTES, "1200"),
        (FIELD_ELAPSED, "4000"),
        ("message", "store operation"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    assert_eq!(*reported, [expected]);
}
