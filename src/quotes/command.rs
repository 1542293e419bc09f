//! What a quote can be asked to do.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::values::{
    Actor, ContactDetails, FamilyDetails, GeographicDetails, OfferDetails, PolicyNumber, Reason,
    ShortName,
};

/// A command: who asks, when, and for what.
#[derive(Debug, Clone, PartialEq)]
pub struct QuoteCommand {
    /// Who asks.
    pub by: Actor,
    /// When. What is finer than a microsecond is cut.
    pub at: Timestamp,
    /// For what.
    pub action: Action,
}

/// What a quote is asked to do. Everything in it has been checked; see the inputs, for example
/// [`GeographicInput`](super::GeographicInput).
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Begin.
    Initiate {
        /// Which product.
        product: Option<ShortName>,
        /// Where, for example `web`.
        channel: Option<ShortName>,
    },
    /// Note where the customer lives.
    SetGeographic(GeographicDetails),
    /// Note how to reach the customer.
    SetContact(ContactDetails),
    /// Note who is insured besides the policy holder.
    SetFamily(FamilyDetails),
    /// Save what was entered so far.
    Save {
        /// The page that it is saved on.
        page: Option<ShortName>,
    },
    /// Make an offer.
    Finalize(OfferDetails),
    /// Make the offer a policy.
    Approve {
        /// The number of the policy.
        policy_number: Option<PolicyNumber>,
    },
    /// Turn it down, as the insurer.
    Reject {
        /// Why.
        reason: Reason,
    },
    /// Turn it down, as the customer.
    Withdraw {
        /// Why, where they say so.
        reason: Option<Reason>,
    },
    /// End it because nothing has happened for [`EXPIRY_DAYS`](super::EXPIRY_DAYS).
    Expire,
}

impl Action {
    /// Which kind of action it is.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Initiate { .. } => ActionKind::Initiate,
            Self::SetGeographic(_) => ActionKind::SetGeographic,
            Self::SetContact(_) => ActionKind::SetContact,
            Self::SetFamily(_) => ActionKind::SetFamily,
            Self::Save { .. } => ActionKind::Save,
            Self::Finalize(_) => ActionKind::Finalize,
            Self::Approve { .. } => ActionKind::Approve,
            Self::Reject { .. } => ActionKind::Reject,
            Self::Withdraw { .. } => ActionKind::Withdraw,
            Self::Expire => ActionKind::Expire,
        }
    }
}

/// The kinds of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionKind {
    /// [`Action::Initiate`].
    Initiate,
    /// [`Action::SetGeographic`].
    #[serde(rename = "geographic")]
    SetGeographic,
    /// [`Action::SetContact`].
    #[serde(rename = "contact")]
    SetContact,
    /// [`Action::SetFamily`].
    #[serde(rename = "family")]
    SetFamily,
    /// [`Action::Save`].
    Save,
    /// [`Action::Finalize`].
    Finalize,
    /// [`Action::Approve`].
    Approve,
    /// [`Action::Reject`].
    Reject,
    /// [`Action::Withdraw`].
    Withdraw,
    /// [`Action::Expire`].
    Expire,
}

impl ActionKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Initiate,
        Self::SetGeographic,
        Self::SetContact,
        Self::SetFamily,
        Self::Save,
        Self::Finalize,
        Self::Approve,
        Self::Reject,
        Self::Withdraw,
        Self::Expire,
    ];

    /// Its name, as views have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initiate => "initiate",
            Self::SetGeographic => "geographic",
            Self::SetContact => "contact",
            Self::SetFamily => "family",
            Self::Save => "save",
            Self::Finalize => "finalize",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Withdraw => "withdraw",
            Self::Expire => "expire",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
