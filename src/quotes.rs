//! The Quote domain: an insurance quote from its first page to its end.
//!
//! [`Quote`] is an [`Aggregate`](crate::aggregate::Aggregate); `docs/quotes.md` has its states, its
//! rules and the versions of its events on one page. Three kinds of types have the same subjects:
//!
//! - an **input** ([`GeographicInput`]) is what somebody sent, nothing is checked;
//! - **details** ([`GeographicDetails`]) are checked, all problems are named at once, and only they
//!   get into a [`QuoteCommand`];
//! - the **stored** form ([`stored::Geographic`]) is what events and the state have. It is read
//!   without a check: what has happened stays readable when a rule becomes stricter.
//!
//! ```
//! use cosmos_event_store::aggregate::Aggregate;
//! use cosmos_event_store::quotes::{
//!     Action, Actor, ActionKind, ContactInput, InitiateInput, Quote, QuoteCommand, Status,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let by = Actor::new("customer")?;
//! let at = "2026-11-20T10:00:00Z".parse()?;
//! let action = Action::try_from(InitiateInput::default())?;
//! let quote = Quote::initial();
//! let events = quote.decide(&QuoteCommand { by, at, action })?;
//! let quote = events.iter().fold(quote, Quote::evolve);
//! assert_eq!(quote.status(), Status::Initiated);
//! assert_eq!(quote.permits(ActionKind::Approve, at).unwrap_err().rule(), "not-finalized");
//!
//! let contact = ContactInput { email: Some("nobody".to_owned()), ..ContactInput::default() };
//! let error = Action::try_from(contact).unwrap_err();
//! let fields: Vec<&str> = error.problems.iter().map(|one| one.pointer.as_str()).collect();
//! assert_eq!(fields, ["/firstName", "/lastName", "/email", "/phone"]);
//! # Ok(())
//! # }
//! ```
//!
//! People's data is in none of the errors, and in no `Debug` of this module. Pure: no clock, no
//! randomness, no IO; it knows nothing of Cosmos DB and nothing of HTTP.

/// A `Debug` that shows the name of the type only, so that nobody's data gets into a log.
macro_rules! hidden_debug {
    ($($name:ident),+ $(,)?) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })+
    };
}

mod command;
mod event;
#[cfg(test)]
mod examples;
mod input;
mod problem;
pub mod projections;
mod quote;
mod rejection;
mod status;
pub mod stored;
mod time;
mod values;
mod view;

pub use self::{
    command::{Action, ActionKind, QuoteCommand},
    event::{Change, QuoteEvent, SCHEMA},
    input::{
        ApproveInput, ContactInput, FamilyInput, FinalizeInput, GeographicInput, InitiateInput,
        PremiumInput, RejectInput, SaveInput, WithdrawInput,
    },
    problem::{FieldProblem, ValidationError, ValueProblem},
    quote::{EXPIRY_DAYS, Quote},
    rejection::QuoteRejection,
    status::{Section, Status, TRANSITIONS},
    values::{
        Actor, Amount, City, ContactDetails, CountryCode, CurrencyCode, Email, FamilyDetails,
        GeographicDetails, OfferDetails, Period, PersonName, Phone, PolicyNumber, PostalCode,
        PremiumDetails, Reason, Region, ShortName,
    },
    view::{HistoryEntry, QuoteView, StatusView},
};
