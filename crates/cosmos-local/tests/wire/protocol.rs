//! What holds for every request: connections, signatures, headers, faults.

use cosmos_local::{Fault, FaultAction};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{DOCS, KEY_A, Wire};

#[tokio::test]
async fn the_account_names_the_address_that_the_caller_used() {
    let wire = Wire::lenient().await;
    let answer = wire.get("", &[("host", "cosmos.test:1234")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body["writableLocations"][0]["databaseAccountEndpoint"],
        "http://cosmos.test:1234/"
    );
    for name in ["id", "_rid", "_self"] {
        assert!(answer.body[name].is_string(), "{name}");
    }
    assert_eq!(answer.body["enableMultipleWriteLocations"], false);
    let level = &answer.body["userConsistencyPolicy"]["defaultConsistencyLevel"];
    assert_eq!(level, "Session");
    let engine = answer.body["queryEngineConfiguration"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(engine).unwrap().is_object());
    assert!(!answer.body.to_string().contains("thinClient"));
}

#[tokio::test]
async fn http2_with_prior_knowledge_works_on_the_same_port() {
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let wire = Wire::lenient().await.with_http(client).with_container().await;
    wire.create(json!({"id": "1", "pk": "a"})).await;
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.status, 200);
    let account = wire.get("", &[]).await;
    let address = account.body["readableLocations"][0]["databaseAccountEndpoint"].as_str();
    assert_eq!(address, Some(wire.endpoint.endpoint()));
}

#[tokio::test]
async fn requests_without_the_key_are_refused() {
    let wire = Wire::lenient().await;
    let http = reqwest::Client::new();
    let send = |authorization: Option<&'static str>| {
        let request = http.get(wire.endpoint.endpoint()).header("x-ms-date", "now");
        match authorization {
            Some(text) => request.header("authorization", text),
            None => request,
        }
        .send()
    };
    for authorization in [None, Some("type=master&ver=1.0&sig=AAAA"), Some("nonsense")] {
        let response = send(authorization).await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{authorization:?}");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body["code"], "Unauthorized");
    }
}

#[tokio::test]
async fn every_answer_carries_the_common_headers() {
    let wire = Wire::lenient().await.with_container().await;
    let answer = wire.get("dbs/d/", &[("x-ms-activity-id", "my-activity")]).await;
    assert_eq!(answer.status, 200, "a trailing slash means nothing");
    assert_eq!(answer.header("x-ms-activity-id"), "my-activity");
    for name in ["x-ms-version", "x-ms-request-charge", "x-ms-request-duration-ms", "etag"] {
        assert!(!answer.header(name).is_empty(), "{name}");
    }
    let missing = wire.get("dbs/x", &[]).await;
    assert_eq!(missing.outcome(), (404, 0));
    assert_eq!(missing.body["code"], "NotFound");
    assert!(!missing.header("x-ms-activity-id").is_empty());
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let wire = Wire::lenient().await.with_container().await;
    for path in
        ["dbs/d/colls/c/sprocs", "dbs/d/colls/c/triggers/t", "dbs/d/users", "dbs/d/colls/c/udfs"]
    {
        let answer = wire.send(Method::POST, path, &[], &json!({"id": "x"})).await;
        assert_eq!(answer.status, 501, "{path}");
        assert!(answer.message().contains("not supported yet"), "{path}");
    }
    assert_eq!(wire.get("nothing/here", &[]).await.status, 404);
    assert_eq!(wire.send(Method::PATCH, "dbs/d", &[], &json!({})).await.status, 405);
}

#[tokio::test]
async fn faults_refuse_delay_and_drop() {
    let wire = Wire::lenient().await.with_container().await;
    let control = wire.endpoint.control().clone();
    let item = json!({"id": "1", "pk": "a"}).to_string().into_bytes();
    let create = || wire.try_send(Method::POST, DOCS, &[KEY_A], item.clone());

    let refuse = FaultAction::Status { status: 503, substatus: Some(7), retry_after_ms: Some(12) };
    control.inject(Fault::new(refuse).on_kind("create_item").times(1)).unwrap();
    let answer = create().await.unwrap();
    assert_eq!(answer.outcome(), (503, 7));
    assert_eq!(answer.header("x-ms-retry-after-ms"), "12");

    control.inject(Fault::new(FaultAction::DropBefore).on_kind("create_item").times(1)).unwrap();
    assert!(create().await.is_err());
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.status, 404, "it was not applied");

    control.inject(Fault::new(FaultAction::DropAfter).on_kind("create_item").times(1)).unwrap();
    assert!(create().await.is_err());
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.status, 200, "it was applied");
    assert_eq!(create().await.unwrap().status, 409);
    assert_eq!(control.counts().of("create_item"), 4);
}

#[tokio::test]
async fn a_drop_over_http2_concerns_its_own_request_only() {
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let wire = Wire::lenient().await.with_http(client).with_container().await;
    let control = wire.endpoint.control().clone();
    control.inject(Fault::new(FaultAction::Delay { ms: 200 }).on_kind("read_container")).unwrap();
    control.inject(Fault::new(FaultAction::DropAfter).on_kind("create_item").times(1)).unwrap();
    let item = json!({"id": "1", "pk": "a"}).to_string().into_bytes();
    let (dropped, other) = tokio::join!(
        wire.try_send(Method::POST, DOCS, &[KEY_A], item),
        wire.get("dbs/d/colls/c", &[]),
    );
    assert!(dropped.is_err());
    assert_eq!(other.status, 200);
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.status, 200, "it was applied");
}

#[tokio::test]
async fn a_request_in_progress_is_finished_before_the_endpoint_ends() {
    let wire = Wire::lenient().await.with_container().await;
    wire.create(json!({"id": "1", "pk": "a"})).await;
    let control = wire.endpoint.control().clone();
    control.inject(Fault::new(FaultAction::Delay { ms: 300 }).on_kind("read_item")).unwrap();
    let path = format!("{DOCS}/1");
    let stop = async {
        // It has arrived, and its answer is held back.
        while control.counts().of("read_item") == 0 {
            tokio::task::yield_now().await;
        }
        control.stop();
        wire.endpoint.stopping().await;
    };
    let (answer, ()) = tokio::join!(wire.get(&path, &[KEY_A]), stop);
    assert_eq!(answer.status, 200);
    wire.endpoint.shutdown().await.unwrap();
}
