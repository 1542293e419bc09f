//! Projections in which a lost, doubled or reordered event shows, and histories for them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Random;
use crate::{
    event::{Commit, EventId, EventType, Fields, RecordedEvent, content_hash},
    projection::{Adds, Definition, Totals, Unreadable, ViewKey, Views},
};

/// Which events cannot be read at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Broken(Arc<Mutex<BTreeSet<(String, u64)>>>);

impl Broken {
    pub(crate) fn spoil(&self, stream: &str, number: u64) {
        self.0.lock().unwrap().insert((stream.to_owned(), number));
    }

    pub(crate) fn mend(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) fn has(&self, stream: &str) -> bool {
        self.0.lock().unwrap().iter().any(|(broken, _)| broken == stream)
    }

    fn read(&self, event: &RecordedEvent) -> Result<Option<Noted>, Unreadable> {
        let place = (event.stream().to_owned(), event.sequence_number());
        if self.0.lock().unwrap().contains(&place) {
            return Err(Unreadable::new("not mended yet"));
        }
        Ok(Some(event.decode()?))
    }
}

/// The data of all events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) number: i64,
    pub(crate) part: String,
    pub(crate) group: String,
}

/// A digest in which every event and the order count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) digest: String,
    pub(crate) events: u64,
}

impl Chain {
    fn then(chain: Option<Self>, event: &RecordedEvent) -> Self {
        let Self { digest, events } =
            chain.unwrap_or_else(|| Self { digest: "0".to_owned(), events: 0 });
        let mixed = u64::from_str_radix(&digest, 16)
            .unwrap()
            .wrapping_mul(0x0000_0100_0000_01b3)
            .wrapping_add(event.sequence_number().wrapping_mul(0x9e37_79b9));
        Self { digest: format!("{mixed:x}"), events: events + 1 }
    }
}

/// One view for each stream.
pub(crate) struct Chains {
    pub(crate) broken: Broken,
    /// Only some types.
    pub(crate) takes: Option<&'static [&'static str]>,
}

impl Views for Chains {
    type Event = Noted;
    type View = Chain;

    fn definition(&self) -> Definition {
        let definition = Definition::new("chains", 1).sharded(2).with_field("events", "/events");
        match self.takes {
            Some(types) => definition.taking(types.iter().copied()),
            None => definition,
        }
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<Noted>, Unreadable> {
        Ok(self.broken.read(event)?.filter(|noted| noted.number != 13))
    }

    fn change(
        &self,
        _: &ViewKey,
        view: Option<Chain>,
        _: &Noted,
        recorded: &RecordedEvent,
    ) -> Option<Chain> {
        let is_end = recorded.event_type().as_str() == "Ended";
        (!is_end).then(|| Chain::then(view, recorded))
    }
}

/// Views of parts, which come and go, and come again.
pub(crate) struct Lines {
    pub(crate) broken: Broken,
}

impl Views for Lines {
    type Event = Noted;
    type View = Chain;

    fn definition(&self) -> Definition {
        Definition::new("lines", 1).sharded(2).with_parts().with_field("digest", "/digest")
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<Noted>, Unreadable> {
        self.broken.read(event)
    }

    fn touches(&self, event: &Noted, recorded: &RecordedEvent) -> Vec<ViewKey> {
        let part = ViewKey::Part(event.part.clone());
        match recorded.event_type().as_str() {
            "Ended" => vec![ViewKey::Stream],
            "Noted" => vec![],
            "Moved" => vec![ViewKey::Part("a/b:c".to_owned()), part, ViewKey::Stream],
            _ => vec![part],
        }
    }

    fn change(
        &self,
        key: &ViewKey,
        view: Option<Chain>,
        event: &Noted,
        recorded: &RecordedEvent,
    ) -> Option<Chain> {
        match recorded.event_type().as_str() {
            // A part that is not there is dropped as well: nothing before, and nothing after.
            "Dropped" | "Ended" => None,
            "Moved" if *key == ViewKey::Part("a/b:c".to_owned()) && event.number % 3 == 0 => None,
            // Only of one that is there.
            "Changed" => view.map(|view| Chain::then(Some(view), recorded)),
            _ => Some(Chain::then(view, recorded)),
        }
    }
}

/// Totals of every kind of measure, all of which are taken back now and then.
pub(crate) struct Sums {
    pub(crate) broken: Broken,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sum {
    group: String,
    last: Vec<i64>,
    events: i64,
}

impl Totals for Sums {
    type Event = Noted;
    type State = Sum;

    fn definition(&self) -> Definition {
        Definition::new("sums", 1).sharded(2).taking(["Added", "Dropped", "Moved", "Changed"])
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<Noted>, Unreadable> {
        self.broken.read(event)
    }

    fn evolve(&self, mut state: Sum, event: &Noted, recorded: &RecordedEvent) -> Sum {
        state.events += 1;
        match recorded.event_type().as_str() {
            "Moved" => state.group.clone_from(&event.group),
            "Dropped" => {
                state.last.pop();
            }
            _ => state.last.push(event.number),
        }
        if state.last.len() > 3 {
            state.last.remove(0);
        }
        state
    }

    fn adds(&self, stream: &str, state: &Sum) -> Adds {
        let mut adds = Adds::default();
        if state.group.is_empty() {
            return adds;
        }
        let mut adding = adds.to(state.group.as_str()).count("events", state.events);
        for number in &state.last {
            adding = adding
                .sum("cents", *number)
                .min("low", *number)
                .max("high", format!("{number:04}"))
                .set("numbers", number.to_string());
        }
        if state.events % 2 == 0 {
            adding.list("even", stream, json!({"last": state.last}));
        }
        if state.events % 5 == 4 {
            adds.to("fours").max("most", state.events);
        }
        adds
    }
}

/// An event as it would be stored.
pub(crate) fn event(stream: &str, number: u64, event_type: &str, data: Value) -> RecordedEvent {
    let id = EventId::derived(Uuid::NAMESPACE_OID, &format!("{stream} {number}"));
    let hash = content_hash(&mut String::new(), event_type, 1, &data);
    RecordedEvent::new(Fields {
        stream: stream.to_owned(),
        aggregate_type: "tested".to_owned(),
        sequence_number: number,
        id,
        event_type: EventType::new(event_type).unwrap(),
        schema_version: 1,
        data,
        metadata: crate::event::Metadata::default(),
        occurred_at: Timestamp::UNIX_EPOCH,
        recorded_at: Timestamp::UNIX_EPOCH,
        commit: Commit { first: number, size: 1 },
        content_hash: hash,
    })
}

/// Streams with events of all kinds.
pub(crate) fn random_history(random: &mut Random, events_max: u64) -> Vec<Vec<RecordedEvent>> {
    const TYPES: [&str; 9] =
        ["Added", "Added", "Added", "Dropped", "Moved", "Moved", "Changed", "Noted", "Ended"];
    let streams = 2 + random.below(4);
    let mut history = Vec::new();
    for stream in 0..streams {
        let name = format!("s/{stream}:%");
        let count = 1 + random.below(events_max);
        let mut events = Vec::new();
        for number in 1..=count {
            let place = usize::try_from(random.below(9)).unwrap();
            let group = ["", "red", "green"][usize::try_from(random.below(3)).unwrap()];
            let data = json!({
                "number": random.below(20),
                "part": format!("p{}", random.below(3)),
                "group": group,
            });
            events.push(event(&name, number, TYPES[place], data));
        }
        history.push(events);
    }
    history
}
