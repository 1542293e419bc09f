//! Events in the form of `CloudEvents`, in both directions.

use reqwest::Method;
use serde_json::{Value, json};

use super::service::{Served, send};

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn cloud_event() -> Value {
    json!({
        "specversion": "1.0",
        "id": "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "source": "/shop",
        "type": "OrderPlaced",
        "subject": "order 7",
        "time": "2026-11-20T10:00:00Z",
        "datacontenttype": "application/json",
        "schemaversion": 3,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "correlationid": "c-1",
        "causationid": "c-2",
        "actor": "me",
        "partition": 7,
        "data": {"b": 1, "a": 2},
    })
}

#[tokio::test]
async fn an_event_comes_in_and_goes_out() {
    let served = Served::new().await;
    let given = cloud_event();
    let headers = [("if-none-match", "*")];
    served.post_text("s-1", ONE, given.to_string(), &headers).await.ok(201);
    served.post_text("s-1", ONE, given.to_string(), &headers).await.ok(200);
    let event = &served.fixture.events("s-1").await[0];
    assert_eq!((event.event_type().as_str(), event.schema_version()), ("OrderPlaced", 3));
    assert_eq!(event.data().to_string(), r#"{"b":1,"a":2}"#);
    let custom = Value::Object(event.metadata().custom.clone());
    assert_eq!(custom, json!({"subject": "order 7", "partition": 7, "source": "/shop"}));
    let accept = [("accept", ONE)];
    let answer = served.get_with("/streams/s-1/events/1", &accept).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, ONE));
    let written = answer.json();
    assert_eq!((&written["source"], &written["subject"]), (&json!("/streams/s-1"), &json!("s-1")));
    assert_eq!(written["sequence"], "00000000000000000001");
    assert_eq!(written["time"], "2026-11-20T10:00:00.000000Z");
    for name in [
        "id",
        "type",
        "specversion",
        "data",
        "datacontenttype",
        "schemaversion",
        "traceparent",
        "actor",
        "partition",
    ] {
        assert_eq!(written[name], given[name], "{name}");
    }
    assert!(written.get("tracestate").is_none());
    let json = served.get("/streams/s-1/events/1").await;
    assert_ne!(json.header("etag"), answer.header("etag"));
    assert_eq!(answer.header("vary"), "accept");
    let answer = served.get_with("/streams/s-1/events", &[("accept", BATCH)]).await;
    assert_eq!((answer.header("content-type"), answer.json()), (BATCH, json!([written])));
}

#[tokio::test]
async fn attributes_of_others_go_out_again() {
    let served = Served::new().await;
    let mut given = cloud_event();
    given["datacontenttype"] = json!("application/vnd.shop.order+json");
    given["dataschema"] = json!("https://shop.example.com/order/3");
    (given["flag"], given["sequence"]) = (json!(true), json!("theirs"));
    served.post_text("s-1", ONE, given.to_string(), &[]).await.ok(201);
    let text = json!({"specversion": "1.0", "id": "2", "source": "/", "type": "T",
                      "datacontenttype": "text/json; charset=utf-8", "data": 1});
    served.post_text("s-1", ONE, text.to_string(), &[]).await.ok(201);
    // What is no attribute of CloudEvents is for readers of the other form.
    let custom = json!({"camelCase": 1, "list": [], "big": 3_000_000_000_u64, "data": 1, "fine": 1,
                        "datacontenttype": "text/xml"});
    let other = json!({"events": [{"type": "T", "data": 1, "metadata": {"custom": custom}}]});
    served.post("s-1", &other).await.ok(201);
    let answer = served.get_with("/streams/s-1/events", &[("accept", BATCH)]).await;
    let written = answer.json();
    for name in ["datacontenttype", "dataschema", "flag", "partition"] {
        assert_eq!(written[0][name], given[name], "{name}");
    }
    assert_eq!(written[0]["sequence"], "00000000000000000001");
    assert_eq!(written[1]["datacontenttype"], text["datacontenttype"]);
    assert_eq!((&written[2]["fine"], &written[2]["data"]), (&json!(1), &json!(1)));
    assert_eq!(written[2]["datacontenttype"], "application/json");
    for name in ["camelCase", "list", "big"] {
        assert!(written[2].get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_batch_is_one_append() {
    let served = Served::new().await;
    let event = |id, source| json!({"specversion": "1.0", "id": id, "source": source, "type": "T"});
    let post = async |batch: Value, expected: &str| {
        let path = format!("/streams/s-1/events?expectedVersion={expected}");
        let request = served.request(Method::POST, &path).header("content-type", BATCH);
        send(request.body(batch.to_string())).await
    };
    let batch = json!([event("1", "/a"), event("2", "/a")]);
    let receipt = post(batch.clone(), "noStream").await.ok(201);
    assert_eq!((&receipt["first"], &receipt["last"]), (&json!(1), &json!(2)));
    // Ids that are no UUIDs are derived, together with their source.
    assert_eq!(post(batch, "noStream").await.ok(200)["outcome"], "repeated");
    post(json!([event("1", "/b")]), "2").await.ok(201);
    let answer = post(json!([event("1", "/c")]), "2").await;
    assert_eq!(answer.problem(409, "conflict")["actual"], 3);
    post(json!([event("1", "/c")]), "some").await.problem(400, "invalid-parameter");
    let events = served.fixture.events("s-1").await;
    assert!(events.len() == 3 && events[0].data().is_null());
}

#[tokio::test]
async fn what_is_no_cloud_event_is_refused_with_a_pointer() {
    let served = Served::new().await;
    let changed = |name: &str, value: Value| {
        let mut event = cloud_event();
        event[name] = value;
        event.to_string()
    };
    for (body, pointer) in [
        (changed("specversion", json!("0.3")), "/specversion"),
        (changed("id", json!("")), "/id"),
        (changed("source", json!(7)), "/source"),
        (changed("source", json!("")), "/source"),
        (changed("type", json!("")), "/type"),
        (changed("time", json!("noon")), "/time"),
        (changed("schemaversion", json!(0)), "/schemaversion"),
        (changed("datacontenttype", json!("text/xml")), "/datacontenttype"),
        (changed("data_base64", json!("AA==")), "/data_base64"),
        (changed("Upper", json!(1)), "/Upper"),
        (changed("list", json!([])), "/list"),
        (changed("data", json!({"n": [9_007_199_254_740_993_u64]})), "/data/n/0"),
        ("{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"T\"}".to_owned(), ""),
        ("{\"id\":\"1\",\"id\":\"2\"}".to_owned(), "/id"),
        ("[]".to_owned(), ""),
    ] {
        let answer = served.post_text("s-1", ONE, body.clone(), &[]).await;
        let problem = answer.problem(422, "invalid-body");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
        if pointer.is_empty() {
            continue;
        }
        let answer = served.post_text("s-1", BATCH, format!("[{body}]"), &[]).await;
        let problem = answer.problem(422, "invalid-body");
        assert_eq!(problem["errors"][0]["pointer"], format!("/0{pointer}"), "{body}");
    }
    served.post_text("s-1", ONE, "{", &[]).await.problem(400, "malformed-body");
    let twice = format!("[{0},{0}]", cloud_event());
    for batch in ["[]", &twice] {
        let answer = served.post_text("s-1", BATCH, batch.to_owned(), &[]).await;
        let problem = answer.problem(422, "invalid-body");
        assert_eq!(problem["errors"][0]["pointer"], "", "{batch}");
    }
    assert!(served.fixture.events("s-1").await.is_empty());
}
