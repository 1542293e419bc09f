//! The check of JSON before it is stored.
//!
//! Cosmos DB keeps every number as a binary64. An integer that does not fit would come back as
//! another one, so it is refused; a fraction becomes the nearest binary64, as everywhere. Checking
//! takes the tokens as they were written where there is a text, because a parsed value no longer
//! knows them: beyond 64 bits, [`serde_json`] rounds silently.

use std::{borrow::Cow, cell::RefCell, collections::BTreeMap, fmt};

use serde::{
    Serialize,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, value::RawValue};

use super::{BadInput, JSON_DEPTH_MAX, JsonProblem, Part};

/// The bits of a binary64's significand, with the implicit one.
const SIGNIFICAND_BITS: u32 = 53;
/// Below, every integer is a binary64, and its digits are its own.
const PLAIN_BELOW: f64 = 9_007_199_254_740_992.0;
/// From here on a number without a fraction may be an integer that [`serde_json`] has rounded, because
/// it fits neither an `i64` nor a `u64`.
const MAYBE_ROUNDED_FROM: f64 = 9_223_372_036_854_775_808.0;
/// How [`serde_json`] reports a number beyond binary64; the text is the only sign that it gives.
const OUT_OF_RANGE: &str = "number out of range";

/// Parses and checks a text.
pub(crate) fn parse(part: Part, text: &str) -> Result<Value, BadInput> {
    let state = State::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = Checked { state: &state, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    let Findings { problem, path, maybe_rounded } = state.0.into_inner();
    match parsed {
        Ok(value) if maybe_rounded => {
            check_tokens(part, text)?;
            Ok(value)
        }
        Ok(value) => Ok(value),
        Err(error) => {
            let problem = problem.unwrap_or_else(|| {
                let reason = error.to_string();
                if reason.starts_with(OUT_OF_RANGE) {
                    JsonProblem::Overflow
                } else {
                    JsonProblem::Invalid(reason)
                }
            });
            Err(BadInput::Json { part, pointer: pointer(path.iter().rev()), problem })
        }
    }
}

/// Turns a serializable value into checked JSON.
pub(crate) fn from_serialize(part: Part, value: impl Serialize) -> Result<Value, BadInput> {
    let value = serde_json::to_value(value).map_err(|error| {
        let reason = error.to_string();
        let problem = if reason.starts_with(OUT_OF_RANGE) {
            JsonProblem::Overflow
        } else {
            JsonProblem::Invalid(reason)
        };
        BadInput::Json { part, pointer: String::new(), problem }
    })?;
    check(part, &value)?;
    Ok(value)
}

/// Checks a value that was not parsed by [`parse`]. Integers beyond 64 bits cannot be told from
/// fractions any more; whoever has a text passes the text.
pub(crate) fn check(part: Part, value: &Value) -> Result<(), BadInput> {
    let mut path = Vec::new();
    check_value(value, 0, &mut path).map_err(|problem| BadInput::Json {
        part,
        pointer: pointer(path.iter().rev()),
        problem,
    })
}

fn check_value(value: &Value, depth: usize, path: &mut Vec<Segment>) -> Result<(), JsonProblem> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) if is_exact(number) => Ok(()),
        Value::Number(number) => Err(JsonProblem::InexactInteger { token: number.to_string() }),
        Value::Array(items) => {
            deeper(depth)?;
            for (index, item) in items.iter().enumerate() {
                check_value(item, depth.saturating_add(1), path)
                    .inspect_err(|_| path.push(Segment::Index(index)))?;
            }
            Ok(())
        }
        Value::Object(members) => {
            deeper(depth)?;
            for (key, member) in members {
                check_value(member, depth.saturating_add(1), path)
                    .inspect_err(|_| path.push(Segment::Key(key.clone())))?;
            }
            Ok(())
        }
    }
}

fn deeper(depth: usize) -> Result<(), JsonProblem> {
    if depth < JSON_DEPTH_MAX { Ok(()) } else { Err(JsonProblem::TooDeep) }
}

fn is_exact(number: &Number) -> bool {
    number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs)).is_none_or(is_exact_integer)
}

/// Whether a binary64 can be this integer: its significant bits must fit.
fn is_exact_integer(magnitude: u64) -> bool {
    let significant = u64::BITS
        .saturating_sub(magnitude.leading_zeros())
        .saturating_sub(magnitude.trailing_zeros());
    magnitude == 0 || significant <= SIGNIFICAND_BITS
}

/// One step of a JSON pointer.
enum Segment {
    Key(String),
    Index(usize),
}

fn pointer<'a>(segments: impl Iterator<Item = &'a Segment>) -> String {
    segments.fold(String::new(), |mut pointer, segment| {
        pointer.push('/');
        match segment {
            Segment::Key(key) => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Index(index) => pointer.push_str(&index.to_string()),
        }
        pointer
    })
}

/// What a parse finds besides the value. The path is built only on the way out of a failure, so
/// that good input pays nothing for it; its last segment is the outermost.
#[derive(Default)]
struct Findings {
    problem: Option<JsonProblem>,
    path: Vec<Segment>,
    maybe_rounded: bool,
}

#[derive(Default)]
struct State(RefCell<Findings>);

impl State {
    fn fail<E: serde::de::Error>(&self, problem: JsonProblem) -> E {
        let error = E::custom(&problem);
        self.0.borrow_mut().problem = Some(problem);
        error
    }

    fn inside<E>(&self, segment: Segment, error: E) -> E {
        self.0.borrow_mut().path.push(segment);
        error
    }
}

/// Builds a [`Value`] and checks it on the way.
#[derive(Clone, Copy)]
struct Checked<'a> {
    state: &'a State,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if is_exact_integer(value) {
            Ok(Value::from(value))
        } else {
            Err(self.state.fail(JsonProblem::InexactInteger { token: value.to_string() }))
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if is_exact_integer(value.unsigned_abs()) {
            Ok(Value::from(value))
        } else {
            Err(self.state.fail(JsonProblem::InexactInteger { token: value.to_string() }))
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= MAYBE_ROUNDED_FROM {
            self.state.0.borrow_mut().maybe_rounded = true;
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| self.state.fail(JsonProblem::Overflow))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.descend()?;
        let mut array = Vec::new();
        loop {
            match items.next_element_seed(inner) {
                Ok(Some(item)) => array.push(item),
                Ok(None) => return Ok(Value::Array(array)),
                Err(error) => return Err(self.state.inside(Segment::Index(array.len()), error)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.descend()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                let error = self.state.fail(JsonProblem::DuplicateKey);
                return Err(self.state.inside(Segment::Key(key), error));
            }
            match members.next_value_seed(inner) {
                Ok(value) => {
                    object.insert(key, value);
                }
                Err(error) => return Err(self.state.inside(Segment::Key(key), error)),
            }
        }
        Ok(Value::Object(object))
    }
}

impl Checked<'_> {
    fn descend<E: serde::de::Error>(self) -> Result<Self, E> {
        deeper(self.depth).map_err(|problem| self.state.fail(problem))?;
        Ok(Self { depth: self.depth.saturating_add(1), ..self })
    }
}

/// Looks at the number tokens of a text that has already been parsed once.
fn check_tokens(part: Part, text: &str) -> Result<(), BadInput> {
    let mut path = Vec::new();
    serde_json::from_str::<&RawValue>(text)
        .map_err(|error| JsonProblem::Invalid(error.to_string()))
        .and_then(|raw| check_raw(raw, &mut path))
        .map_err(|problem| BadInput::Json { part, pointer: pointer(path.iter().rev()), problem })
}

/// The depth is bounded: the first parse has refused what is nested too deeply.
fn check_raw(raw: &RawValue, path: &mut Vec<Segment>) -> Result<(), JsonProblem> {
    let text = raw.get();
    let invalid = |error: serde_json::Error| JsonProblem::Invalid(error.to_string());
    match text.bytes().next() {
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(invalid)?;
            for (index, item) in items.into_iter().enumerate() {
                check_raw(item, path).inspect_err(|_| path.push(Segment::Index(index)))?;
            }
            Ok(())
        }
        Some(b'{') => {
            let members: BTreeMap<Cow<'_, str>, &RawValue> =
                serde_json::from_str(text).map_err(invalid)?;
            for (key, member) in members {
                check_raw(member, path)
                    .inspect_err(|_| path.push(Segment::Key(key.clone().into_owned())))?;
            }
            Ok(())
        }
        Some(b'-' | b'0'..=b'9') if !text.contains(['.', 'e', 'E']) => check_integer(text),
        _ => Ok(()),
    }
}

/// Compares an integer's digits with those of its nearest binary64, which Rust prints in full.
fn check_integer(token: &str) -> Result<(), JsonProblem> {
    let nearest: f64 =
        token.parse().map_err(|_| JsonProblem::Invalid("not a number".to_owned()))?;
    if nearest.is_infinite() {
        Err(JsonProblem::Overflow)
    } else if token == "-0" || format!("{nearest:.0}") == token {
        Ok(())
    } else {
        Err(JsonProblem::InexactInteger { token: token.to_owned() })
    }
}

/// Gives whole numbers beyond 2^53 their exact value again after they have been stored.
///
/// The service prints the shortest digits that mean the same binary64, for example
/// `1152921504606847000` or `1.152921504606847e18` for 2^60; a reader of integers would take the one
/// for another number and the other for no integer at all.
pub(crate) fn restore_integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(exact) = exact_integer(number) {
                *number = exact;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(restore_integers),
        Value::Object(members) => members.values_mut().for_each(restore_integers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The integer that a large number is; nothing for numbers whose digits say what they are, and for
/// those beyond 64 bits.
fn exact_integer(number: &Number) -> Option<Number> {
    let stored = number.as_f64()?;
    if !(PLAIN_BELOW..=MAYBE_ROUNDED_FROM * 2.0).contains(&stored.abs()) {
        return None;
    }
    let exact = format!("{stored:.0}");
    let unsigned = exact.parse::<u64>().ok().map(Number::from);
    unsigned.or_else(|| exact.parse::<i64>().ok().map(Number::from))
}

#[cfg(test)]
mod tests;
