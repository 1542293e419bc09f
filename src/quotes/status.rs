//! Where a quote stands, and where it may go from there.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::command::ActionKind;

/// Where a quote stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Nothing has happened: there is no quote.
    Absent,
    /// It was asked for, and nothing is saved.
    Initiated,
    /// Something was saved; it can still be edited.
    Saved,
    /// An offer was made.
    Finalized,
    /// The offer became a policy.
    Approved,
    /// The insurer did not want it.
    Rejected,
    /// The customer did not want it.
    Withdrawn,
    /// Nobody did anything for too long.
    Expired,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Absent,
        Self::Initiated,
        Self::Saved,
        Self::Finalized,
        Self::Approved,
        Self::Rejected,
        Self::Withdrawn,
        Self::Expired,
    ];

    /// Its name, as views have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Initiated => "initiated",
            Self::Saved => "saved",
            Self::Finalized => "finalized",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing can happen any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Approved | Self::Rejected | Self::Withdrawn | Self::Expired)
    }

    /// Where an action leads from here, if [`TRANSITIONS`] has it.
    pub fn after(self, action: ActionKind) -> Option<Self> {
        let found = TRANSITIONS.iter().find(|(from, by, _)| *from == self && *by == action);
        found.map(|(_, _, to)| *to)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Every way that a quote can go. What is not here does not happen.
pub const TRANSITIONS: &[(Status, ActionKind, Status)] = &[
    (Status::Absent, ActionKind::Initiate, Status::Initiated),
    (Status::Initiated, ActionKind::SetGeographic, Status::Initiated),
    (Status::Initiated, ActionKind::SetContact, Status::Initiated),
    (Status::Initiated, ActionKind::SetFamily, Status::Initiated),
    (Status::Initiated, ActionKind::Save, Status::Saved),
    (Status::Initiated, ActionKind::Finalize, Status::Finalized),
    (Status::Initiated, ActionKind::Withdraw, Status::Withdrawn),
    (Status::Initiated, ActionKind::Expire, Status::Expired),
    (Status::Saved, ActionKind::SetGeographic, Status::Saved),
    (Status::Saved, ActionKind::SetContact, Status::Saved),
    (Status::Saved, ActionKind::SetFamily, Status::Saved),
    (Status::Saved, ActionKind::Save, Status::Saved),
    (Status::Saved, ActionKind::Finalize, Status::Finalized),
    (Status::Saved, ActionKind::Withdraw, Status::Withdrawn),
    (Status::Saved, ActionKind::Expire, Status::Expired),
    (Status::Finalized, ActionKind::Approve, Status::Approved),
    (Status::Finalized, ActionKind::Reject, Status::Rejected),
    (Status::Finalized, ActionKind::Withdraw, Status::Withdrawn),
    (Status::Finalized, ActionKind::Expire, Status::Expired),
];

/// A part of the details that a quote needs before it can be finalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Section {
    /// Where the customer lives.
    Geographic,
    /// How to reach the customer.
    Contact,
    /// Who is insured besides the policy holder.
    Family,
}

impl Section {
    /// Its name, as views have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Geographic => "geographic",
            Self::Contact => "contact",
            Self::Family => "family",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
