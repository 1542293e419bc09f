//! Who is insured besides the policy holder.

use crate::quotes::{
    input::FamilyInput,
    problem::{Problems, ValidationError, ValueProblem},
    stored,
};

/// The most dependants: beyond this it is a group, which is another product.
const DEPENDANTS_MAX: u64 = 30;
/// The oldest that a child is insured as one, in whole years.
const CHILD_AGE_MAX: u64 = 25;

/// Who is insured besides the policy holder, checked: at most 30 dependants, the children among
/// them, and an age of 0 to 25 for each child.
#[derive(Clone, PartialEq, Eq)]
pub struct FamilyDetails {
    dependants: u64,
    children: u64,
    child_ages: Vec<u64>,
}

impl TryFrom<FamilyInput> for FamilyDetails {
    type Error = ValidationError;

    fn try_from(input: FamilyInput) -> Result<Self, ValidationError> {
        let mut problems = Problems::default();
        let up_to = |number: u64, max| match number {
            number if number <= max => Ok(number),
            _ => Err(ValueProblem::Range { min: 0, max }),
        };
        let limit = |number| up_to(number, DEPENDANTS_MAX);
        let dependants = problems.required("/dependants", input.dependants, limit);
        let children = problems.required("/children", input.children, limit);
        if dependants.zip(children).is_some_and(|(dependants, children)| children > dependants) {
            problems.add("/children", ValueProblem::ChildrenAreDependants);
        }
        // Where there are no children, there is nothing to list.
        let ages = input.child_ages.or_else(|| (children == Some(0)).then(Vec::new));
        let ages = problems.required("/childAges", ages, Ok);
        if let (Some(children), Some(ages)) = (children, &ages)
            && u64::try_from(ages.len()) != Ok(children)
        {
            problems.add("/childAges", ValueProblem::AgePerChild);
        }
        // A longer list has been refused as a whole.
        let places = usize::try_from(DEPENDANTS_MAX).unwrap_or(usize::MAX);
        for (place, age) in ages.iter().flatten().take(places).enumerate() {
            problems.check(&format!("/childAges/{place}"), up_to(*age, CHILD_AGE_MAX));
        }
        let whole = dependants.zip(children).zip(ages);
        problems.finish(whole.map(|((dependants, children), child_ages)| Self {
            dependants,
            children,
            child_ages,
        }))
    }
}

impl From<&FamilyDetails> for stored::Family {
    fn from(details: &FamilyDetails) -> Self {
        let FamilyDetails { dependants, children, child_ages } = details.clone();
        Self { dependants, children, child_ages }
    }
}

hidden_debug!(FamilyDetails);
