//! The containers of an event store: what they must be, and making them so.
//!
//! Partition keys and unique keys can never be changed later, so a container that differs is
//! refused, with each difference, and never touched.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{
    cosmos::{
        Client, EVENTS_CONTAINER, Presence, SNAPSHOTS_CONTAINER, connect,
        create_or_read_containers, missing_permissions as permissions_of,
    },
    error::StoreError,
};
use crate::{config::StoreOptions, cosmos::is_loopback};

/// The path that a service adds to the excluded ones by itself.
const ETAG_PATH: &str = "/\"_etag\"/?";
/// Everything that is not included is excluded.
const ALL_PATHS: &str = "/*";

/// Whether documents of a container expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultTtl {
    /// Never: the container has no `defaultTtl`.
    Off,
    /// When a document says so itself: `defaultTtl` is -1.
    PerDocument,
    /// After so many seconds, unless a document says otherwise.
    Seconds(u32),
}

impl std::fmt::Display for DefaultTtl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::PerDocument => f.write_str("per document"),
            Self::Seconds(seconds) => write!(f, "{seconds} seconds by default"),
        }
    }
}

/// What matters of a container, for whoever makes it: see [`wanted_containers`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerShape {
    /// Its name.
    pub name: String,
    /// The paths of its partition key: one of them, hashed in version 2.
    pub partition_key: Vec<String>,
    /// The paths of each unique key.
    pub unique_keys: Vec<Vec<String>>,
    /// Whether its documents expire.
    pub default_ttl: DefaultTtl,
    /// Whether writes bring the index up to date (`consistent`, `automatic`).
    pub indexed: bool,
    /// The paths that are indexed.
    pub included_paths: Vec<String>,
    /// The paths that are not. A service adds the path of the entity tag by itself.
    pub excluded_paths: Vec<String>,
    /// More included paths are fine: an application's views declare their own.
    pub more_paths_allowed: bool,
}

impl ContainerShape {
    fn new(name: &str, partition_key: &str, default_ttl: DefaultTtl) -> Self {
        Self {
            name: name.to_owned(),
            partition_key: vec![partition_key.to_owned()],
            unique_keys: Vec::new(),
            default_ttl,
            indexed: true,
            // A partition key is not indexed unless it is included.
            included_paths: vec![format!("{partition_key}/?")],
            excluded_paths: vec![ALL_PATHS.to_owned()],
            more_paths_allowed: false,
        }
    }

    /// The paths that another container lacks in its index, where it is right otherwise: they can be added
    /// at any time.
    pub(crate) fn lacking_paths(&self, found: &Self) -> Vec<String> {
        let lacks = |path: &&String| !found.included_paths.contains(path);
        let lacking: Vec<String> = self.included_paths.iter().filter(lacks).cloned().collect();
        let mut mended = found.clone();
        mended.included_paths.extend(lacking.iter().cloned());
        if self.differences(&mended).is_empty() { lacking } else { Vec::new() }
    }

    /// What is different about another container, in sentences.
    pub(crate) fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differs = |what: &str, is: String, must_be: String| {
            if is != must_be {
                differences.push(format!("its {what} is {is}, not {must_be}"));
            }
        };
        differs("partition key", list(&found.partition_key), list(&self.partition_key));
        differs("unique keys", keys(&found.unique_keys), keys(&self.unique_keys));
        differs("time to live", found.default_ttl.to_string(), self.default_ttl.to_string());
        differs("indexing", mode(found.indexed), mode(self.indexed));
        let included = if self.more_paths_allowed {
            found
                .included_paths
                .iter()
                .filter(|path| self.included_paths.contains(path))
                .cloned()
                .collect()
        } else {
            found.included_paths.clone()
        };
        differs("set of indexed paths", set(&included), set(&self.included_paths));
        differs("set of excluded paths", set(&found.excluded_paths), set(&self.excluded_paths));
        differences
    }
}

fn list(paths: &[String]) -> String {
    if paths.is_empty() { "none".to_owned() } else { paths.join(" + ") }
}

fn keys(keys: &[Vec<String>]) -> String {
    let keys: BTreeSet<String> = keys.iter().map(|paths| list(paths)).collect();
    list(&keys.into_iter().collect::<Vec<_>>())
}

fn mode(indexed: bool) -> String {
    if indexed { "consistent" } else { "not consistent" }.to_owned()
}

fn set(paths: &[String]) -> String {
    let paths: BTreeSet<&String> = paths.iter().filter(|path| *path != ETAG_PATH).collect();
    paths.into_iter().cloned().collect::<Vec<_>>().join(", ")
}

/// The containers of an event store, as [`provision`] makes or verifies them: plain data, for templates of
/// one's own. `bicep/modules/cosmos.bicep` has them for Azure.
pub fn wanted_containers() -> Vec<ContainerShape> {
    let mut events = ContainerShape::new(EVENTS_CONTAINER, "/aggregateId", DefaultTtl::Off);
    events.unique_keys = vec![vec!["/eventId".to_owned()]];
    events.included_paths.extend(["/eventId/?".to_owned(), "/sequenceNumber/?".to_owned()]);
    let snapshots = ContainerShape::new(SNAPSHOTS_CONTAINER, "/aggregateId", DefaultTtl::Off);
    let mut read_models =
        ContainerShape::new("read-models", "/partitionKey", DefaultTtl::PerDocument);
    read_models.more_paths_allowed = true;
    // What lists of views filter and sort by stands in these.
    read_models.included_paths.extend(["/kind/?", "/sort/*"].map(str::to_owned));
    let leases = ContainerShape::new("leases", "/processor", DefaultTtl::PerDocument);
    vec![events, snapshots, read_models, leases]
}

/// What [`provision`] found or did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvisionReport {
    /// The containers that were made by this call.
    pub created: Vec<String>,
    /// The containers that were there, and are right.
    pub existing: Vec<String>,
}

/// Why a database is not ready for an event store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// Containers are missing or different. Off loopback nothing is created.
    #[error("the database {database:?} is not an event store: {}", problems.join("; "))]
    Unfit {
        /// The database.
        database: String,
        /// What is wrong, one sentence each.
        problems: Vec<String>,
    },
    /// The service failed, or the way to it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a database ready for an event store: the containers `events`, `snapshots`, `read-models`
/// and `leases`, with their keys, times to live and indexing policies. Safe to repeat.
///
/// On loopback, what is missing is created, and paths that the index lacks are added to it. Off loopback
/// nothing is changed: there, the deployment decides
/// on throughput and backups, and this only verifies. Whether the account has a single write region
/// and at least session consistency cannot be read through the SDK: [`check_account`](super::check_account)
/// does that.
///
/// # Errors
///
/// [`ProvisionError::Unfit`] with every difference; a container that differs is left as it is.
///
/// # Cancel safety
///
/// When the future is dropped, some containers may have been created. Call it again.
pub async fn provision(options: &StoreOptions) -> Result<ProvisionReport, ProvisionError> {
    let client = Box::pin(connect(options)).await?;
    provision_with(&client, options).await
}

/// Verifies that a database is ready for an event store. Nothing is created or changed, on loopback neither.
///
/// # Errors
///
/// [`ProvisionError::Unfit`] with every difference.
///
/// # Cancel safety
///
/// Nothing is changed.
pub async fn verify_containers(options: &StoreOptions) -> Result<ProvisionReport, ProvisionError> {
    let client = Box::pin(connect(options)).await?;
    look(&client, options, false).await
}

/// What the identity may not do, container by container: `read`, `write`, or both; empty when all is allowed.
/// A document that is not there is read and deleted in each container, which changes nothing.
///
/// # Errors
///
/// [`StoreError`] when it cannot be found out.
///
/// # Cancel safety
///
/// Nothing is changed.
pub async fn missing_permissions(
    options: &StoreOptions,
) -> Result<Vec<(String, Vec<&'static str>)>, StoreError> {
    let client = Box::pin(connect(options)).await?;
    let mut missing = Vec::new();
    for wanted in wanted_containers() {
        let name = wanted.name;
        let lacks = permissions_of(&client, &options.database, &name).await?;
        if !lacks.is_empty() {
            missing.push((name, lacks));
        }
    }
    Ok(missing)
}

/// Does it with a client that is there already.
pub(super) async fn provision_with(
    client: &Client,
    options: &StoreOptions,
) -> Result<ProvisionReport, ProvisionError> {
    look(client, options, is_loopback(&options.endpoint)).await
}

async fn look(
    client: &Client,
    options: &StoreOptions,
    create: bool,
) -> Result<ProvisionReport, ProvisionError> {
    let wanted = wanted_containers();
    let found = create_or_read_containers(client, &options.database, &wanted, create).await?;
    let mut report = ProvisionReport { created: Vec::new(), existing: Vec::new() };
    let mut problems = Vec::new();
    for (wanted, (shape, presence)) in wanted.iter().zip(found) {
        let Some(shape) = shape else {
            problems.push(format!("container {:?} is missing", wanted.name));
            continue;
        };
        let differences = wanted.differences(&shape);
        problems.extend(
            differences
                .iter()
                .map(|difference| format!("container {:?}: {difference}", wanted.name)),
        );
        match presence {
            Presence::Created => report.created.push(wanted.name.clone()),
            _ => report.existing.push(wanted.name.clone()),
        }
    }
    if problems.is_empty() {
        Ok(report)
    } else {
        Err(ProvisionError::Unfit { database: options.database.clone(), problems })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named() {
        let containers = wanted_containers();
        let events = containers.first().unwrap();
        let other = ContainerShape {
            partition_key: vec!["/id".to_owned()],
            unique_keys: Vec::new(),
            default_ttl: DefaultTtl::Seconds(60),
            indexed: false,
            included_paths: vec!["/*".to_owned()],
            excluded_paths: vec![ETAG_PATH.to_owned()],
            ..events.clone()
        };
        assert_eq!(
            events.differences(&other),
            [
                "its partition key is /id, not /aggregateId",
                "its unique keys is none, not /eventId",
                "its time to live is 60 seconds by default, not off",
                "its indexing is not consistent, not consistent",
                "its set of indexed paths is /*, not /aggregateId/?, /eventId/?, /sequenceNumber/?",
                "its set of excluded paths is , not /*",
            ]
        );
    }

    #[test]
    fn order_and_the_services_own_path_do_not_count() {
        let containers = wanted_containers();
        let events = containers.first().unwrap();
        let mut found = events.clone();
        found.included_paths.reverse();
        found.excluded_paths.push(ETAG_PATH.to_owned());
        assert_eq!(events.differences(&found), Vec::<String>::new());
    }

    #[test]
    fn only_paths_that_are_lacking_can_be_added() {
        for wanted in wanted_containers() {
            assert_eq!(wanted.lacking_paths(&wanted), Vec::<String>::new());
            let mut older = wanted.clone();
            let path = older.included_paths.pop().unwrap();
            assert_eq!(wanted.lacking_paths(&older), [path]);
            older.partition_key = vec!["/id".to_owned()];
            assert_eq!(wanted.lacking_paths(&older), Vec::<String>::new());
        }
    }

    #[test]
    fn only_read_models_may_index_more() {
        for wanted in wanted_containers() {
            let mut found = wanted.clone();
            found.included_paths.push("/data/country/?".to_owned());
            assert_eq!(wanted.differences(&found).is_empty(), wanted.name == "read-models");
        }
    }
}
