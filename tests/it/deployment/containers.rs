//! The containers of the Bicep are those that `provision` wants.

use std::collections::{BTreeMap, BTreeSet};

use cosmos_event_store::store::{ContainerShape, DefaultTtl, wanted_containers};
use serde_json::{Map, Value, json};

use super::made_of;

const CONTAINERS: &str = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers";
/// The leases of the Functions trigger, of which `provision` knows nothing.
const WAKEUP_LEASES: &str = "wakeup-leases";

/// What the Bicep says of each container, all of it literal.
fn described() -> BTreeMap<String, Map<String, Value>> {
    let read = |(file, placed): (&str, bicep_check::template::Placed<'_>)| {
        let name = super::literal(&placed, &["name"]).unwrap();
        let resource = super::value(&placed, &["properties", "resource"]).unwrap();
        let Some(Value::Object(resource)) = resource.literal() else {
            panic!("{file}: the container {name} must be written down without expressions")
        };
        assert_eq!(resource["id"], name, "{file}");
        (name.as_str().unwrap().to_owned(), resource)
    };
    made_of(CONTAINERS).into_iter().map(read).collect()
}

/// What the Bicep of a container must say; paths in the order of their names.
fn wanted(shape: &ContainerShape) -> Map<String, Value> {
    let objects = |paths: &[String]| -> Value {
        paths
            .iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|path| json!({ "path": path }))
            .collect()
    };
    let mut wanted = json!({
        "id": shape.name,
        "partitionKey": { "paths": shape.partition_key, "kind": "Hash", "version": 2 },
        "indexingPolicy": {
            "indexingMode": if shape.indexed { "consistent" } else { "none" },
            "automatic": shape.indexed,
            "includedPaths": objects(&shape.included_paths),
            "excludedPaths": objects(&shape.excluded_paths),
        },
    });
    if !shape.unique_keys.is_empty() {
        let keys: Value = shape.unique_keys.iter().map(|paths| json!({ "paths": paths })).collect();
        wanted["uniqueKeyPolicy"] = json!({ "uniqueKeys": keys });
    }
    match shape.default_ttl {
        DefaultTtl::Off => {}
        DefaultTtl::PerDocument => wanted["defaultTtl"] = json!(-1),
        DefaultTtl::Seconds(seconds) => wanted["defaultTtl"] = json!(seconds),
    }
    wanted.as_object().unwrap().clone()
}

/// The same with paths in the order of their names: their order means nothing.
fn sorted(mut resource: Map<String, Value>) -> Map<String, Value> {
    for key in ["includedPaths", "excludedPaths"] {
        if let Some(Value::Array(paths)) = resource["indexingPolicy"].get_mut(key) {
            paths.sort_by_key(|path| path["path"].as_str().unwrap().to_owned());
        }
    }
    resource
}

#[test]
fn bicep_makes_the_containers_that_provision_wants() {
    let mut described = described();
    assert!(described.remove(WAKEUP_LEASES).is_some());
    let wanted: BTreeMap<_, _> =
        wanted_containers().iter().map(|shape| (shape.name.clone(), wanted(shape))).collect();
    assert_eq!(described.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, resource) in described {
        assert_eq!(
            Value::Object(sorted(resource)),
            Value::Object(wanted[&name].clone()),
            "bicep/modules/cosmos.bicep and src/store/provision.rs differ in {name:?}"
        );
    }
}

#[test]
fn the_trigger_has_leases_of_its_own() {
    let resource = &described()[WAKEUP_LEASES];
    let key = json!({ "paths": ["/id"], "kind": "Hash", "version": 2 });
    assert_eq!(resource["partitionKey"], key);
    assert_eq!(resource.get("uniqueKeyPolicy"), None);
    assert_eq!(resource.get("defaultTtl"), None);
}
