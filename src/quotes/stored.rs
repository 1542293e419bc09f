//! What events and the state have: plain values, as they were stored.
//!
//! Nothing is checked when they are read, and unknown fields are passed over. What gets in by a
//! command has been checked before; what was imported has not. Their `Debug` shows no values.

use serde::{Deserialize, Serialize};

/// Where the customer lives.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Geographic {
    /// The country, ISO 3166-1 alpha-2.
    pub country: String,
    /// The state or another region, where an address has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The city.
    pub city: String,
    /// The postal code, where the country has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip_code: Option<String>,
}

/// How to reach the customer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// The given name.
    pub first_name: String,
    /// The family name.
    pub last_name: String,
    /// The address of electronic mail.
    pub email: String,
    /// The telephone number.
    pub phone: String,
}

/// Who is insured besides the policy holder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Family {
    /// Everybody but the policy holder, children included.
    pub dependants: u64,
    /// The children among them.
    pub children: u64,
    /// The age of each child, in whole years.
    pub child_ages: Vec<u64>,
}

/// What is offered.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The sum insured, in whole units of the premium's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum_insured: Option<u64>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub premium: Option<Premium>,
}

/// What an insurance costs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Premium {
    /// The amount, in whole units of the currency.
    pub amount: u64,
    /// The currency, ISO 4217.
    pub currency: String,
    /// How long the amount pays for: `month`, `quarter` or `year`.
    pub period: String,
}

hidden_debug!(Geographic, Contact, Family, Offer, Premium);
