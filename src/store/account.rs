//! What an account must be, so that no event is lost in it.

use thiserror::Error;

pub use crate::cosmos::{AccountFault, AccountProperties};
use crate::{config::StoreOptions, cosmos::read_account};

/// The consistency levels that are strong enough, by their names in the REST protocol: a process must read
/// what it has written.
pub const CONSISTENCY_LEVELS: [&str; 3] = ["Strong", "BoundedStaleness", "Session"];

/// Why an event store must not be in an account, or why that is not known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Events could be lost there.
    #[error("the account is not for an event store: {}", problems.join("; "))]
    Unfit {
        /// What is wrong, one sentence each.
        problems: Vec<String>,
    },
    /// The account did not say what it is.
    #[error(transparent)]
    Fault(#[from] AccountFault),
}

/// Reads what an account says of itself. One request that costs no RU.
///
/// # Errors
///
/// [`AccountFault`].
///
/// # Cancel safety
///
/// Nothing is changed.
pub async fn account_properties(options: &StoreOptions) -> Result<AccountProperties, AccountFault> {
    Box::pin(read_account(options, options.clock.now())).await
}

/// Refuses an account in which an acknowledged event could be lost: with more than one write region both
/// could take the same place of a stream, and with less than session consistency a process could decide on
/// what it has overwritten. One request that costs no RU.
///
/// # Errors
///
/// [`AccountError`].
///
/// # Cancel safety
///
/// Nothing is changed.
pub async fn check_account(options: &StoreOptions) -> Result<AccountProperties, AccountError> {
    let found = account_properties(options).await?;
    let problems = account_problems(&found);
    if problems.is_empty() { Ok(found) } else { Err(AccountError::Unfit { problems }) }
}

/// What is wrong with an account, one sentence each.
pub fn account_problems(found: &AccountProperties) -> Vec<String> {
    let mut problems = write_region_problems(found);
    if !CONSISTENCY_LEVELS.contains(&found.consistency.as_str()) {
        problems.push(format!(
            "its default consistency is {}, which is weaker than Session",
            found.consistency
        ));
    }
    problems
}

/// What is wrong with the write regions of an account, one sentence each.
pub fn write_region_problems(found: &AccountProperties) -> Vec<String> {
    let mut problems = Vec::new();
    let regions = found.write_regions.len();
    if found.has_multiple_write_regions || regions > 1 {
        problems.push(
            "writes may go to several regions, and two of them could take the same place of a stream"
                .to_owned(),
        );
    }
    if regions == 0 {
        problems.push("no region takes writes".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(regions: &[&str], multiple: bool, consistency: &str) -> AccountProperties {
        let mut found = AccountProperties::new(regions.iter().copied(), [], consistency);
        found.has_multiple_write_regions = multiple;
        found
    }

    #[test]
    fn one_write_region_and_session_consistency_are_needed() {
        for level in CONSISTENCY_LEVELS {
            assert_eq!(account_problems(&account(&["a"], false, level)), Vec::<String>::new());
        }
        for (wrong, count) in [
            (account(&["a", "b"], false, "Session"), 1),
            (account(&["a"], true, "Session"), 1),
            (account(&[], false, "Session"), 1),
            (account(&["a"], false, "ConsistentPrefix"), 1),
            (account(&["a", "b"], true, "Eventual"), 2),
        ] {
            assert_eq!(account_problems(&wrong).len(), count, "{wrong:?}");
        }
    }
}
