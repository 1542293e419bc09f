//! What was found, judged: pure functions of what the account said.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::store::{
    AccountFault, AccountProperties, CONSISTENCY_LEVELS, ProvisionError, ProvisionReport,
    StoreError, StoreErrorKind, write_region_problems,
};

/// From here on a clock that is wrong is spoken of: times of events come from it.
const SKEW_WARNED: Duration = Duration::from_secs(5);
/// From here on a clock is too wrong to work with. The service refuses signatures that are 15 minutes off
/// (REST reference, "Access control on Cosmos DB resources"); a margin is kept.
const SKEW_MAX: Duration = Duration::from_mins(10);

/// How to let an identity in.
const ROLE: &str = "give the identity the role Cosmos DB Built-in Data Contributor on the database: az cosmosdb sql role \
                    assignment create --account-name ACCOUNT --resource-group GROUP --scope /dbs/DATABASE \
                    --principal-id OBJECT-ID --role-definition-id 00000000-0000-0000-0000-000000000002 (it takes \
                    some minutes until it counts)";

/// Where the service failed.
pub(super) const ASK_AGAIN: &str = "ask again; if it stays, look at the state of the account";

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Warning,
    Failed,
    /// What it needs is not there.
    Skipped,
}

impl State {
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), mend: None }
    }

    pub(super) fn skipped(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Skipped, found: found.into(), mend: None }
    }

    pub(super) fn warning(
        check: &'static str,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { check, state: State::Warning, found: found.into(), mend: Some(mend.into()) }
    }

    pub(super) fn failed(
        check: &'static str,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { check, state: State::Failed, found: found.into(), mend: Some(mend.into()) }
    }
}

/// An account that lets nobody in.
pub(super) fn denied(check: &'static str, fault: &AccountFault) -> Finding {
    let mend = match fault {
        AccountFault::Denied { status: 403, .. } => format!(
            "let this machine in where the account's firewall or private endpoint keeps it out; otherwise {ROLE}"
        ),
        _ => format!("with a key: set the setting key; otherwise {ROLE}"),
    };
    Finding::failed(check, fault.to_string(), mend)
}

/// Write regions and consistency.
pub(super) fn of_account(account: &AccountProperties) -> [Finding; 2] {
    let is_strong = CONSISTENCY_LEVELS.contains(&account.consistency.as_str());
    let problems = write_region_problems(account);
    let regions = account.write_regions.join(", ");
    [
        if problems.is_empty() {
            Finding::ok("write regions", format!("one: {regions}"))
        } else {
            Finding::failed(
                "write regions",
                problems.join("; "),
                "az cosmosdb update --name ACCOUNT --resource-group GROUP --enable-multiple-write-locations false; \
                 before that, stop all writers",
            )
        },
        if is_strong {
            Finding::ok("consistency", &account.consistency)
        } else {
            Finding::failed(
                "consistency",
                format!("{} is weaker than Session", account.consistency),
                "az cosmosdb update --name ACCOUNT --resource-group GROUP --default-consistency-level Session",
            )
        },
    ]
}

/// Whether the account is in the region that the settings name.
pub(super) fn of_region(region: Option<&str>, account: &AccountProperties) -> Finding {
    // Names are compared as the service does: `West Europe` is `westeurope`.
    let plain = |name: &str| name.to_ascii_lowercase().replace(' ', "");
    let regions = account.read_regions.join(", ");
    match region {
        None => Finding::ok("region", format!("none is set; the account has {regions}")),
        Some(region) if account.read_regions.iter().any(|one| plain(one) == plain(region)) => {
            Finding::ok("region", format!("{region} is one of the account's"))
        }
        Some(region) => Finding::warning(
            "region",
            format!("the account is in {regions}, and not in {region}"),
            "set region to the one that this process runs in, or add that to the account",
        ),
    }
}

/// The clock of this machine against that of the service, which tells whole seconds.
pub(super) fn of_clock(served: Option<Timestamp>, asked: Timestamp, took: Duration) -> Finding {
    let Some(served) = served else {
        return Finding::skipped("clock", "the service does not tell the time");
    };
    // The answer was made between the question and its arrival, and its time is cut to the second.
    let earliest =
        i128::from(served.as_millisecond()).saturating_sub(i128::from(asked.as_millisecond()));
    let latest = earliest.saturating_add(1000);
    let took = i128::try_from(took.as_millis()).unwrap_or(i128::MAX);
    // Positive: this machine is behind.
    let skew = match () {
        () if earliest > took => earliest.saturating_sub(took),
        () if latest < 0 => latest,
        () => 0,
    };
    let is_beyond = |limit: Duration| skew.unsigned_abs() > limit.as_millis();
    let side = if skew > 0 { "behind" } else { "ahead of" };
    let told = format!("this machine is {} ms {side} the service", skew.unsigned_abs());
    let mend = "let the machine take its time from a time server (chrony, systemd-timesyncd)";
    match () {
        () if is_beyond(SKEW_MAX) => Finding::failed("clock", told, mend),
        () if is_beyond(SKEW_WARNED) => Finding::warning("clock", told, mend),
        () => Finding::ok("clock", "this machine agrees with the service"),
    }
}

/// The containers with their keys, times to live and indexing policies.
pub(super) fn of_containers(
    verified: &Result<ProvisionReport, ProvisionError>,
    is_loopback: bool,
) -> Finding {
    let check = "containers";
    let mend = if is_loopback {
        "`cosmos-es provision` makes what is missing; a container that differs must be made anew"
    } else {
        "deploy them with bicep/modules/cosmos.bicep; keys of a container can never be changed, so one that differs in \
         them must be made anew"
    };
    match verified {
        Ok(report) => Finding::ok(check, report.existing.join(", ")),
        Err(ProvisionError::Unfit { problems, .. }) => {
            Finding::failed(check, problems.join("; "), mend)
        }
        Err(ProvisionError::Store(error)) => {
            let told = error.to_string();
            match error.kind() {
                StoreErrorKind::Denied => Finding::failed(check, told, ROLE),
                StoreErrorKind::NotProvisioned => Finding::failed(check, told, mend),
                _ => Finding::failed(check, told, ASK_AGAIN),
            }
        }
    }
}

/// Whether documents may be read and written.
pub(super) fn of_documents(missing: Result<Vec<(String, Vec<&str>)>, StoreError>) -> Finding {
    let check = "documents";
    match missing {
        Ok(missing) if missing.is_empty() => Finding::ok(check, "may be read and written"),
        Ok(missing) => {
            let told = |(container, lacks): &(String, Vec<&str>)| {
                format!("{container}: may not {}", lacks.join(" or "))
            };
            let told: Vec<String> = missing.iter().map(told).collect();
            Finding::failed(check, told.join("; "), ROLE)
        }
        Err(error) => Finding::failed(check, error.to_string(), ASK_AGAIN),
    }
}

#[cfg(test)]
mod tests;
