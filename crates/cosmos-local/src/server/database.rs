//! Databases.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::ServerState;
use super::charge;
use super::context::Call;
use super::error::ServiceError;
use super::listing;
use super::names;
use super::offer;
use super::respond::Reply;
use crate::storage::{Database, StorageError};

/// Longest id of a database or container.
const ID_CHARS_MAX: usize = 255;

/// `POST /dbs`.
pub(crate) async fn create(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let body = call.json()?;
    let id = resource_id(&body)?;
    let wanted = offer::from_headers(call)?;
    let database = match state.engine.create_database(id, wanted).await {
        Ok(database) => database,
        Err(StorageError::Exists) => return Err(exists("database", id)),
        Err(error) => return Err(error.into()),
    };
    Ok(reply(StatusCode::CREATED, &database).charge(charge::METADATA_WRITE))
}

/// `GET /dbs/id`.
pub(crate) fn read(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let database = call.database(state)?;
    Ok(reply(StatusCode::OK, &database).charge(charge::METADATA_READ))
}

/// `DELETE /dbs/id`.
pub(crate) async fn delete(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let database = call.database(state)?;
    state.engine.delete_database(&database.id).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT).charge(charge::METADATA_WRITE))
}

/// `GET /dbs`.
pub(crate) fn list(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    listing::list(call, "", "Databases", &documents(state))
}

/// `POST /dbs` with the query header.
pub(crate) fn query(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    listing::query(call, "", "Databases", documents(state))
}

fn documents(state: &ServerState) -> Vec<Value> {
    state.engine.databases().iter().map(|database| document(database)).collect()
}

fn reply(status: StatusCode, database: &Database) -> Reply {
    Reply::value(status, &document(database)).header(names::ETAG, &database.etag())
}

fn document(database: &Database) -> Value {
    let rid = database.rid();
    json!({
        "id": database.id,
        "_rid": rid,
        "_self": format!("dbs/{rid}/"),
        "_etag": database.etag(),
        "_colls": "colls/",
        "_users": "users/",
        "_ts": database.ts,
    })
}

/// The id in the body of a database or container.
///
/// # Errors
///
/// 400 when it is missing, too long, or has characters that a path cannot carry.
pub(crate) fn resource_id(body: &Value) -> Result<&str, ServiceError> {
    let id = body
        .get("id")
        .and_then(Value::as_str)
        .ok_or_else(|| ServiceError::bad_request("the body needs a string 'id'"))?;
    let is_valid = !id.is_empty()
        && id.chars().count() <= ID_CHARS_MAX
        && !id.contains(['/', '\\', '?', '#'])
        && !id.ends_with(' ');
    if is_valid {
        Ok(id)
    } else {
        Err(ServiceError::bad_request(
            "an id has 1 to 255 characters, none of them / \\ ? or #, and does not end in a space",
        ))
    }
}

/// 409 for a name that is taken.
pub(crate) fn exists(what: &str, id: &str) -> ServiceError {
    ServiceError::new(
        StatusCode::CONFLICT,
        format!("Resource with specified id or name already exists: {what} '{id}'"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_a_path_cannot_carry_are_refused() {
        assert_eq!(resource_id(&json!({"id": "a b%"})), Ok("a b%"));
        for bad in [json!({}), json!({"id": 1}), json!({"id": ""}), json!({"id": "a/b"})] {
            assert!(resource_id(&bad).is_err(), "{bad}");
        }
        assert!(resource_id(&json!({"id": "x".repeat(256)})).is_err());
    }
}
