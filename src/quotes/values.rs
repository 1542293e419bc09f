//! Values that keep their rules: each is checked when it is made.

mod country;
mod details;
mod email;
mod family;
mod money;
mod phone;
mod postal;
mod text;

pub use self::{
    country::CountryCode,
    details::{ContactDetails, GeographicDetails},
    email::Email,
    family::FamilyDetails,
    money::{Amount, CurrencyCode, OfferDetails, Period, PremiumDetails},
    phone::Phone,
    postal::PostalCode,
    text::{Actor, City, PersonName, PolicyNumber, Reason, Region, ShortName},
};

/// What every value that is a text has.
macro_rules! text_form {
    ($($name:ident),+ $(,)?) => {
        $(impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        })+
    };
}
use text_form;
