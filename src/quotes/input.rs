//! What callers send, before anything is checked.
//!
//! Every field may be missing here, so that all problems can be named at once; a field of another
//! name is refused when it is parsed. Each input becomes an [`Action`] by `try_from`.

use serde::Deserialize;

use super::{
    command::Action,
    problem::{Problems, ValidationError},
    values::{
        ContactDetails, FamilyDetails, GeographicDetails, OfferDetails, PolicyNumber, Reason,
        ShortName,
    },
};
use crate::event::optional_object;

/// Declares an input: a struct of optional fields.
macro_rules! input {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: Option<$type>,)+
        }

        hidden_debug!($name);
    };
}

input! {
    /// For [`Action::Initiate`].
    InitiateInput {
        /// Which product, a [`ShortName`].
        product: String,
        /// Where, a [`ShortName`], for example `web`.
        channel: String,
    }
}

input! {
    /// For [`Action::SetGeographic`].
    GeographicInput {
        /// Required, a [`CountryCode`](super::CountryCode).
        country: String,
        /// A [`Region`](super::Region), required in AU, BR, CA, IN, JP and US.
        state: String,
        /// Required, a [`City`](super::City).
        city: String,
        /// A [`PostalCode`](super::PostalCode), required where the country has them.
        zip_code: String,
    }
}

input! {
    /// For [`Action::SetContact`].
    ContactInput {
        /// Required, a [`PersonName`](super::PersonName).
        first_name: String,
        /// Required, a [`PersonName`](super::PersonName).
        last_name: String,
        /// Required, an [`Email`](super::Email).
        email: String,
        /// Required, a [`Phone`](super::Phone).
        phone: String,
    }
}

input! {
    /// For [`Action::SetFamily`].
    FamilyInput {
        /// Required, everybody but the policy holder, 0 to 30.
        dependants: u64,
        /// Required, the children among them.
        children: u64,
        /// The age of each child, 0 to 25; required where there are children.
        child_ages: Vec<u64>,
    }
}

input! {
    /// For [`Action::Save`].
    SaveInput {
        /// The page that it is saved on, a [`ShortName`].
        page: String,
    }
}

input! {
    /// For [`Action::Finalize`].
    FinalizeInput {
        /// The sum insured, an [`Amount`](super::Amount).
        sum_insured: u64,
        /// What it costs.
        #[serde(deserialize_with = "optional_object")]
        premium: PremiumInput,
    }
}

input! {
    /// A premium. All fields are required where there is one.
    PremiumInput {
        /// An [`Amount`](super::Amount).
        amount: u64,
        /// A [`CurrencyCode`](super::CurrencyCode).
        currency: String,
        /// A [`Period`](super::Period): `month`, `quarter` or `year`.
        period: String,
    }
}

input! {
    /// For [`Action::Approve`].
    ApproveInput {
        /// A [`PolicyNumber`].
        policy_number: String,
    }
}

input! {
    /// For [`Action::Reject`].
    RejectInput {
        /// Required, a [`Reason`].
        reason: String,
    }
}

input! {
    /// For [`Action::Withdraw`].
    WithdrawInput {
        /// A [`Reason`].
        reason: String,
    }
}

impl TryFrom<InitiateInput> for Action {
    type Error = ValidationError;

    fn try_from(input: InitiateInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let product = problems.optional("/product", input.product.as_deref(), ShortName::new);
        let channel = problems.optional("/channel", input.channel.as_deref(), ShortName::new);
        problems.finish(Some(Self::Initiate { product, channel }))
    }
}

impl TryFrom<GeographicInput> for Action {
    type Error = ValidationError;

    fn try_from(input: GeographicInput) -> Result<Self, ValidationError> {
        GeographicDetails::try_from(input).map(Self::SetGeographic)
    }
}

impl TryFrom<ContactInput> for Action {
    type Error = ValidationError;

    fn try_from(input: ContactInput) -> Result<Self, ValidationError> {
        ContactDetails::try_from(input).map(Self::SetContact)
    }
}

impl TryFrom<FamilyInput> for Action {
    type Error = ValidationError;

    fn try_from(input: FamilyInput) -> Result<Self, ValidationError> {
        FamilyDetails::try_from(input).map(Self::SetFamily)
    }
}

impl TryFrom<SaveInput> for Action {
    type Error = ValidationError;

    fn try_from(input: SaveInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let page = problems.optional("/page", input.page.as_deref(), ShortName::new);
        problems.finish(Some(Self::Save { page }))
    }
}

impl TryFrom<FinalizeInput> for Action {
    type Error = ValidationError;

    fn try_from(input: FinalizeInput) -> Result<Self, ValidationError> {
        OfferDetails::try_from(input).map(Self::Finalize)
    }
}

impl TryFrom<ApproveInput> for Action {
    type Error = ValidationError;

    fn try_from(input: ApproveInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let number = input.policy_number.as_deref();
        let policy_number = problems.optional("/policyNumber", number, PolicyNumber::new);
        problems.finish(Some(Self::Approve { policy_number }))
    }
}

impl TryFrom<RejectInput> for Action {
    type Error = ValidationError;

    fn try_from(input: RejectInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let reason = problems.required("/reason", input.reason.as_deref(), Reason::new);
        problems.finish(reason.map(|reason| Self::Reject { reason }))
    }
}

impl TryFrom<WithdrawInput> for Action {
    type Error = ValidationError;

    fn try_from(input: WithdrawInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let reason = problems.optional("/reason", input.reason.as_deref(), Reason::new);
        problems.finish(Some(Self::Withdraw { reason }))
    }
}

#[cfg(test)]
mod tests;
