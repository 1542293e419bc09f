//! Where the customer lives, and how to reach them.

use super::{City, CountryCode, Email, PersonName, Phone, PostalCode, Region};
use crate::quotes::{
    input::{ContactInput, GeographicInput},
    problem::{Problems, ValidationError, ValueProblem},
    stored,
};

/// Where the customer lives, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct GeographicDetails {
    country: CountryCode,
    state: Option<Region>,
    city: City,
    zip_code: Option<PostalCode>,
}

impl TryFrom<GeographicInput> for GeographicDetails {
    type Error = ValidationError;

    fn try_from(input: GeographicInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let country = problems.required("/country", input.country.as_deref(), CountryCode::new);
        let state = problems.optional("/state", input.state.as_deref(), Region::new);
        if input.state.is_none() && country.as_ref().is_some_and(CountryCode::has_states) {
            problems.add("/state", ValueProblem::Required);
        }
        let city = problems.required("/city", input.city.as_deref(), City::new);
        // Without a country nobody can say what its postal codes are like.
        let zip_code = country.as_ref().and_then(|country| match input.zip_code {
            None if PostalCode::is_required(country) => {
                problems.add("/zipCode", ValueProblem::Required);
                None
            }
            code => problems.optional("/zipCode", code, |code| PostalCode::new(country, &code)),
        });
        let whole =
            country.zip(city).map(|(country, city)| Self { country, state, city, zip_code });
        problems.finish(whole)
    }
}

impl From<&GeographicDetails> for stored::Geographic {
    fn from(details: &GeographicDetails) -> Self {
        let GeographicDetails { country, state, city, zip_code } = details.clone();
        Self {
            country: country.into(),
            state: state.map(Into::into),
            city: city.into(),
            zip_code: zip_code.map(Into::into),
        }
    }
}

/// How to reach the customer, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactDetails {
    first_name: PersonName,
    last_name: PersonName,
    email: Email,
    phone: Phone,
}

impl TryFrom<ContactInput> for ContactDetails {
    type Error = ValidationError;

    fn try_from(input: ContactInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let first = problems.required("/firstName", input.first_name.as_deref(), PersonName::new);
        let last = problems.required("/lastName", input.last_name.as_deref(), PersonName::new);
        let email = problems.required("/email", input.email.as_deref(), Email::new);
        let phone = problems.required("/phone", input.phone.as_deref(), Phone::new);
        let whole = first.zip(last).zip(email).zip(phone);
        problems.finish(whole.map(|(((first_name, last_name), email), phone)| Self {
            first_name,
            last_name,
            email,
            phone,
        }))
    }
}

impl From<&ContactDetails> for stored::Contact {
    fn from(details: &ContactDetails) -> Self {
        let ContactDetails { first_name, last_name, email, phone } = details.clone();
        Self {
            first_name: first_name.into(),
            last_name: last_name.into(),
            email: email.into(),
            phone: phone.into(),
        }
    }
}

hidden_debug!(GeographicDetails, ContactDetails);
