//! Creating containers, and reading what they are.

use azure_data_cosmos::{
    CosmosError, DatabaseClient,
    models::{
        ContainerProperties, IndexingMode, IndexingPolicy, PropertyPath, TimeToLive, UniqueKey,
        UniqueKeyPolicy,
    },
};

use super::{connection::Client, failure::store_error};
use crate::{
    cosmos::status_of,
    store::{
        error::StoreError,
        provision::{ContainerShape, DefaultTtl},
    },
};

/// Whether a container was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It was there.
    Existed,
    /// It was made by this call.
    Created,
    /// It is not there.
    Missing,
}

/// What was found, for each wanted container in order; no shape where it is missing.
pub(crate) type Found = Vec<(Option<ContainerShape>, Presence)>;

/// Reads the containers' shapes, and creates the missing ones where that is wanted.
///
/// Each container is read by itself: identities without an account key may do that, but not list
/// containers.
pub(crate) async fn create_or_read_containers(
    client: &Client,
    database: &str,
    wanted: &[ContainerShape],
    create: bool,
) -> Result<Found, StoreError> {
    let client = &client.0;
    let database_client = client.database_client(database);
    let mut database_is_there = false;
    let mut found = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let mut shape = Box::pin(read_shape(&database_client, &wanted.name)).await?;
        let mut presence = if shape.is_some() { Presence::Existed } else { Presence::Missing };
        if shape.is_none() && create {
            if !database_is_there {
                existing_is_fine(Box::pin(client.create_database(database, None)).await)?;
                database_is_there = true;
            }
            let result = Box::pin(database_client.create_container(properties(wanted), None)).await;
            // Another process may have been faster; what counts is what is there in the end.
            presence =
                if existing_is_fine(result)? { Presence::Created } else { Presence::Existed };
            shape = Box::pin(read_shape(&database_client, &wanted.name)).await?;
        }
        if let Some(older) = shape.as_ref().filter(|_| create) {
            let lacking = wanted.lacking_paths(older);
            if !lacking.is_empty() {
                Box::pin(add_paths(&database_client, &wanted.name, lacking)).await?;
                shape = Box::pin(read_shape(&database_client, &wanted.name)).await?;
            }
        }
        found.push((shape, presence));
    }
    Ok(found)
}

/// Adds paths to the index of a container, and changes nothing else.
async fn add_paths(
    database: &DatabaseClient,
    name: &str,
    paths: Vec<String>,
) -> Result<(), StoreError> {
    let container = Box::pin(database.container_client(name, None)).await.map_err(store_error)?;
    let read = Box::pin(container.read(None)).await.map_err(store_error)?;
    let mut properties = read.into_model().map_err(store_error)?;
    let mut indexing = properties.indexing_policy.clone().unwrap_or_default();
    for path in paths {
        indexing = indexing.with_included_path(PropertyPath::default().with_path(path));
    }
    properties = properties.with_indexing_policy(indexing);
    Box::pin(container.replace(properties, None)).await.map_err(store_error)?;
    Ok(())
}

/// The shape of a container; nothing where there is none.
async fn read_shape(
    database: &DatabaseClient,
    name: &str,
) -> Result<Option<ContainerShape>, StoreError> {
    let container = match Box::pin(database.container_client(name, None)).await {
        Ok(container) => container,
        Err(error) if status_of(&error).0 == 404 => return Ok(None),
        Err(error) => return Err(store_error(error)),
    };
    match Box::pin(container.read(None)).await {
        Ok(response) => {
            response.into_model().map(|properties| Some(shape(&properties))).map_err(store_error)
        }
        Err(error) if status_of(&error).0 == 404 => Ok(None),
        Err(error) => Err(store_error(error)),
    }
}

/// Whether the call created something; that it exists already is no error.
fn existing_is_fine<T>(created: Result<T, CosmosError>) -> Result<bool, StoreError> {
    match created {
        Ok(_) => Ok(true),
        Err(error) if status_of(&error).0 == 409 => Ok(false),
        Err(error) => Err(store_error(error)),
    }
}

fn properties(shape: &ContainerShape) -> ContainerProperties {
    let mut indexing = IndexingPolicy::default().with_indexing_mode(IndexingMode::Consistent);
    indexing.automatic = true;
    for path in &shape.included_paths {
        indexing = indexing.with_included_path(PropertyPath::default().with_path(path.clone()));
    }
    for path in &shape.excluded_paths {
        indexing = indexing.with_excluded_path(PropertyPath::default().with_path(path.clone()));
    }
    let key = shape.partition_key.first().cloned().unwrap_or_default();
    let mut properties =
        ContainerProperties::new(shape.name.clone(), key.into()).with_indexing_policy(indexing);
    properties = match shape.default_ttl {
        DefaultTtl::Off => properties,
        DefaultTtl::PerDocument => properties.with_default_ttl(TimeToLive::NoDefault),
        DefaultTtl::Seconds(seconds) => properties.with_default_ttl(TimeToLive::Seconds(seconds)),
    };
    if shape.unique_keys.is_empty() {
        return properties;
    }
    let policy = shape.unique_keys.iter().fold(UniqueKeyPolicy::default(), |policy, paths| {
        let key = paths.iter().fold(UniqueKey::default(), |key, path| key.with_path(path.clone()));
        policy.with_unique_key(key)
    });
    properties.with_unique_key_policy(policy)
}

fn shape(properties: &ContainerProperties) -> ContainerShape {
    let paths = |paths: &[PropertyPath]| paths.iter().map(|path| path.path.clone()).collect();
    let indexing = properties.indexing_policy.clone().unwrap_or_default();
    ContainerShape {
        name: properties.id.clone().into_owned(),
        partition_key: properties
            .partition_key
            .paths()
            .iter()
            .map(|path| path.clone().into_owned())
            .collect(),
        unique_keys: properties
            .unique_key_policy
            .iter()
            .flat_map(|policy| policy.unique_keys.iter().map(|key| key.paths.clone()))
            .collect(),
        default_ttl: match properties.default_ttl {
            TimeToLive::NoDefault => DefaultTtl::PerDocument,
            TimeToLive::Seconds(seconds) => DefaultTtl::Seconds(seconds),
            _ => DefaultTtl::Off,
        },
        indexed: indexing.automatic && indexing.indexing_mode == Some(IndexingMode::Consistent),
        included_paths: paths(&indexing.included_paths),
        excluded_paths: paths(&indexing.excluded_paths),
        more_paths_allowed: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::provision::wanted_containers;

    #[test]
    fn what_is_created_reads_back_as_what_was_wanted() {
        for wanted in wanted_containers() {
            let read = shape(&properties(&wanted));
            assert_eq!(wanted.differences(&read), Vec::<String>::new());
        }
    }
}
