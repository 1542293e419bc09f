//! Names and other short texts.

use serde::{Deserialize, Serialize};

use super::text_form;
use crate::quotes::problem::ValueProblem;

/// The longest name of a person, city or region, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest name of an actor, in characters: as long as a stream id.
const ACTOR_CHARS_MAX: usize = 128;
/// The longest reason, in characters: some sentences, not a letter.
const REASON_CHARS_MAX: usize = 500;
/// The longest short name, and the longest policy number, in characters.
const SHORT_CHARS_MAX: usize = 64;
/// The actor of an event that was stored without one.
const ACTOR_UNKNOWN: &str = "unknown";

/// A text without the spaces around it. What is inside stays as it is.
fn text(value: &str, max: usize) -> Result<String, ValueProblem> {
    if value.chars().any(char::is_control) {
        return Err(ValueProblem::ControlCharacter);
    }
    let value = value.trim();
    if value.is_empty() || value.chars().nth(max).is_some() {
        return Err(ValueProblem::Length { max });
    }
    Ok(value.to_owned())
}

/// Who does something: 1 to 128 characters, no control characters.
///
/// Its serde form is for snapshots, and reading it checks nothing: it is what was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(String);

impl Actor {
    /// Checks the name; spaces around it are cut.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::ControlCharacter`] and [`ValueProblem::Length`].
    pub fn new(name: &str) -> Result<Self, ValueProblem> {
        text(name, ACTOR_CHARS_MAX).map(Self)
    }

    /// The actor of a stored event, whatever was stored.
    pub(in crate::quotes) fn recorded(name: Option<&str>) -> Self {
        Self(name.unwrap_or(ACTOR_UNKNOWN).to_owned())
    }
}

/// A given name or a family name: 1 to 100 characters, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// Checks the name; spaces around it are cut.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::ControlCharacter`] and [`ValueProblem::Length`].
    pub fn new(name: &str) -> Result<Self, ValueProblem> {
        text(name, NAME_CHARS_MAX).map(Self)
    }
}

/// The name of a city: 1 to 100 characters, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct City(String);

impl City {
    /// Checks the name; spaces around it are cut.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::ControlCharacter`] and [`ValueProblem::Length`].
    pub fn new(name: &str) -> Result<Self, ValueProblem> {
        text(name, NAME_CHARS_MAX).map(Self)
    }
}

/// The name or code of a state or another region: 1 to 100 characters, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// Checks the name; spaces around it are cut.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::ControlCharacter`] and [`ValueProblem::Length`].
    pub fn new(name: &str) -> Result<Self, ValueProblem> {
        text(name, NAME_CHARS_MAX).map(Self)
    }
}

/// Why somebody turned a quote down: 1 to 500 characters, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Checks the text; spaces around it are cut.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::ControlCharacter`] and [`ValueProblem::Length`].
    pub fn new(reason: &str) -> Result<Self, ValueProblem> {
        text(reason, REASON_CHARS_MAX).map(Self)
    }
}

/// The number of a policy: 1 to 64 characters, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyNumber(String);

impl PolicyNumber {
    /// Checks the number; spaces around it are cut.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::ControlCharacter`] and [`ValueProblem::Length`].
    pub fn new(number: &str) -> Result<Self, ValueProblem> {
        text(number, SHORT_CHARS_MAX).map(Self)
    }
}

/// The name of a product, a channel or a page, for example `health-basic`: 1 to 64 ASCII letters,
/// digits, `-`, `_` and `.`, a letter or digit first.
#[derive(Clone, PartialEq, Eq)]
pub struct ShortName(String);

impl ShortName {
    /// Checks the name.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::ShortName`].
    pub fn new(name: &str) -> Result<Self, ValueProblem> {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins && name.len() <= SHORT_CHARS_MAX && name.bytes().all(is_inner) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ValueProblem::ShortName { max: SHORT_CHARS_MAX })
        }
    }
}

text_form!(Actor, PersonName, City, Region, Reason, PolicyNumber, ShortName);
hidden_debug!(PersonName, City, Region, Reason, PolicyNumber, ShortName);
