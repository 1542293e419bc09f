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
mod input;
mod problem;
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
