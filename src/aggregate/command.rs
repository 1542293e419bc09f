//! Commands: their ids, what else they may be told, and what becomes of them.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;
use uuid::Uuid;

use crate::{
    aggregate::{DecodeError, EncodeError},
    event::{EventId, Metadata, RecordedEvent},
    store::{AppendError, ReadError, Receipt, SessionToken, Usage},
    stream::StreamId,
};

/// The longest command id, in characters.
pub const COMMAND_ID_CHARS_MAX: usize = 255;
/// The namespace of event ids that derive from command ids. It is part of the stored format: with
/// another one, commands that were given before would not be recognised.
pub const COMMAND_NAMESPACE: Uuid = Uuid::from_u128(0x6e37_9ab1_5c0d_4c57_9f0e_2b8d_31a7_c4e2);
/// The custom metadata under which the fingerprint of a command is stored.
pub const FINGERPRINT_KEY: &str = "commandFingerprint";

/// What makes a command recognisable when it is given again: 1 to 255 characters without control
/// characters, unique per stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandId(String);

/// A text that cannot be a command id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a command id has 1 to {COMMAND_ID_CHARS_MAX} characters and no control characters")]
pub struct InvalidCommandId;

impl CommandId {
    /// Checks the id.
    ///
    /// # Errors
    ///
    /// [`InvalidCommandId`].
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidCommandId> {
        let id = id.into();
        let characters = id.chars().count();
        if characters == 0 || characters > COMMAND_ID_CHARS_MAX || id.chars().any(char::is_control)
        {
            return Err(InvalidCommandId);
        }
        Ok(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the command's event at this index, counted from 0: a UUID of version 5.
    pub fn event_id(&self, index: usize) -> EventId {
        EventId::derived(COMMAND_NAMESPACE, &format!("{}\n{index}", self.0))
    }
}

impl FromStr for CommandId {
    type Err = InvalidCommandId;

    fn from_str(id: &str) -> Result<Self, InvalidCommandId> {
        Self::new(id)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much a cached state is trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// A point read makes sure that no event has come behind it: one round trip more.
    #[default]
    Probe,
    /// It is taken as it is. A command that it makes fail is decided again on a fresh state, and an
    /// append on a state that is out of date is refused and decided again; a load may give an old
    /// state.
    Trust,
}

/// What a command may be told besides what to do.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CommandOptions {
    /// What makes the command recognisable when it is given again.
    pub id: Option<CommandId>,
    /// What the command asks for, in short: stored with its events, and compared when a command with
    /// the same id is given again. A hash of the request, for example.
    pub fingerprint: Option<String>,
    /// The version that the stream must have; any unless it is set.
    pub expected_version: Option<u64>,
    /// How much a cached state is trusted.
    pub freshness: Freshness,
    /// Metadata of the events. What an event brings by itself comes first.
    pub metadata: Metadata,
    /// A token from another process: the command sees at least what its holder has seen. A rejection
    /// may take a round trip more, because this process may have seen what the holder has not.
    pub session_token: Option<SessionToken>,
}

impl CommandOptions {
    /// Sets what makes the command recognisable.
    #[must_use]
    pub fn with_id(mut self, id: CommandId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets what is compared when a command with the same id is given again.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: impl Into<String>) -> Self {
        self.fingerprint = Some(fingerprint.into());
        self
    }

    /// Sets the version that the stream must have. The command is then not decided again when another
    /// one wins.
    #[must_use]
    pub fn with_expected_version(mut self, version: u64) -> Self {
        self.expected_version = Some(version);
        self
    }

    /// Trusts a cached state without a probe: one round trip less.
    #[must_use]
    pub fn trusting_the_cache(mut self) -> Self {
        self.freshness = Freshness::Trust;
        self
    }

    /// Sets the metadata of the events.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets a token from another process.
    #[must_use]
    pub fn with_session_token(mut self, token: SessionToken) -> Self {
        self.session_token = Some(token);
        self
    }
}

/// How a command ended well.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CommandOutcome {
    /// Its events were stored by this call.
    Appended(Receipt),
    /// The command had been given before; these are the places of its events.
    Repeated(Receipt),
    /// There was nothing to do, and nothing was stored. Such a command is not remembered.
    Nothing,
}

/// What became of a command.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Executed<A> {
    /// How it ended.
    pub outcome: CommandOutcome,
    /// The state behind it. After a repeat it may be a later one.
    pub state: Arc<A>,
    /// The version that the state is of.
    pub version: u64,
    /// What the whole call took.
    pub usage: Usage,
    /// How many times other events won the race, and the command was decided again.
    pub conflicts: u32,
    /// What makes a later read in another process see at least as much.
    pub session_token: Option<SessionToken>,
}

/// Why a state could not be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The service failed, a document is damaged, or the stream id is invalid.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The stream has an event that this program cannot read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Why a command did not end well. But for [`Append`](Self::Append) with
/// [`AppendError::OutcomeUnknown`] and [`AppendError::Corrupt`], this call has stored nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError<R: std::error::Error + 'static> {
    /// A rule of the aggregate forbids it; decided on a fresh state.
    #[error("{rejection}")]
    Rejected {
        /// The rule.
        rejection: R,
        /// What the call took.
        usage: Usage,
    },
    /// The stream is not at the version that the caller expects.
    #[error("stream {stream} is at version {actual}, not at version {expected}")]
    VersionMismatch {
        /// The stream.
        stream: StreamId,
        /// What the caller expects.
        expected: u64,
        /// What it is.
        actual: u64,
        /// The events behind the expected version, where the stream is ahead of it: not more than
        /// [`WINNING_EVENTS_MAX`](crate::store::WINNING_EVENTS_MAX).
        events: Vec<RecordedEvent>,
        /// What the call took.
        usage: Usage,
    },
    /// A command with this id was given before, and asked for something else.
    #[error("command id {id} was given before in stream {stream}, for something else")]
    CommandIdReused {
        /// The stream.
        stream: StreamId,
        /// The id.
        id: CommandId,
        /// What the call took.
        usage: Usage,
    },
    /// Other events won the race each time. Give the command again, perhaps later.
    #[error("the command lost the race for stream {stream} {conflicts} times")]
    Contended {
        /// The stream.
        stream: StreamId,
        /// How many times.
        conflicts: u32,
        /// What the call took.
        usage: Usage,
    },
    /// The state could not be loaded.
    #[error("{error}")]
    Load {
        /// Why.
        #[source]
        error: LoadError,
        /// What the call took.
        usage: Usage,
    },
    /// An event that was decided cannot be stored.
    #[error("{error}")]
    Encode {
        /// Why.
        #[source]
        error: EncodeError,
        /// What the call took.
        usage: Usage,
    },
    /// The append failed.
    #[error("{error}")]
    Append {
        /// Why.
        #[source]
        error: AppendError,
        /// What the whole call took, the append included.
        usage: Usage,
    },
}

impl<R: std::error::Error + 'static> CommandError<R> {
    pub(super) fn rejected(rejection: R) -> Self {
        Self::Rejected { rejection, usage: Usage::default() }
    }

    /// Says what the call took.
    pub(super) fn with_usage(mut self, took: Usage) -> Self {
        match &mut self {
            Self::Rejected { usage, .. }
            | Self::VersionMismatch { usage, .. }
            | Self::CommandIdReused { usage, .. }
            | Self::Contended { usage, .. }
            | Self::Load { usage, .. }
            | Self::Encode { usage, .. }
            | Self::Append { usage, .. } => *usage = took,
        }
        self
    }

    /// What the call took before it failed. Where a read failed, that read is not counted.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Rejected { usage, .. }
            | Self::VersionMismatch { usage, .. }
            | Self::CommandIdReused { usage, .. }
            | Self::Contended { usage, .. }
            | Self::Load { usage, .. }
            | Self::Encode { usage, .. }
            | Self::Append { usage, .. } => *usage,
        }
    }

    /// Whether the same command, with the same id, may well succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Contended { .. } => true,
            Self::Append { error, .. } => error.is_retryable(),
            Self::Load { error: LoadError::Read(ReadError::Store(error)), .. } => {
                error.is_retryable()
            }
            _ => false,
        }
    }
}

impl<R: std::error::Error + 'static> From<LoadError> for CommandError<R> {
    fn from(error: LoadError) -> Self {
        Self::Load { error, usage: Usage::default() }
    }
}

impl<R: std::error::Error + 'static> From<EncodeError> for CommandError<R> {
    fn from(error: EncodeError) -> Self {
        Self::Encode { error, usage: Usage::default() }
    }
}

impl<R: std::error::Error + 'static> From<AppendError> for CommandError<R> {
    fn from(error: AppendError) -> Self {
        Self::Append { error, usage: Usage::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_ids_are_bounded() {
        assert!(CommandId::new("\u{e9}".repeat(255)).is_ok());
        for id in [String::new(), "x".repeat(256), "a\nb".to_owned()] {
            assert_eq!(CommandId::new(id), Err(InvalidCommandId));
        }
    }

    #[test]
    fn event_ids_derive_from_command_ids_for_ever() {
        let id: CommandId = "c-1".parse().unwrap();
        assert_eq!(id.event_id(0).to_string(), "d00e7ec7-0a02-54da-ad1d-22f63fe2e543");
        assert_eq!(id.event_id(1).to_string(), "3629fc73-598f-5ec0-857d-3d383d0e9b1b");
        // An id that ends like the index of another one is told apart.
        assert_ne!(CommandId::new("c-1 1").unwrap().event_id(0), id.event_id(10));
    }
}
