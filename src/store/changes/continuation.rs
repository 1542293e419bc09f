//! How far a reader of the change feed is, and the text in which that goes out and comes back.
//!
//! The text has only characters that mean nothing in a URL. It begins with the version of its form and a
//! checksum, which finds texts that were cut or made up and is no protection. What it is of, the witness
//! tells: an event that was given, which the store must have, written by the same write. The ids of containers
//! do not tell stores apart, since those of two local ones are the same; nor do ids of events, since an import
//! of the same log makes the same ones.

use std::fmt::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::{
    event::{EventId, RecordedEvent},
    store::error::BadContinuation,
};

/// The longest text that is taken, in bytes: room for 100 physical partitions, in what a URL may have.
pub const CONTINUATION_BYTES_MAX: usize = 60 * 1024;
/// The version of the form that is written, and the only one that is read.
const VERSION: &str = "1";
/// The bytes of the checksum.
const CHECKSUM_BYTES: usize = 8;

/// How far a reader is in all partitions.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// The places, in the order of their turns. Together they are the space of keys.
    pub(crate) places: Vec<Place>,
}

/// How far a reader is in one physical partition, or in a part of one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where its keys begin, in hexadecimal digits.
    pub(crate) begin: String,
    /// Where they end; the bound itself is not among them.
    pub(crate) end: String,
    /// The token of the SDK; nothing before the first event.
    pub(crate) token: Option<String>,
    /// What is behind the token and was given all the same: everything up to here.
    pub(crate) given: Option<Mark>,
}

/// The place of an event among those of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// The transaction. Parts of a partition that was split go on counting where it was.
    pub(crate) lsn: i64,
    /// The place in the stream: all events of one transaction are in one stream.
    pub(crate) sequence_number: u64,
}

/// An event that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) stream: String,
    pub(crate) sequence_number: u64,
    pub(crate) event_id: EventId,
    pub(crate) write: WriteId,
}

/// What tells a write from every other one, for documents that never change: the service's own fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct WriteId {
    #[serde(rename = "_etag")]
    pub(crate) tag: String,
    #[serde(rename = "_ts")]
    pub(crate) seconds: u64,
}

impl WriteId {
    /// The write of a document.
    pub(crate) fn of(document: &RawValue) -> Option<Self> {
        serde_json::from_str(document.get()).ok()
    }
}

impl Witness {
    pub(crate) fn new(event: &RecordedEvent, write: WriteId) -> Self {
        let (stream, sequence_number) = (event.stream().to_owned(), event.sequence_number());
        Self { stream, sequence_number, event_id: event.id(), write }
    }

    /// Whether the event is this one, and its document the one that was seen.
    pub(crate) fn is(&self, event: &RecordedEvent, document: &RawValue) -> bool {
        event.id() == self.event_id && WriteId::of(document).as_ref() == Some(&self.write)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Position").field("places", &self.places.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({}-{})", self.begin, self.end)
    }
}

/// The text: `version.checksum.witness~place~place...`, each place `begin.end.lsn.number.token`.
pub(crate) fn write(position: &Position, witness: Option<&Witness>) -> String {
    let mut rest = String::new();
    if let Some(Witness { stream, sequence_number, event_id, write }) = witness {
        let WriteId { tag, seconds } = write;
        // A stream may have any characters in its id, so it comes last, and the tag as a part without spaces.
        let tag = URL_SAFE_NO_PAD.encode(tag);
        let witness = format!("{sequence_number} {event_id} {seconds} {tag} {stream}");
        rest.push_str(&URL_SAFE_NO_PAD.encode(witness));
    }
    for Place { begin, end, token, given } in &position.places {
        let given = given.map_or_else(
            || ".".to_owned(),
            |Mark { lsn, sequence_number }| format!("{lsn}.{sequence_number}"),
        );
        // Writing to a string does not fail.
        let _written =
            write!(rest, "~{begin}.{end}.{given}.{}", token.as_deref().unwrap_or("")).is_ok();
    }
    format!("{VERSION}.{}.{rest}", checksum(&rest))
}

/// Reads the text back.
pub(crate) fn read(text: &str) -> Result<(Position, Option<Witness>), BadContinuation> {
    let (version, rest) = text.split_once('.').ok_or(BadContinuation::Form)?;
    let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    if version != VERSION && is_number {
        return Err(BadContinuation::Version);
    }
    if version != VERSION || text.len() > CONTINUATION_BYTES_MAX {
        return Err(BadContinuation::Form);
    }
    let (sum, rest) = rest.split_once('.').ok_or(BadContinuation::Form)?;
    if sum != checksum(rest) {
        return Err(BadContinuation::Form);
    }
    parse(rest).ok_or(BadContinuation::Form)
}

fn parse(rest: &str) -> Option<(Position, Option<Witness>)> {
    let mut parts = rest.split('~');
    let seen = parts.next()?;
    let witness = if seen.is_empty() { None } else { Some(witness(seen)?) };
    let places: Vec<Place> = parts.map(place).collect::<Option<_>>()?;
    (!places.is_empty()).then_some((Position { places }, witness))
}

fn witness(text: &str) -> Option<Witness> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut words = text.splitn(5, ' ');
    let sequence_number = words.next()?.parse().ok()?;
    let event_id = words.next()?.parse().ok()?;
    let seconds = words.next()?.parse().ok()?;
    let tag = String::from_utf8(URL_SAFE_NO_PAD.decode(words.next()?).ok()?).ok()?;
    let (stream, write) = (words.next()?.to_owned(), WriteId { tag, seconds });
    Some(Witness { stream, sequence_number, event_id, write })
}

fn place(text: &str) -> Option<Place> {
    let mut words = text.splitn(5, '.');
    let (begin, end) = (words.next()?.to_owned(), words.next()?.to_owned());
    let given = match (words.next()?, words.next()?) {
        ("", "") => None,
        (lsn, number) => {
            Some(Mark { lsn: lsn.parse().ok()?, sequence_number: number.parse().ok()? })
        }
    };
    let token = Some(words.next()?).filter(|token| !token.is_empty()).map(str::to_owned);
    Some(Place { begin, end, token, given })
}

fn checksum(text: &str) -> String {
    let sum: Vec<u8> = Sha256::digest(text).into_iter().take(CHECKSUM_BYTES).collect();
    URL_SAFE_NO_PAD.encode(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        let place = |begin: &str, end: &str, token: Option<&str>| Place {
            begin: begin.to_owned(),
            end: end.to_owned(),
            token: token.map(str::to_owned),
            given: None,
        };
        let mut places = vec![place("", "1F", Some("c1.eyJ-_a")), place("1F", "FF", None)];
        places[0].given = Some(Mark { lsn: -7, sequence_number: 9 });
        Position { places }
    }

    fn witness() -> Witness {
        let event_id = "018f4f2e-7b3a-7c1d-9e2f-000000000001".parse().unwrap();
        let stream = "quote 1~\u{e9}.\u{1F600}".to_owned();
        let write = WriteId { tag: "\"0000-1 2\"".to_owned(), seconds: 1_800_000_000 };
        Witness { stream, sequence_number: 3, event_id, write }
    }

    #[test]
    fn positions_come_back() {
        for witness in [None, Some(witness())] {
            let text = write(&position(), witness.as_ref());
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert!(text.bytes().all(is_plain), "{text}");
            assert_eq!(read(&text), Ok((position(), witness)));
        }
    }

    #[test]
    fn what_was_cut_or_changed_is_refused() {
        let text = write(&position(), Some(&witness()));
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), Err(BadContinuation::Form), "{end}");
        }
        for (from, to) in [("1F", "2F"), ("c1", "c2"), ("~", "~~")] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert_eq!(read(&changed), Err(BadContinuation::Form), "{changed}");
        }
        for garbage in ["", ".", "1", "1.", "now", "a.b.c", "1..", "\u{e9}", "1.\u{e9}.x"] {
            assert_eq!(read(garbage), Err(BadContinuation::Form), "{garbage}");
        }
        let long = format!("{text}{}", "A".repeat(CONTINUATION_BYTES_MAX));
        assert_eq!(read(&long), Err(BadContinuation::Form));
    }

    #[test]
    fn another_version_is_named_as_such() {
        let text = write(&position(), None);
        let newer = text.replacen("1.", "2.", 1);
        assert_eq!(read(&newer), Err(BadContinuation::Version));
    }

    #[test]
    fn the_sum_does_not_make_nonsense_good() {
        for rest in ["", "~", "~~....", "!~....", "~....x~", "~..1..a", "~..1.x.a", "~..."] {
            let text = format!("1.{}.{rest}", checksum(rest));
            assert_eq!(read(&text), Err(BadContinuation::Form), "{rest}");
        }
    }
}
