//! The quote: its state and its rules.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    command::{Action, ActionKind, QuoteCommand},
    event::{Change, QuoteEvent},
    rejection::QuoteRejection,
    status::{Section, Status},
    stored::{Contact, Family, Geographic, Offer},
    time,
    values::Actor,
};
use crate::{aggregate::Aggregate, event::whole_microseconds};

/// How many days without an event end a quote: long enough to compare offers and to ask at home, and
/// short enough that an offer does not outlive the prices it was made from. The sample has it, too.
pub const EXPIRY_DAYS: u64 = 14;

const DAY_MICROSECONDS: i64 = 24 * 60 * 60 * 1_000_000;

/// Who changed something, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) by: Actor,
    #[serde(with = "time")]
    pub(super) at: Timestamp,
}

/// A quote. Its serde form is for snapshots; [`QuoteView`](super::QuoteView) is for readers.
///
/// Its `Debug` shows the status and which sections are missing, and nobody's data.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    pub(super) status: Status,
    pub(super) product: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) geographic: Option<Geographic>,
    pub(super) contact: Option<Contact>,
    pub(super) family: Option<Family>,
    pub(super) offer: Option<Offer>,
    pub(super) policy_number: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) has_unsaved_changes: bool,
    pub(super) initiated: Option<Stamp>,
    pub(super) changed: Option<Stamp>,
}

impl fmt::Debug for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quote")
            .field("status", &self.status)
            .field("missing", &self.missing())
            .field("has_unsaved_changes", &self.has_unsaved_changes)
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}

impl Quote {
    /// Where it stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The sections without which it cannot be finalized.
    pub fn missing(&self) -> Vec<Section> {
        [
            (self.geographic.is_none(), Section::Geographic),
            (self.contact.is_none(), Section::Contact),
            (self.family.is_none(), Section::Family),
        ]
        .into_iter()
        .filter_map(|(is_missing, section)| is_missing.then_some(section))
        .collect()
    }

    /// Whether details were set since the last save.
    pub fn has_unsaved_changes(&self) -> bool {
        self.has_unsaved_changes
    }

    /// Whether an action of this kind is possible at a time.
    ///
    /// # Errors
    ///
    /// The rule that it would break.
    pub fn permits(&self, action: ActionKind, at: Timestamp) -> Result<(), QuoteRejection> {
        if self.status.after(action).is_none() {
            return Err(self.obstacle(action));
        }
        match action {
            ActionKind::Finalize => match self.missing() {
                missing if missing.is_empty() => Ok(()),
                missing => Err(QuoteRejection::DetailsMissing { missing }),
            },
            ActionKind::Expire => match self.days_left(at) {
                0 => Ok(()),
                days_left => Err(QuoteRejection::NotYetExpired { days_left }),
            },
            _ => Ok(()),
        }
    }

    /// Why the status stands in the way.
    fn obstacle(&self, action: ActionKind) -> QuoteRejection {
        match (self.status, action) {
            (Status::Absent, _) => QuoteRejection::NotInitiated,
            (_, ActionKind::Initiate) => QuoteRejection::AlreadyInitiated,
            (status, _) if status.is_final() => QuoteRejection::AlreadyDecided { status },
            (_, ActionKind::Approve | ActionKind::Reject) => QuoteRejection::NotFinalized,
            (_, ActionKind::Finalize) => QuoteRejection::AlreadyFinalized,
            _ => QuoteRejection::FinalizedCannotBeEdited,
        }
    }

    /// The days until it can expire, a part of a day counts as one.
    fn days_left(&self, at: Timestamp) -> u64 {
        let Some(changed) = &self.changed else { return 0 };
        let days = i64::try_from(EXPIRY_DAYS).unwrap_or(i64::MAX);
        let due = changed.at.as_microsecond().saturating_add(days.saturating_mul(DAY_MICROSECONDS));
        let left = u64::try_from(due.saturating_sub(at.as_microsecond())).unwrap_or(0);
        left.div_ceil(DAY_MICROSECONDS.unsigned_abs())
    }

    /// What an action that is possible changes; nothing when it already is so.
    fn change(&self, action: &Action) -> Option<Change> {
        Some(match action {
            Action::Initiate { product, channel } => Change::QuoteInitiated {
                product: product.clone().map(Into::into),
                channel: channel.clone().map(Into::into),
            },
            Action::SetGeographic(details) => {
                let stored =
                    Some(details.into()).filter(|new| self.geographic.as_ref() != Some(new));
                Change::GeographicDetailsSet(stored?)
            }
            Action::SetContact(details) => {
                let stored = Some(details.into()).filter(|new| self.contact.as_ref() != Some(new));
                Change::ContactDetailsSet(stored?)
            }
            Action::SetFamily(details) => {
                let stored = Some(details.into()).filter(|new| self.family.as_ref() != Some(new));
                Change::FamilyDetailsSet(stored?)
            }
            Action::Save { .. } if self.status == Status::Saved && !self.has_unsaved_changes => {
                return None;
            }
            Action::Save { page } => Change::QuoteSaved { page: page.clone().map(Into::into) },
            Action::Finalize(offer) => Change::QuoteFinalized(offer.into()),
            Action::Approve { policy_number } => {
                Change::QuoteApproved { policy_number: policy_number.clone().map(Into::into) }
            }
            Action::Reject { reason } => Change::QuoteRejected { reason: reason.clone().into() },
            Action::Withdraw { reason } => {
                Change::QuoteWithdrawn { reason: reason.clone().map(Into::into) }
            }
            Action::Expire => Change::QuoteExpired { after_days: EXPIRY_DAYS },
        })
    }
}

impl Aggregate for Quote {
    type Event = QuoteEvent;
    type Command = QuoteCommand;
    type Rejection = QuoteRejection;

    const TYPE: &'static str = "quote";

    fn initial() -> Self {
        Self {
            status: Status::Absent,
            product: None,
            channel: None,
            geographic: None,
            contact: None,
            family: None,
            offer: None,
            policy_number: None,
            reason: None,
            has_unsaved_changes: false,
            initiated: None,
            changed: None,
        }
    }

    fn evolve(mut self, event: &QuoteEvent) -> Self {
        let stamp = Stamp { by: event.by.clone(), at: event.at };
        self.status = event.change.leads_to().unwrap_or(self.status);
        match event.change.clone() {
            Change::QuoteInitiated { product, channel } => {
                (self.product, self.channel) = (product, channel);
                self.initiated = Some(stamp.clone());
            }
            Change::GeographicDetailsSet(geographic) => {
                self.geographic = Some(geographic);
                self.has_unsaved_changes = true;
            }
            Change::ContactDetailsSet(contact) => {
                self.contact = Some(contact);
                self.has_unsaved_changes = true;
            }
            Change::FamilyDetailsSet(family) => {
                self.family = Some(family);
                self.has_unsaved_changes = true;
            }
            Change::QuoteSaved { .. } => self.has_unsaved_changes = false,
            Change::QuoteFinalized(offer) => {
                self.offer = Some(offer);
                // The offer is for what was entered, saved or not.
                self.has_unsaved_changes = false;
            }
            Change::QuoteApproved { policy_number } => self.policy_number = policy_number,
            Change::QuoteRejected { reason } => self.reason = Some(reason),
            Change::QuoteWithdrawn { reason } => self.reason = reason,
            Change::QuoteExpired { .. } => {}
        }
        self.changed = Some(stamp);
        self
    }

    fn decide(&self, command: &QuoteCommand) -> Result<Vec<QuoteEvent>, QuoteRejection> {
        // A time that cannot be stored is refused where the event is made ready for the store.
        let at = whole_microseconds(command.at).unwrap_or(command.at);
        self.permits(command.action.kind(), at)?;
        let change = self.change(&command.action);
        Ok(change
            .map(|change| QuoteEvent { by: command.by.clone(), at, change })
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
pub(super) mod properties;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
