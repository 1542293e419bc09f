//! Containers.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::ServerState;
use super::charge;
use super::context::Call;
use super::database::{exists, resource_id};
use super::error::ServiceError;
use super::listing;
use super::names;
use super::offer;
use super::respond::Reply;
use crate::rid;
use crate::storage::{Container, ContainerDefinition, StorageError};

/// `POST /dbs/id/colls`.
pub(crate) async fn create(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let database = owner(state, call)?;
    let body = call.json()?;
    let id = resource_id(&body)?;
    check_supported(&body)?;
    let wanted = offer::for_container(state, call, &database)?;
    let partitions = match &wanted {
        _ if state.partitions.is_some() => state.partitions.unwrap_or(1),
        Some(wanted) => offer::partitions(wanted),
        None => 1,
    };
    let definition = ContainerDefinition::parse(&body)?;
    let created = state.engine.create_container(&database, definition, wanted, partitions).await;
    match created {
        Ok(container) => {
            Ok(reply(StatusCode::CREATED, call, &container).charge(charge::METADATA_WRITE))
        }
        Err(StorageError::Exists) => Err(exists("container", id)),
        Err(error) => Err(error.into()),
    }
}

/// `GET /dbs/id/colls/id`.
pub(crate) fn read(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.container(state)?;
    Ok(reply(StatusCode::OK, call, &container).charge(charge::METADATA_READ))
}

/// `PUT /dbs/id/colls/id`: another indexing policy or time to live; the keys stay.
pub(crate) async fn replace(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.container(state)?;
    let database = call.database(state)?;
    if let Some(etag) = call.header(names::IF_MATCH)
        && etag != "*"
        && etag != container.etag()
    {
        return Err(ServiceError::new(
            StatusCode::PRECONDITION_FAILED,
            "the container has changed since this etag",
        ));
    }
    let mut body = call.json()?;
    if resource_id(&body)? != container.id() {
        return Err(ServiceError::bad_request("the id of a container cannot be changed"));
    }
    // The keys are settled for ever: a definition without them keeps them, and one with others
    // is refused.
    let current = container.definition();
    for name in ["partitionKey", "uniqueKeyPolicy"] {
        if let (Some(members), Some(kept)) = (body.as_object_mut(), current.document.get(name)) {
            members.entry(name).or_insert_with(|| kept.clone());
        }
    }
    check_supported(&body)?;
    let definition = ContainerDefinition::parse(&body)?;
    if definition.partition_key_path != current.partition_key_path {
        return Err(ServiceError::bad_request(
            "the partition key of a container cannot be changed",
        ));
    }
    if definition.unique_keys != current.unique_keys {
        return Err(ServiceError::bad_request("the unique keys of a container cannot be changed"));
    }
    let container = state.engine.replace_container(&database.id, definition).await?;
    Ok(reply(StatusCode::OK, call, &container).charge(charge::METADATA_WRITE))
}

/// `DELETE /dbs/id/colls/id`.
pub(crate) async fn delete(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.container(state)?;
    let database = call.database(state)?;
    state.engine.delete_container(&database.id, &container.id()).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT).charge(charge::METADATA_WRITE))
}

/// `GET /dbs/id/colls`.
pub(crate) fn list(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let (rid, documents) = documents(state, call)?;
    listing::list(call, &rid, "DocumentCollections", &documents)
}

/// `POST /dbs/id/colls` with the query header.
pub(crate) fn query(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let (rid, documents) = documents(state, call)?;
    listing::query(call, &rid, "DocumentCollections", documents)
}

/// Refuses partition keys that this endpoint would hash otherwise than the client.
fn check_supported(body: &Value) -> Result<(), ServiceError> {
    let Some(key) = body.get("partitionKey") else { return Ok(()) };
    let kind = key.get("kind").and_then(Value::as_str).unwrap_or("Hash");
    let paths = key.get("paths").and_then(Value::as_array).map_or(0, Vec::len);
    if kind.eq_ignore_ascii_case("MultiHash") || paths > 1 {
        return Err(ServiceError::not_supported(
            "hierarchical partition keys (partitionKey.kind MultiHash)",
        ));
    }
    if key.get("version").and_then(Value::as_u64).unwrap_or(1) == 1 {
        return Err(ServiceError::not_supported(
            "containers with the V1 hash (send \"version\": 2 in partitionKey; a definition \
             without a version means 1)",
        ));
    }
    Ok(())
}

fn owner(state: &ServerState, call: &Call) -> Result<String, ServiceError> {
    call.database(state)
        .map(|database| database.id.clone())
        .map_err(|error| ServiceError::owner_not_found(&error.message))
}

fn documents(state: &ServerState, call: &Call) -> Result<(String, Vec<Value>), ServiceError> {
    let database =
        call.database(state).map_err(|error| ServiceError::owner_not_found(&error.message))?;
    let containers = state.engine.containers(&database.id);
    let documents = containers.iter().map(|container| document(container)).collect();
    Ok((rid::database_rid(database.number), documents))
}

fn reply(status: StatusCode, call: &Call, container: &Container) -> Reply {
    let reply = Reply::value(status, &document(container)).header(names::ETAG, &container.etag());
    let path = format!("dbs/{}", call.ids.database);
    if path.is_ascii() { reply.header(names::ALT_CONTENT_PATH, &path) } else { reply }
}

/// The definition with the properties of the system.
fn document(container: &Container) -> Value {
    let rid = container.rid();
    let mut document = container.definition().document.clone();
    if let Some(members) = document.as_object_mut() {
        let own = self_link(container);
        members.insert("_rid".to_owned(), json!(rid));
        members.insert("_ts".to_owned(), json!(container.ts()));
        members.insert("_self".to_owned(), json!(own));
        members.insert("_etag".to_owned(), json!(container.etag()));
        for (name, link) in [
            ("_docs", "docs/"),
            ("_sprocs", "sprocs/"),
            ("_triggers", "triggers/"),
            ("_udfs", "udfs/"),
            ("_conflicts", "conflicts/"),
        ] {
            members.insert(name.to_owned(), json!(link));
        }
    }
    document
}

/// `_self` of a container.
pub(crate) fn self_link(container: &Container) -> String {
    format!("dbs/{}/colls/{}/", rid::database_rid(container.numbers().database), container.rid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_v2_hash_of_one_path_is_supported() {
        let check = |key: Value| check_supported(&json!({ "id": "c", "partitionKey": key }));
        assert!(check(json!({"paths": ["/a"], "kind": "Hash", "version": 2})).is_ok());
        for key in [
            json!({"paths": ["/a"], "kind": "Hash"}),
            json!({"paths": ["/a"], "version": 1}),
            json!({"paths": ["/a", "/b"], "kind": "MultiHash", "version": 2}),
        ] {
            let error = check(key).unwrap_err();
            assert!(error.message.contains("not supported yet"), "{}", error.message);
        }
    }
}
