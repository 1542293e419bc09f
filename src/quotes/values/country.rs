//! Countries.

use super::text_form;
use crate::quotes::problem::ValueProblem;

/// Countries whose addresses are not complete without a state, province or prefecture.
const WITH_STATES: [&str; 6] = ["AU", "BR", "CA", "IN", "JP", "US"];

/// A country by its code: two capital letters, the shape of ISO 3166-1 alpha-2. Whether the code is
/// assigned is not checked: that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryCode(String);

impl CountryCode {
    /// Checks the code.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::Country`].
    pub fn new(code: &str) -> Result<Self, ValueProblem> {
        if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(code.to_owned()))
        } else {
            Err(ValueProblem::Country)
        }
    }

    /// Whether an address there must name its state.
    pub fn has_states(&self) -> bool {
        WITH_STATES.contains(&self.as_str())
    }
}

text_form!(CountryCode);
