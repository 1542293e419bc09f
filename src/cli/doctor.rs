//! `cosmos-es doctor`: looks at everything that an event store needs, and says how to mend what is wrong.

mod finding;

use clap::Args;
use tokio_util::sync::CancellationToken;

use self::finding::{
    ASK_AGAIN, Finding, State, denied, of_account, of_clock, of_containers, of_documents, of_region,
};
use super::{
    CliError,
    args::{Format, TargetArgs},
    output::{JsonArray, Output},
    table::{Align, Table},
    target::{Account, Missing},
    until_stopped,
};
use crate::{
    clock::{Clock as _, SystemClock},
    config::StoreOptions,
    cosmos::is_loopback,
    store::{
        AccountFault, AccountProperties, account_properties, missing_permissions, verify_containers,
    },
};

const EXAMPLES: &str = "\
Looks at the endpoint, the identity, write regions, consistency, the clock, the containers with their keys,
time to live and indexing, and whether documents may be read and written. Nothing is created or changed.
Exit code 0 when all is well (a warning is), and 1 otherwise. With --output json the result is one array of
objects with check, state (ok, warning, failed, skipped), found and mend.

Examples:
  cosmos-es doctor
  cosmos-es doctor --endpoint https://my-account.documents.azure.com --credential managed-identity";

/// Check the store and everything it needs, and say how to mend what is wrong
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) async fn run(
    args: DoctorArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let account = Account::open(args.target.target()?, Missing::Refuse).await?;
    let found = until_stopped(async { Ok(examine(&account.options).await) }, stop).await;
    let closed = account.close().await;
    let found = found?;
    print(&found, out)?;
    closed?;
    let wrong = found.iter().filter(|finding| finding.state == State::Failed).count();
    match wrong {
        0 => Ok(()),
        1 => Err(CliError::Unwell("one check failed".to_owned())),
        wrong => Err(CliError::Unwell(format!("{wrong} checks failed"))),
    }
}

/// Looks at everything. What needs something that is not there is skipped.
async fn examine(options: &StoreOptions) -> Vec<Finding> {
    let clock = SystemClock::new();
    let (before, began) = (clock.now(), clock.monotonic());
    let properties = account_properties(options).await;
    let took = clock.monotonic().saturating_sub(began);
    let mut found = vec![endpoint(options, properties.as_ref())];
    found.push(identity(properties.as_ref()));
    let account = match properties {
        Ok(account) => account,
        Err(fault) => {
            let unknown = |check| Finding::skipped(check, "the account is not known");
            found.extend(["write regions", "consistency", "region"].map(unknown));
            // What is far from the time of the service is refused, so the clock may be the reason.
            found.push(match fault {
                AccountFault::Denied { served_at, .. } => of_clock(served_at, before, took),
                _ => unknown("clock"),
            });
            found.extend(["containers", "documents"].map(unknown));
            return found;
        }
    };
    found.extend(of_account(&account));
    found.push(of_region(options.region.as_deref(), &account));
    found.push(of_clock(account.served_at, before, took));
    let containers =
        of_containers(&Box::pin(verify_containers(options)).await, is_loopback(&options.endpoint));
    let are_there = containers.state == State::Ok;
    found.push(containers);
    found.push(if are_there {
        of_documents(Box::pin(missing_permissions(options)).await)
    } else {
        Finding::skipped("documents", "the containers are not as they must be")
    });
    found
}

fn endpoint(
    options: &StoreOptions,
    properties: Result<&AccountProperties, &AccountFault>,
) -> Finding {
    let endpoint = &options.endpoint;
    match properties {
        Err(fault @ AccountFault::Unreachable(_)) => Finding::failed(
            "endpoint",
            format!("{endpoint}: {fault}"),
            "check the setting endpoint, name resolution, and whether the account's firewall or private endpoint \
             lets this machine in",
        ),
        Err(fault @ AccountFault::Busy(_)) => {
            Finding::failed("endpoint", format!("{endpoint}: {fault}"), ASK_AGAIN)
        }
        Err(fault @ AccountFault::NoAccount(_)) => Finding::failed(
            "endpoint",
            format!("{endpoint}: {fault}"),
            "the setting endpoint is https://ACCOUNT.documents.azure.com, or that of a local endpoint",
        ),
        Err(AccountFault::NoToken(_)) => {
            Finding::skipped("endpoint", "without a token it is not asked")
        }
        Err(_) | Ok(_) => Finding::ok("endpoint", format!("{endpoint} answers")),
    }
}

fn identity(properties: Result<&AccountProperties, &AccountFault>) -> Finding {
    match properties {
        Ok(_) => Finding::ok("identity", "the account accepts it"),
        Err(fault @ AccountFault::NoToken(_)) => Finding::failed(
            "identity",
            fault.to_string(),
            "in Azure give the app a managed identity and set credential and client-id; on a workstation sign in with \
             `az login`",
        ),
        Err(fault @ AccountFault::Denied { .. }) => denied("identity", fault),
        Err(_) => Finding::skipped("identity", "the account does not answer"),
    }
}

fn print(found: &[Finding], out: &mut Output<'_>) -> Result<(), CliError> {
    match out.format() {
        Format::Json => {
            let mut array = JsonArray::default();
            found.iter().try_for_each(|finding| array.push(out, finding))?;
            array.end(out)
        }
        Format::Table => {
            let row = |one: &Finding| {
                [one.state.shown().to_owned(), one.check.to_owned(), one.found.clone()]
            };
            let rows: Vec<_> = found.iter().map(row).collect();
            Table::new([Align::Left; 3]).write(out.writer(), &rows).map_err(CliError::Output)?;
            for Finding { check, mend, .. } in found {
                if let Some(mend) = mend {
                    out.line(&format!("mend {check}: {mend}"))?;
                }
            }
            Ok(())
        }
    }
}
