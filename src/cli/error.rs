//! Why a command failed, what its exit code is, and how that is said in one line.

use std::{error::Error as StdError, io, path::PathBuf};

use cosmos_local::{AttachError, ShutdownError, StartError};
use thiserror::Error;

use super::table::counted;
use crate::{
    event::BadInput,
    feed::{ControlError, FeedFault, HostFailed, InvalidOptions, StoreFault, lag::LagError},
    http::{BindError, ServeError},
    projection::{ReadModelError, RebuildError, RegistryError, RollBackError, VersionFault},
    store::{AccountError, AppendError, ProvisionError, ReadError, StoreError, StoreErrorKind},
};

/// Exit code of every failure that has no code of its own.
pub const EXIT_FAILURE: u8 = 1;
/// Exit code for a command line or an input that is wrong.
pub const EXIT_USAGE: u8 = 2;
/// Exit code when the stream is not what the command expected.
pub const EXIT_CONFLICT: u8 = 3;
/// Exit code when it is not known whether something was stored: repeat with the same event ids.
pub const EXIT_UNKNOWN: u8 = 4;
/// Exit code after Ctrl-C, as shells number it.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Why a command failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CliError {
    /// An argument, or what it points to, is not what the command needs.
    #[error("{0}")]
    Usage(String),
    /// The store refuses the input.
    #[error(transparent)]
    BadInput(#[from] BadInput),
    /// An append failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A read failed.
    #[error(transparent)]
    Read(ReadError),
    /// The store could not be reached or is not there.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The containers are not what they must be.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The service does not listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The service did not end as it should.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The settings of a host of a processor do not go together.
    #[error(transparent)]
    Host(#[from] InvalidOptions),
    /// A processor could not be looked at or told something.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A stream is not set aside, or not as the command needs it.
    #[error("{0}")]
    Parked(String),
    /// The feed cannot be read.
    #[error(transparent)]
    Feed(#[from] FeedFault),
    /// Read models cannot be read or kept up to date.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    /// A host of a processor did not end as it should.
    #[error(transparent)]
    HostFailed(#[from] HostFailed),
    /// A read model was not rebuilt to its end.
    #[error(transparent)]
    Rebuild(RebuildError),
    /// Readers do not go back to the previous version.
    #[error(transparent)]
    RollBack(RollBackError),
    /// Something of the demonstration did not happen.
    #[error("{0}")]
    Demo(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Missing(String),
    /// A read model is not what it should be; the report says where.
    #[error("{0}")]
    Drift(String),
    /// The store, or something that it needs, is not as it must be; the report says what.
    #[error("{0}")]
    Unwell(String),
    /// Events could be lost in the account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The embedded endpoint did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The endpoint that another process runs on the data folder cannot be joined.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The embedded endpoint did not end as it should.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Standard output could not be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// An import did not take every line; the report says which.
    #[error("{} not imported", counted(*failed, "line"))]
    Import {
        /// How many lines failed.
        failed: u64,
    },
    /// The command was told to stop before it was done.
    #[error("stopped before it was done")]
    Interrupted,
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::BadInput(input) => Self::BadInput(input),
            other => Self::Read(other),
        }
    }
}

impl From<RebuildError> for CliError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::ReadModel(error) => Self::ReadModel(error),
            other => Self::Rebuild(other),
        }
    }
}

impl From<RollBackError> for CliError {
    fn from(error: RollBackError) -> Self {
        match error {
            RollBackError::ReadModel(error) => Self::ReadModel(error),
            other => Self::RollBack(other),
        }
    }
}

impl From<RegistryError> for CliError {
    fn from(error: RegistryError) -> Self {
        Self::ReadModel(error.into())
    }
}

impl From<LagError> for CliError {
    fn from(error: LagError) -> Self {
        match error {
            LagError::Feed(fault) => fault.into(),
            LagError::Store(fault) => fault.into(),
        }
    }
}

impl From<StoreFault> for CliError {
    fn from(fault: StoreFault) -> Self {
        Self::Control(ControlError::Store(fault))
    }
}

impl From<serde_json::Error> for CliError {
    /// For writing JSON to standard output, which fails only where the output fails.
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

impl CliError {
    /// What the process exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::ReadModel(
                ReadModelError::NoProjection(_)
                | ReadModelError::OtherKind(_)
                | ReadModelError::NoField(..)
                | ReadModelError::Token(_),
            )
            | Self::BadInput(_)
            | Self::Host(_)
            | Self::Control(ControlError::Reason | ControlError::NoPositions)
            | Self::Append(AppendError::BadInput(_))
            | Self::Bind(BindError::NotLoopback { .. }) => EXIT_USAGE,
            Self::Append(AppendError::Conflict { .. } | AppendError::EventIdReused { .. }) => {
                EXIT_CONFLICT
            }
            Self::Append(AppendError::OutcomeUnknown { .. }) => EXIT_UNKNOWN,
            Self::Interrupted | Self::Rebuild(RebuildError::Stopped { .. }) => EXIT_INTERRUPTED,
            _ => EXIT_FAILURE,
        }
    }

    /// Whether whoever read the output has gone away, which is nothing to talk about.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The failure with its causes, in one line, and what to do about it where that is known.
    pub fn one_line(&self) -> String {
        let mut line = in_one_line(self);
        if let Some(hint) = self.hint() {
            line.push_str(" (");
            line.push_str(hint);
            line.push(')');
        }
        line
    }

    fn hint(&self) -> Option<&'static str> {
        let store = match self {
            Self::Store(error)
            | Self::Read(ReadError::Store(error))
            | Self::Append(AppendError::Store(error)) => error,
            Self::Append(AppendError::OutcomeUnknown { .. }) => {
                return Some("repeat it with the same event ids: nothing is stored twice");
            }
            Self::Control(ControlError::NoProcessor) => {
                return Some("`cosmos-es processors` lists them; the first worker makes one");
            }
            Self::ReadModel(error) => return of_read_model(error),
            Self::Rebuild(error) => return of_rebuild(error),
            _ => return None,
        };
        match store.kind() {
            StoreErrorKind::NotProvisioned => Some("`cosmos-es provision` makes it ready"),
            StoreErrorKind::Denied => Some("`cosmos-es doctor` says what the identity lacks"),
            _ => None,
        }
    }
}

fn of_read_model(error: &ReadModelError) -> Option<&'static str> {
    match error {
        ReadModelError::NotBuilt(_) => {
            Some("start `cosmos-es worker`, or build it with `cosmos-es projections rebuild`")
        }
        ReadModelError::Registry(RegistryError::Version(VersionFault::IsLive(_))) => {
            Some("build another with `cosmos-es projections rebuild` before it is removed")
        }
        ReadModelError::Registry(RegistryError::Version(VersionFault::Unknown(_))) => {
            Some("`cosmos-es projections list` has those that there are")
        }
        _ => None,
    }
}

fn of_rebuild(error: &RebuildError) -> Option<&'static str> {
    match error {
        RebuildError::Parked { .. } => Some(
            "`cosmos-es parked --processor NAME@VERSION` says why; then redrive them and call again, or give the \
             version up with `cosmos-es projections clean NAME --version VERSION`",
        ),
        RebuildError::Unattended { .. } => {
            Some("start `cosmos-es worker` of this program, and call again")
        }
        _ => None,
    }
}

/// An error and its causes. A cause that the text already has is not repeated, and line breaks
/// become spaces.
pub(super) fn in_one_line(error: &(dyn StdError + 'static)) -> String {
    let mut text = one_line(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = one_line(&error.to_string());
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once_and_in_one_line() {
        let source = io::Error::other("no\n  such thing");
        let error = CliError::File { path: "events.jsonl".into(), source };
        assert_eq!(error.one_line(), "events.jsonl: no such thing");
    }

    #[test]
    fn a_closed_output_is_told_from_a_full_disk() {
        let closed = CliError::Output(io::ErrorKind::BrokenPipe.into());
        assert!(closed.is_closed_output());
        assert!(!CliError::Output(io::ErrorKind::StorageFull.into()).is_closed_output());
    }

    #[test]
    fn wrong_input_has_its_own_exit_code() {
        assert_eq!(CliError::from(BadInput::NoEvents).exit_code(), EXIT_USAGE);
        assert_eq!(CliError::from(ReadError::BadInput(BadInput::NoEvents)).exit_code(), EXIT_USAGE);
        assert_eq!(CliError::Interrupted.exit_code(), EXIT_INTERRUPTED);
    }
}
