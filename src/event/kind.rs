//! Event types.

use std::{borrow::Borrow, fmt, str::FromStr};

use super::{BadInput, EVENT_TYPE_CHARS_MAX};

/// The name of what happened, for example `QuoteInitiated`: 1 to 256 characters, no control
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(String);

impl EventType {
    /// Checks the name.
    ///
    /// # Errors
    ///
    /// [`BadInput::EventTypeLength`] and [`BadInput::EventTypeControl`].
    pub fn new(name: impl Into<String>) -> Result<Self, BadInput> {
        let name = name.into();
        let characters = name.chars().count();
        if characters == 0 || characters > EVENT_TYPE_CHARS_MAX {
            return Err(BadInput::EventTypeLength { characters, max: EVENT_TYPE_CHARS_MAX });
        }
        if let Some(index) = name.chars().position(char::is_control) {
            return Err(BadInput::EventTypeControl { position: index.saturating_add(1) });
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for EventType {
    type Error = BadInput;

    fn try_from(name: &str) -> Result<Self, BadInput> {
        Self::new(name)
    }
}

impl TryFrom<String> for EventType {
    type Error = BadInput;

    fn try_from(name: String) -> Result<Self, BadInput> {
        Self::new(name)
    }
}

impl FromStr for EventType {
    type Err = BadInput;

    fn from_str(name: &str) -> Result<Self, BadInput> {
        Self::new(name)
    }
}

impl AsRef<str> for EventType {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for EventType {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for EventType {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for EventType {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_characters() {
        assert!(EventType::new("\u{e9}".repeat(256)).is_ok());
        assert_eq!(
            EventType::new("\u{e9}".repeat(257)),
            Err(BadInput::EventTypeLength { characters: 257, max: 256 })
        );
        assert_eq!(EventType::new(""), Err(BadInput::EventTypeLength { characters: 0, max: 256 }));
    }

    #[test]
    fn control_characters_are_refused_by_place() {
        assert_eq!(EventType::new("Quote\nSaved"), Err(BadInput::EventTypeControl { position: 6 }));
    }
}
