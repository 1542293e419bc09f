//! Throughput offers: what a database or container may spend per second.
//!
//! Offers are stored and shown; they set the number of partitions of a new container. They do not
//! throttle: the management port does that on demand.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::ServerState;
use super::charge;
use super::context::Call;
use super::error::ServiceError;
use super::listing;
use super::names;
use super::respond::Reply;
use crate::storage::{Offer, OfferRecord, StorageError};

/// Least throughput that can be provisioned, in RU/s.
const THROUGHPUT_MIN: u32 = 400;
/// Most throughput that can be provisioned without asking, in RU/s.
const THROUGHPUT_MAX: u32 = 1_000_000;
/// What one physical partition serves at the most, in RU/s.
const THROUGHPUT_PER_PARTITION: u32 = 10_000;

/// The offer that the headers of a create ask for.
///
/// # Errors
///
/// 400 when it is not a throughput.
pub(crate) fn from_headers(call: &Call) -> Result<Option<Offer>, ServiceError> {
    if let Some(text) = call.header(names::OFFER_THROUGHPUT) {
        let throughput = text
            .trim()
            .parse()
            .map_err(|_| ServiceError::bad_request("x-ms-offer-throughput must be a number"))?;
        return manual(throughput).map(Some);
    }
    let Some(text) = call.header(names::OFFER_AUTOPILOT) else { return Ok(None) };
    let settings: Value = serde_json::from_str(text).map_err(|_| {
        ServiceError::bad_request("x-ms-cosmos-offer-autopilot-settings must be JSON")
    })?;
    autoscale(&settings).map(Some)
}

/// The offer of a new container: its own, or the least when neither it nor its database has one,
/// since clients expect that a container that shares nothing has an offer.
///
/// # Errors
///
/// 400 when the headers ask for something that is not a throughput.
pub(crate) fn for_container(
    state: &ServerState,
    call: &Call,
    database: &str,
) -> Result<Option<Offer>, ServiceError> {
    if let Some(own) = from_headers(call)? {
        return Ok(Some(own));
    }
    let number = state.engine.database(database).map(|database| database.number);
    let owner = number.map(crate::rid::database_rid);
    let is_shared = state.engine.offers().iter().any(|record| Some(record.owner_rid()) == owner);
    Ok((!is_shared).then_some(Offer::Manual(THROUGHPUT_MIN)))
}

/// How many physical partitions a container with this offer begins with.
pub(crate) fn partitions(offer: &Offer) -> u32 {
    let most = match offer {
        Offer::Manual(throughput) => *throughput,
        Offer::Autoscale { max, .. } => *max,
    };
    most.div_ceil(THROUGHPUT_PER_PARTITION).max(1)
}

/// `GET /offers`.
pub(crate) fn list(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    listing::list(call, "", "Offers", &documents(state))
}

/// `POST /offers` with the query header.
pub(crate) fn query(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    listing::query(call, "", "Offers", documents(state))
}

/// `GET /offers/id`.
pub(crate) fn read(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let record = find(state, &call.ids.leaf)?;
    Ok(reply(&record).charge(charge::METADATA_READ))
}

/// `PUT /offers/id`: another throughput.
pub(crate) async fn replace(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let record = find(state, &call.ids.leaf)?;
    let body = call.json()?;
    let content = body.get("content").unwrap_or(&Value::Null);
    let wanted = match content.get("offerAutopilotSettings") {
        Some(settings) if !settings.is_null() => autoscale(settings)?,
        _ => {
            let throughput = content
                .get("offerThroughput")
                .and_then(Value::as_u64)
                .and_then(|throughput| u32::try_from(throughput).ok())
                .ok_or_else(|| {
                    ServiceError::bad_request("content.offerThroughput must be a number")
                })?;
            manual(throughput)?
        }
    };
    match state.engine.replace_offer(&record.id(), wanted).await {
        Ok(record) => Ok(reply(&record)
            .charge(charge::METADATA_WRITE)
            .header(names::OFFER_REPLACE_PENDING, "false")),
        Err(StorageError::NotFound) => Err(missing(&record.id())),
        Err(error) => Err(error.into()),
    }
}

fn find(state: &ServerState, id: &str) -> Result<OfferRecord, ServiceError> {
    // Clients sign offers by their id in lower case and may send it so, too.
    state
        .engine
        .offers()
        .into_iter()
        .find(|record| record.id().eq_ignore_ascii_case(id))
        .ok_or_else(|| missing(id))
}

fn missing(id: &str) -> ServiceError {
    ServiceError::not_found(format!("offer '{id}' does not exist"))
}

fn manual(throughput: u32) -> Result<Offer, ServiceError> {
    check(throughput, THROUGHPUT_MIN).map(|()| Offer::Manual(throughput))
}

/// Autoscale begins at 1000 RU/s, and its floor is a tenth.
fn autoscale(settings: &Value) -> Result<Offer, ServiceError> {
    let max = settings
        .get("maxThroughput")
        .and_then(Value::as_u64)
        .and_then(|max| u32::try_from(max).ok())
        .ok_or_else(|| ServiceError::bad_request("maxThroughput must be a number"))?;
    let increment = settings
        .pointer("/autoUpgradePolicy/throughputPolicy/incrementPercent")
        .and_then(Value::as_u64)
        .and_then(|percent| u32::try_from(percent).ok());
    check(max, 1000).map(|()| Offer::Autoscale { max, increment })
}

fn check(throughput: u32, least: u32) -> Result<(), ServiceError> {
    if (least..=THROUGHPUT_MAX).contains(&throughput) && throughput.is_multiple_of(100) {
        return Ok(());
    }
    Err(ServiceError::bad_request(format!(
        "the throughput must be between {least} and {THROUGHPUT_MAX} RU/s in steps of 100"
    )))
}

fn documents(state: &ServerState) -> Vec<Value> {
    state.engine.offers().iter().map(document).collect()
}

fn reply(record: &OfferRecord) -> Reply {
    Reply::value(StatusCode::OK, &document(record)).header(names::ETAG, &record.etag())
}

fn document(record: &OfferRecord) -> Value {
    let id = record.id();
    json!({
        "resource": record.resource_link(),
        "offerType": "Invalid",
        "offerResourceId": record.owner_rid(),
        "offerVersion": "V2",
        "content": content(&record.offer),
        "id": id,
        "_rid": id,
        "_self": format!("offers/{id}/"),
        "_etag": record.etag(),
        "_ts": record.ts,
    })
}

fn content(offer: &Offer) -> Value {
    match offer {
        Offer::Manual(throughput) => json!({
            "offerThroughput": throughput,
            "offerIsRUPerMinuteThroughputEnabled": false,
        }),
        Offer::Autoscale { max, increment } => {
            let mut settings = json!({ "maxThroughput": max });
            if let (Some(increment), Some(members)) = (increment, settings.as_object_mut()) {
                members.insert(
                    "autoUpgradePolicy".to_owned(),
                    json!({ "throughputPolicy": { "incrementPercent": increment } }),
                );
            }
            json!({
                "offerThroughput": max / 10,
                "offerIsRUPerMinuteThroughputEnabled": false,
                "offerAutopilotSettings": settings,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ten_thousand_started_is_a_partition() {
        let counts = [400, 10_000, 11_000, 20_001].map(|ru| partitions(&Offer::Manual(ru)));
        assert_eq!(counts, [1, 1, 2, 3]);
        assert_eq!(partitions(&Offer::Autoscale { max: 30_000, increment: None }), 3);
    }

    #[test]
    fn throughputs_off_the_scale_are_refused() {
        assert!(manual(400).is_ok());
        assert!(manual(300).is_err());
        assert!(manual(450).is_err());
        assert!(autoscale(&json!({"maxThroughput": 900})).is_err());
    }

    #[test]
    fn autoscale_shows_its_floor_and_its_increment() {
        let settings = json!({
            "maxThroughput": 5000,
            "autoUpgradePolicy": {"throughputPolicy": {"incrementPercent": 42}}
        });
        let shown = content(&autoscale(&settings).unwrap());
        assert_eq!(shown["offerThroughput"], 500);
        assert_eq!(shown["offerAutopilotSettings"], settings);
    }
}
