//! Container definitions: what a client sends, checked, with the service's defaults filled in.

use serde_json::{Map, Value, json};

use super::encoding::encode_value;
use super::indexing::IndexingPolicy;
use super::item::Terms;
use crate::key::parse_path;

/// Longest id of a database or container, in characters.
const NAME_CHARS_MAX: usize = 255;
/// Most unique keys of one container, and most paths of one unique key (the service's limits).
const UNIQUE_KEYS_MAX: usize = 10;
const UNIQUE_PATHS_MAX: usize = 16;

/// Why a definition is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct DefinitionError {
    /// One sentence for the client.
    pub(crate) message: String,
}

fn refuse<T>(message: impl Into<String>) -> Result<T, DefinitionError> {
    Err(DefinitionError { message: message.into() })
}

/// A checked container definition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContainerDefinition {
    /// The container's id.
    pub(crate) id: String,
    /// Segments of the partition key path.
    pub(crate) partition_key_path: Vec<String>,
    /// Default time to live in seconds; -1 = on without a default; `None` = off.
    pub(crate) default_ttl: Option<i32>,
    /// Paths of each unique key.
    pub(crate) unique_keys: Vec<Vec<Vec<String>>>,
    /// Which paths are indexed.
    pub(crate) indexing: IndexingPolicy,
    /// The definition as shown to clients, without system properties.
    pub(crate) document: Value,
}

impl ContainerDefinition {
    /// Checks the JSON of a definition.
    pub(crate) fn parse(document: &Value) -> Result<Self, DefinitionError> {
        let Some(map) = document.as_object() else {
            return refuse("the container definition must be a JSON object");
        };
        let id = check_name(map.get("id"))?;
        let partition_key_path = partition_key(map.get("partitionKey"))?;
        let default_ttl = default_ttl(map.get("defaultTtl"))?;
        let unique_keys = unique_keys(map.get("uniqueKeyPolicy"))?;
        for feature in ["vectorEmbeddingPolicy", "fullTextPolicy", "computedProperties"] {
            let given = map.get(feature).is_some_and(|value| match value {
                Value::Array(list) => !list.is_empty(),
                Value::Null => false,
                _ => true,
            });
            if given {
                return refuse(format!("{feature} is not supported yet"));
            }
        }
        let map = with_defaults(map);
        let policy = map.get("indexingPolicy").unwrap_or(&Value::Null);
        let indexing =
            IndexingPolicy::parse(policy).map_err(|message| DefinitionError { message })?;
        let document = Value::Object(map);
        Ok(Self { id, partition_key_path, default_ttl, unique_keys, indexing, document })
    }

    /// The index terms of a document under this definition.
    pub(crate) fn terms(&self, document: &Value) -> Terms {
        let unique = self.unique_keys.iter().map(|paths| {
            let mut out = Vec::new();
            for path in paths {
                let value = path.iter().try_fold(document, |value, segment| value.get(segment));
                // An absent value counts as null: only one item of a logical partition may lack it.
                encode_value(Some(value.unwrap_or(&Value::Null)), &mut out);
            }
            out
        });
        let paths = self.indexing.terms(document, &|path| self.unique_index(path).is_some());
        Terms { unique: unique.collect(), paths }
    }

    /// The unique key whose entries also serve as the index of `path`: the one with just that path.
    pub(crate) fn unique_index(&self, path: &[String]) -> Option<u8> {
        let position = self.unique_keys.iter().position(|paths| match paths.as_slice() {
            [only] => only == path,
            _ => false,
        });
        position.and_then(|position| u8::try_from(position).ok())
    }
}

/// Checks the id of a database or container.
pub(crate) fn check_name(id: Option<&Value>) -> Result<String, DefinitionError> {
    let Some(id) = id.and_then(Value::as_str) else {
        return refuse("the id is missing or not a string");
    };
    if id.is_empty() || id.chars().count() > NAME_CHARS_MAX {
        return refuse("the id must have 1 to 255 characters");
    }
    if id.contains(['/', '\\', '?', '#']) || id.ends_with(' ') {
        return refuse("the id must not contain '/', '\\', '?' or '#' nor end with a space");
    }
    Ok(id.to_owned())
}

fn partition_key(value: Option<&Value>) -> Result<Vec<String>, DefinitionError> {
    let Some(value) = value else {
        return refuse("the container needs a partitionKey");
    };
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or("Hash");
    if kind.eq_ignore_ascii_case("MultiHash") {
        return refuse("hierarchical partition keys (kind MultiHash) are not supported yet");
    }
    if !kind.eq_ignore_ascii_case("Hash") {
        return refuse(format!("the partition key kind '{kind}' is not Hash"));
    }
    match value.get("version").map(Value::as_u64) {
        Some(Some(2)) => {}
        None | Some(Some(1)) => {
            return refuse(
                "partition keys of version 1 (the default when no version is given) are not supported \
                 yet; create the container with version 2",
            );
        }
        Some(_) => return refuse("the partition key version is not 1 or 2"),
    }
    let paths = value.get("paths").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let [path] = paths else {
        return refuse("the partition key needs exactly one path");
    };
    let Some(text) = path.as_str() else {
        return refuse("the partition key path must be a string");
    };
    match parse_path(text) {
        Ok(path) if !path.is_empty() => Ok(path),
        Ok(_) => refuse("the partition key path is empty"),
        Err(error) => refuse(format!("the partition key path '{text}': {error}")),
    }
}

fn default_ttl(value: Option<&Value>) -> Result<Option<i32>, DefinitionError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let ttl = value.as_i64().and_then(|ttl| i32::try_from(ttl).ok());
            match ttl.filter(|&ttl| ttl == -1 || ttl > 0) {
                Some(ttl) => Ok(Some(ttl)),
                None => refuse("defaultTtl must be -1 or a number of seconds from 1 to 2147483647"),
            }
        }
    }
}

fn unique_keys(policy: Option<&Value>) -> Result<Vec<Vec<Vec<String>>>, DefinitionError> {
    let keys = policy
        .and_then(|policy| policy.get("uniqueKeys"))
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if keys.len() > UNIQUE_KEYS_MAX {
        return refuse("a container has at most 10 unique keys");
    }
    keys.iter().map(unique_key).collect()
}

fn unique_key(key: &Value) -> Result<Vec<Vec<String>>, DefinitionError> {
    let paths = key.get("paths").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if paths.is_empty() || paths.len() > UNIQUE_PATHS_MAX {
        return refuse("a unique key has 1 to 16 paths");
    }
    let parse = |path: &Value| match path.as_str().map(parse_path) {
        Some(Ok(path)) if !path.is_empty() => Ok(path),
        _ => refuse(format!("the unique key path {path} is not a path")),
    };
    paths.iter().map(parse).collect()
}

/// Fills in what the service shows when the caller left it out.
fn with_defaults(given: &Map<String, Value>) -> Map<String, Value> {
    let mut map = given.clone();
    for name in
        ["_rid", "_self", "_etag", "_ts", "_docs", "_sprocs", "_triggers", "_udfs", "_conflicts"]
    {
        map.shift_remove(name);
    }
    let policy = map.entry("indexingPolicy").or_insert_with(|| json!({}));
    if let Some(policy) = policy.as_object_mut() {
        let bare = !policy.contains_key("includedPaths") && !policy.contains_key("excludedPaths");
        let none = policy
            .get("indexingMode")
            .and_then(Value::as_str)
            .is_some_and(|mode| mode.eq_ignore_ascii_case("none"));
        policy.entry("indexingMode").or_insert_with(|| json!("consistent"));
        // The mode decides, as on the service: the Rust SDK sends false with every policy.
        policy.insert("automatic".to_owned(), json!(!none));
        if bare && !none {
            policy.insert("includedPaths".to_owned(), json!([{"path": "/*"}]));
            policy.insert("excludedPaths".to_owned(), json!([{"path": "/\"_etag\"/?"}]));
        }
        policy.entry("includedPaths").or_insert_with(|| json!([]));
        policy.entry("excludedPaths").or_insert_with(|| json!([]));
    }
    map.entry("conflictResolutionPolicy").or_insert_with(|| {
        json!({
            "mode": "LastWriterWins",
            "conflictResolutionPath": "/_ts",
            "conflictResolutionProcedure": ""
        })
    });
    map.entry("geospatialConfig").or_insert_with(|| json!({"type": "Geography"}));
    map
}
