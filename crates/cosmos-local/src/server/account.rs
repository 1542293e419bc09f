//! The account document.

use hyper::StatusCode;
use serde_json::json;

use super::context::Call;
use super::names;
use super::respond::Reply;

/// Name of the only region.
const REGION: &str = "Local";

/// What clients may assume of the query language, in the form of a JSON text within JSON.
const QUERY_ENGINE: &str = r#"{"maxSqlQueryInputLength":262144,"maxJoinsPerSqlQuery":10,"maxLogicalAndPerSqlQuery":2000,"maxLogicalOrPerSqlQuery":2000,"maxUdfRefPerSqlQuery":10,"maxInExpressionItemsCount":16000,"queryMaxInMemorySortDocumentCount":500,"maxQueryRequestTimeoutFraction":0.9,"sqlAllowNonFiniteNumbers":false,"sqlAllowAggregateFunctions":true,"sqlAllowSubQuery":false,"sqlAllowScalarSubQuery":false,"allowNewKeywords":true,"sqlAllowLike":true,"sqlAllowGroupByClause":false,"maxSpatialQueryCells":12,"spatialMaxGeometryPointCount":256,"sqlDisableOptimizationFlags":0,"sqlAllowTop":true,"enableSpatialIndexing":false}"#;

/// `GET /`: one region, one writer, under the address that the caller used, since clients go on
/// with the addresses in this document. No thin-client addresses, so that no client tries the
/// protocol behind them.
pub(crate) fn read(call: &Call) -> Reply {
    let origin = call.origin();
    let address = format!("{origin}/");
    let id = origin
        .split_once("://")
        .map_or(origin.as_str(), |(_, host)| host)
        .split(['.', ':'])
        .next()
        .unwrap_or("local");
    let locations = json!([{ "name": REGION, "databaseAccountEndpoint": address }]);
    let body = json!({
        "_self": "",
        "id": id,
        "_rid": format!("{id}.local"),
        "media": "//media/",
        "addresses": "//addresses/",
        "_dbs": "//dbs/",
        "writableLocations": locations,
        "readableLocations": locations,
        "enableMultipleWriteLocations": false,
        "continuousBackupEnabled": false,
        "enableNRegionSynchronousCommit": false,
        "enablePerPartitionFailoverBehavior": false,
        "userReplicationPolicy": {
            "asyncReplication": false, "minReplicaSetSize": 1, "maxReplicasetSize": 1
        },
        "userConsistencyPolicy": { "defaultConsistencyLevel": "Session" },
        "systemReplicationPolicy": { "minReplicaSetSize": 1, "maxReplicasetSize": 1 },
        "readPolicy": { "primaryReadCoefficient": 1, "secondaryReadCoefficient": 1 },
        "queryEngineConfiguration": QUERY_ENGINE,
    });
    Reply::value(StatusCode::OK, &body).charge(0.0).number(names::ITEM_COUNT, 1)
}
