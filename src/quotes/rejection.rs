//! The rules that a command can break.

use thiserror::Error;

use super::status::{Section, Status};

/// Why a quote does not do what a command asks for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuoteRejection {
    /// There is no such quote.
    #[error("the quote has not been initiated")]
    NotInitiated,
    /// A quote is initiated once.
    #[error("the quote has already been initiated")]
    AlreadyInitiated,
    /// A quote is finalized with all sections.
    #[error("details are missing: {}", list(missing))]
    DetailsMissing {
        /// The sections that are missing.
        missing: Vec<Section>,
    },
    /// An offer is for the details that it was made for.
    #[error("the quote is finalized and cannot be edited")]
    FinalizedCannotBeEdited,
    /// A quote is finalized once.
    #[error("the quote is already finalized")]
    AlreadyFinalized,
    /// Only an offer can be approved or rejected.
    #[error("the quote is not finalized")]
    NotFinalized,
    /// Approved, rejected, withdrawn and expired are final.
    #[error("the quote is already {status}")]
    AlreadyDecided {
        /// What was decided.
        status: Status,
    },
    /// A quote expires when nothing has happened for some days.
    #[error("the quote does not expire before {days_left} days have passed")]
    NotYetExpired {
        /// The days until then, a part of a day counts as one.
        days_left: u64,
    },
}

impl QuoteRejection {
    /// The stable name of the rule.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NotInitiated => "not-initiated",
            Self::AlreadyInitiated => "already-initiated",
            Self::DetailsMissing { .. } => "details-missing",
            Self::FinalizedCannotBeEdited => "finalized-cannot-be-edited",
            Self::AlreadyFinalized => "already-finalized",
            Self::NotFinalized => "not-finalized",
            Self::AlreadyDecided { .. } => "already-decided",
            Self::NotYetExpired { .. } => "not-yet-expired",
        }
    }
}

fn list(sections: &[Section]) -> String {
    sections.iter().map(|section| section.as_str()).collect::<Vec<_>>().join(", ")
}
