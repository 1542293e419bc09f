//! What is wrong with input: which field breaks which rule.
//!
//! No problem has the value in it. It is nobody's business but the sender's, and the sender has it.

use std::fmt;

use thiserror::Error;

/// The rule that a value breaks. Its `Display` completes the sentence "the value ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueProblem {
    /// A value that must be there is not.
    #[error("is required")]
    Required,
    /// A text is empty or too long.
    #[error("must have 1 to {max} characters, not counting spaces around it")]
    Length {
        /// The most characters.
        max: usize,
    },
    /// A text has a control character.
    #[error("must not have control characters")]
    ControlCharacter,
    /// Not an address of electronic mail.
    #[error("must be an e-mail address: {0}")]
    Email(&'static str),
    /// Not a telephone number.
    #[error("must be a telephone number: {0}")]
    Phone(&'static str),
    /// Not the shape of an ISO 3166-1 alpha-2 code.
    #[error("must be two capital letters, as in ISO 3166-1 alpha-2")]
    Country,
    /// Not a postal code of the country.
    #[error("must be a postal code of the country, for example {example}")]
    PostalCode {
        /// One that has the right shape.
        example: &'static str,
    },
    /// Not a short name.
    #[error("must have 1 to {max} letters, digits, `-`, `_` and `.`, a letter or digit first")]
    ShortName {
        /// The most characters.
        max: usize,
    },
    /// Not the shape of an ISO 4217 code.
    #[error("must be three capital letters, as in ISO 4217")]
    Currency,
    /// Not a period that is paid for.
    #[error("must be one of month, quarter, year")]
    Period,
    /// A number is too small or too large.
    #[error("must be {min} to {max}")]
    Range {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// More children than dependants.
    #[error("must not be more than the dependants: children are among them")]
    ChildrenAreDependants,
    /// Not one age for each child.
    #[error("must have one age for each child")]
    AgePerChild,
}

impl ValueProblem {
    /// The stable name of the rule.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Length { .. } => "length",
            Self::ControlCharacter => "no-control-characters",
            Self::Email(_) => "email",
            Self::Phone(_) => "phone",
            Self::Country => "country-code",
            Self::PostalCode { .. } => "postal-code",
            Self::ShortName { .. } => "short-name",
            Self::Currency => "currency-code",
            Self::Period => "period",
            Self::Range { .. } => "range",
            Self::ChildrenAreDependants => "children-are-dependants",
            Self::AgePerChild => "one-age-per-child",
        }
    }
}

/// A field of the input that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldProblem {
    /// The field, as an RFC 6901 pointer into the input, for example `/zipCode`.
    pub pointer: String,
    /// The stable name of the rule.
    pub rule: &'static str,
    /// The rule in words. It does not have the value in it.
    pub detail: String,
}

impl FieldProblem {
    /// The problem of the field at a pointer.
    pub fn new(pointer: impl Into<String>, problem: ValueProblem) -> Self {
        Self { pointer: pointer.into(), rule: problem.rule(), detail: problem.to_string() }
    }
}

/// Input that cannot become a command. It names every problem, not only the first.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the input is not valid: {}", Listed(problems))]
#[non_exhaustive]
pub struct ValidationError {
    /// The problems, in the order of the fields; at least one.
    pub problems: Vec<FieldProblem>,
}

struct Listed<'a>(&'a [FieldProblem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, FieldProblem { pointer, rule, .. }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{pointer} ({rule})")?;
        }
        Ok(())
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<FieldProblem>);

impl Problems {
    pub(super) fn add(&mut self, pointer: impl Into<String>, problem: ValueProblem) {
        self.0.push(FieldProblem::new(pointer, problem));
    }

    /// The value, or nothing and the problem is noted.
    pub(super) fn check<T>(
        &mut self,
        pointer: &str,
        checked: Result<T, ValueProblem>,
    ) -> Option<T> {
        checked.map_err(|problem| self.add(pointer, problem)).ok()
    }

    /// The value of a field that must be there, or nothing and the problem is noted.
    pub(super) fn required<V, T>(
        &mut self,
        pointer: &str,
        value: Option<V>,
        make: impl FnOnce(V) -> Result<T, ValueProblem>,
    ) -> Option<T> {
        self.check(pointer, value.ok_or(ValueProblem::Required).and_then(make))
    }

    /// The value of a field that may be left out.
    pub(super) fn optional<V, T>(
        &mut self,
        pointer: &str,
        value: Option<V>,
        make: impl FnOnce(V) -> Result<T, ValueProblem>,
    ) -> Option<T> {
        value.and_then(|value| self.check(pointer, make(value)))
    }

    /// The whole, unless there are problems. Nothing without a problem does not occur.
    pub(super) fn finish<T>(self, whole: Option<T>) -> Result<T, ValidationError> {
        match whole {
            Some(whole) if self.0.is_empty() => Ok(whole),
            _ => Err(ValidationError { problems: self.0 }),
        }
    }
}
