//! What a projection says of itself.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The logical partitions of a version unless the projection says otherwise. Each takes 20 GB and 10,000 RU
/// a second; a list asks every one of them.
pub(super) const SHARDS: u16 = 16;
/// The most logical partitions that a projection may ask for: a list asks every one of them.
pub(super) const SHARDS_MAX: u16 = 1024;
/// The longest name of a projection or a field.
const NAME_CHARACTERS_MAX: usize = 64;
/// The most fields that a projection may declare: each costs with every write.
pub(super) const FIELDS_MAX: usize = 16;

/// What a projection is called, what it takes, and by what its views can be found.
///
/// ```
/// use cosmos_event_store::projection::Definition;
///
/// let definition = Definition::new("quotes", 1)
///     .taking(["QuoteInitiated", "QuoteApproved"])
///     .with_field("status", "/status");
/// assert!(definition.check().is_ok());
/// assert!(Definition::new("Quotes!", 1).check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// Its name: 1 to 64 lower-case letters, digits and hyphens.
    pub name: String,
    /// The version of the code, from 1: raise it when the same events lead to other views.
    pub version: u32,
    /// Which events it takes.
    pub takes: Takes,
    /// In how many logical partitions its documents are.
    pub shards: u16,
    /// By what its views can be listed.
    pub fields: Vec<Field>,
    /// Whether there are views of parts of streams.
    pub has_parts: bool,
}

/// Which events a projection takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// All of them.
    All,
    /// Those of these types.
    Types(BTreeSet<String>),
}

/// A property of views by which they can be filtered and sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its name in queries: a letter, and up to 63 more letters and digits.
    pub name: String,
    /// Where it is in the data of a view, as a JSON pointer; a text, a number, a truth value or nothing.
    pub pointer: String,
}

/// Why a definition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidDefinition {
    /// The name has other characters, none, or too many.
    #[error("the name {0:?} of a projection has 1 to 64 lower-case letters, digits and hyphens")]
    Name(String),
    /// The version is 0.
    #[error("the version of projection {0:?} must not be 0")]
    Version(String),
    /// There are no shards, or too many.
    #[error("projection {0:?} has 1 to {SHARDS_MAX} shards")]
    Shards(String),
    /// A field has another name, no pointer, or is declared twice, or there are too many.
    #[error("the field {1:?} of projection {0:?} cannot be used")]
    Field(String, String),
    /// Two projections have the same name.
    #[error("there are two projections {0:?}")]
    DeclaredTwice(String),
}

impl Definition {
    /// A projection that takes all events.
    pub fn new(name: impl Into<String>, version: u32) -> Self {
        let (name, takes, fields) = (name.into(), Takes::All, Vec::new());
        Self { name, version, takes, shards: SHARDS, fields, has_parts: false }
    }

    /// Sets the types of the events that it takes. Others cost no write.
    #[must_use]
    pub fn taking<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.takes = Takes::Types(types.into_iter().map(Into::into).collect());
        self
    }

    /// Sets in how many logical partitions its documents are. Changing it takes a new version.
    #[must_use]
    pub fn sharded(mut self, shards: u16) -> Self {
        self.shards = shards;
        self
    }

    /// Lets views be filtered and sorted by a property of their data.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, pointer: impl Into<String>) -> Self {
        self.fields.push(Field { name: name.into(), pointer: pointer.into() });
        self
    }

    /// Lets events touch views of parts of their stream.
    #[must_use]
    pub fn with_parts(mut self) -> Self {
        self.has_parts = true;
        self
    }

    /// Checks the definition.
    ///
    /// # Errors
    ///
    /// The first [`InvalidDefinition`].
    pub fn check(&self) -> Result<(), InvalidDefinition> {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !has_length(&self.name) || !self.name.chars().all(is_part) {
            return Err(InvalidDefinition::Name(self.name.clone()));
        }
        if self.version == 0 {
            return Err(InvalidDefinition::Version(self.name.clone()));
        }
        if !(1..=SHARDS_MAX).contains(&self.shards) {
            return Err(InvalidDefinition::Shards(self.name.clone()));
        }
        for (index, field) in self.fields.iter().enumerate() {
            let is_name = has_length(&field.name)
                && field.name != "key"
                && field.name.starts_with(|c: char| c.is_ascii_alphabetic())
                && field.name.chars().all(|c| c.is_ascii_alphanumeric());
            let is_new = self.fields.iter().take(index).all(|other| other.name != field.name);
            if !is_name || !is_new || !field.pointer.starts_with('/') || index >= FIELDS_MAX {
                let field = field.name.clone();
                return Err(InvalidDefinition::Field(self.name.clone(), field));
            }
        }
        Ok(())
    }

    /// Whether it takes events of a type.
    pub fn takes_type(&self, event_type: &str) -> bool {
        match &self.takes {
            Takes::All => true,
            Takes::Types(types) => types.contains(event_type),
        }
    }

    /// Which of its logical partitions a stream is in.
    pub(super) fn shard(&self, stream: &str) -> u16 {
        shard_of(stream, self.shards)
    }
}

/// Which of so many logical partitions a stream is in: the first eight bytes of the SHA-256 of its id, modulo
/// the number. Stored documents depend on it.
pub(super) fn shard_of(stream: &str, shards: u16) -> u16 {
    let digest = Sha256::digest(stream.as_bytes());
    let number = digest.iter().take(8).fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    u16::try_from(number % u64::from(shards.max(1))).unwrap_or_default()
}

fn has_length(name: &str) -> bool {
    (1..=NAME_CHARACTERS_MAX).contains(&name.len())
}

/// A version of a projection, and in how many logical partitions its documents are: as it was made, whatever
/// the code at hand says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) name: &'a str,
    pub(super) number: u32,
    pub(super) shards: u16,
}

impl<'a> Site<'a> {
    pub(super) fn new(name: &'a str, number: u32, shards: u16) -> Self {
        Self { name, number, shards }
    }

    /// Where the documents of a stream are.
    pub(super) fn partition_of(self, stream: &str) -> String {
        partition_key(self.name, self.number, shard_of(stream, self.shards))
    }

    /// All logical partitions.
    pub(super) fn partitions(self) -> Vec<String> {
        (0..self.shards).map(|shard| partition_key(self.name, self.number, shard)).collect()
    }
}

/// The partition key of a shard of a version.
pub(super) fn partition_key(name: &str, version: u32, shard: u16) -> String {
    format!("{name}:{version}:{shard:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_checked() {
        let good = || Definition::new("quotes-by-day", 1);
        assert_eq!(good().check(), Ok(()));
        for name in ["", "A", "a_b", "a:b", "a/b", &"n".repeat(65)] {
            let found = Definition::new(name, 1).check();
            assert_eq!(found, Err(InvalidDefinition::Name(name.to_owned())));
        }
        assert!(Definition::new("a", 0).check().is_err());
        assert!(good().sharded(0).check().is_err() && good().sharded(1025).check().is_err());
        for (name, pointer) in [("", "/a"), ("key", "/a"), ("1a", "/a"), ("a-b", "/a"), ("a", "a")]
        {
            assert!(good().with_field(name, pointer).check().is_err(), "{name} {pointer}");
        }
        assert!(good().with_field("a", "/a").with_field("a", "/b").check().is_err());
        let many = (0..=FIELDS_MAX).fold(good(), |all, n| all.with_field(format!("f{n}"), "/a"));
        assert!(many.check().is_err());
    }

    /// Frozen: documents are found by it.
    #[test]
    fn the_shard_of_a_stream_never_changes() {
        let definition = Definition::new("a", 1);
        let shards: Vec<u16> =
            ["loan-1", "loan-2", "quote-1", ""].map(|stream| definition.shard(stream)).to_vec();
        assert_eq!(shards, [14, 0, 6, 4]);
        assert_eq!(Definition::new("a", 1).sharded(1).shard("loan-1"), 0);
        assert_eq!(partition_key("a", 2, 7), "a:2:0007");
    }
}
