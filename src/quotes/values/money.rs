//! Sums and premiums.

use super::text_form;
use crate::quotes::{
    input::{FinalizeInput, PremiumInput},
    problem::{Problems, ValidationError, ValueProblem},
    stored,
};

/// The largest amount: the last integer before binary64, the number format of Cosmos DB, leaves one
/// out.
const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// An amount of money in whole units of its currency, 0 to 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(u64);

impl Amount {
    /// Checks the amount.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::Range`].
    pub fn new(units: u64) -> Result<Self, ValueProblem> {
        if units <= AMOUNT_MAX {
            Ok(Self(units))
        } else {
            Err(ValueProblem::Range { min: 0, max: AMOUNT_MAX })
        }
    }

    /// The amount, in whole units of its currency.
    pub const fn units(self) -> u64 {
        self.0
    }
}

/// A currency by its code: three capital letters, the shape of ISO 4217.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyCode(String);

impl CurrencyCode {
    /// Checks the code.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::Currency`].
    pub fn new(code: &str) -> Result<Self, ValueProblem> {
        if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(code.to_owned()))
        } else {
            Err(ValueProblem::Currency)
        }
    }
}

/// How long a premium pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A month.
    Month,
    /// Three months.
    Quarter,
    /// A year.
    Year,
}

impl Period {
    /// Reads the name.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::Period`].
    pub fn new(name: &str) -> Result<Self, ValueProblem> {
        let all = [Self::Month, Self::Quarter, Self::Year];
        all.into_iter().find(|period| period.as_str() == name).ok_or(ValueProblem::Period)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

/// What an insurance costs, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct PremiumDetails {
    amount: Amount,
    currency: CurrencyCode,
    period: Period,
}

impl PremiumDetails {
    /// Checks the input; the pointers of the problems begin below `at`.
    fn checked(input: &PremiumInput, at: &str, problems: &mut Problems) -> Option<Self> {
        let amount = problems.required(&format!("{at}/amount"), input.amount, Amount::new);
        let currency = problems.required(
            &format!("{at}/currency"),
            input.currency.as_deref(),
            CurrencyCode::new,
        );
        let period =
            problems.required(&format!("{at}/period"), input.period.as_deref(), Period::new);
        let whole = amount.zip(currency).zip(period);
        whole.map(|((amount, currency), period)| Self { amount, currency, period })
    }
}

/// What is offered, checked.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OfferDetails {
    sum_insured: Option<Amount>,
    premium: Option<PremiumDetails>,
}

impl TryFrom<FinalizeInput> for OfferDetails {
    type Error = ValidationError;

    fn try_from(input: FinalizeInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let sum_insured = problems.optional("/sumInsured", input.sum_insured, Amount::new);
        let premium = input
            .premium
            .as_ref()
            .and_then(|premium| PremiumDetails::checked(premium, "/premium", &mut problems));
        problems.finish(Some(Self { sum_insured, premium }))
    }
}

impl From<&OfferDetails> for stored::Offer {
    fn from(details: &OfferDetails) -> Self {
        let OfferDetails { sum_insured, premium } = details.clone();
        let premium = premium.map(|PremiumDetails { amount, currency, period }| stored::Premium {
            amount: amount.units(),
            currency: currency.into(),
            period: period.as_str().to_owned(),
        });
        Self { sum_insured: sum_insured.map(Amount::units), premium }
    }
}

text_form!(CurrencyCode);
hidden_debug!(PremiumDetails, OfferDetails);
