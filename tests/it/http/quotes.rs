//! Quotes over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use tokio::io::AsyncWriteExt as _;

use super::service::{Answer, JSON, Served, send, until};
use crate::fixture::event;

/// Gives a command; without a body where that is `null`.
pub(super) async fn command(
    served: &Served,
    path: &str,
    body: Value,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = served.request(Method::POST, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_null() {
        request = request.header("content-type", JSON).body(body.to_string());
    }
    send(request).await
}

pub(super) fn geographic() -> Value {
    json!({"country": "IN", "state": "KA", "city": "Bengaluru", "zipCode": "560001"})
}

pub(super) fn contact() -> Value {
    json!({
        "firstName": "Asha", "lastName": "Rao", "email": "asha@example.com",
        "phone": "+91 98450 12345"
    })
}

pub(super) fn family() -> Value {
    json!({"dependants": 3, "children": 2, "childAges": [4, 9]})
}

/// A quote that can be finalized, at version 4.
async fn complete(served: &Served) {
    command(served, "/quotes", json!({"quoteId": "q-1"}), &[]).await.ok(201);
    for (section, body) in
        [("geographic", geographic()), ("contact", contact()), ("family", family())]
    {
        command(served, &format!("/quotes/q-1/{section}"), body, &[]).await.ok(200);
    }
}

#[tokio::test]
async fn a_quote_goes_from_its_first_page_to_a_policy() {
    let served = Served::new().await;
    let body = json!({"quoteId": "q-1", "product": "health-family", "channel": "web"});
    let created = command(&served, "/quotes", body, &[]).await;
    let done = created.ok(201);
    assert_eq!(created.header("location"), "/quotes/q-1");
    assert_eq!(created.header("etag"), "\"1\"");
    assert!(!created.header("request-charge").is_empty());
    assert!(!created.header("session-token").is_empty());
    assert_eq!(
        (&done["outcome"], &done["first"], &done["last"]),
        (&"appended".into(), &1.into(), &1.into())
    );
    assert_eq!(done["quote"]["missing"], json!(["geographic", "contact", "family"]));
    for (section, body) in
        [("geographic", geographic()), ("contact", contact()), ("family", family())]
    {
        command(&served, &format!("/quotes/q-1/{section}"), body, &[]).await.ok(200);
    }
    let page = json!({"page": "summary"});
    command(&served, "/quotes/q-1/save", page, &[("x-actor", "customer")]).await.ok(200);
    let status = served.get("/quotes/q-1/status").await.ok(200);
    assert_eq!((&status["status"], &status["version"]), (&"saved".into(), &5.into()));
    assert!(status["actions"].as_array().unwrap().contains(&"finalize".into()), "{status}");
    let offer = json!({
        "sumInsured": 500_000,
        "premium": {"amount": 9500, "currency": "INR", "period": "year"},
    });
    command(&served, "/quotes/q-1/finalize", offer.clone(), &[]).await.ok(200);
    let approve = json!({"policyNumber": "P-100042"});
    let headers = [("x-actor", "agent-7"), ("if-match", "\"6\"")];
    let approved = command(&served, "/quotes/q-1/approve", approve, &headers).await;
    assert_eq!(approved.header("etag"), "\"7\"");
    assert_eq!(approved.ok(200)["quote"]["status"], "approved");

    let quote = served.get("/quotes/q-1").await;
    assert_eq!(quote.header("etag"), "\"7\"");
    let quote = quote.ok(200);
    assert_eq!((&quote["offer"], &quote["policyNumber"]), (&offer, &"P-100042".into()));
    assert_eq!((&quote["family"], &quote["changedBy"]), (&family(), &"agent-7".into()));
    let history = served.get("/quotes/q-1/history").await.ok(200);
    let entries = history["entries"].as_array().unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry["type"].as_str().unwrap(), entry["by"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("QuoteInitiated", "api"),
            ("GeographicDetailsSet", "api"),
            ("ContactDetailsSet", "api"),
            ("FamilyDetailsSet", "api"),
            ("QuoteSaved", "customer"),
            ("QuoteFinalized", "api"),
            ("QuoteApproved", "agent-7"),
        ]
    );
    // The same events, as any stream has them.
    let events = served.fixture.events("q-1").await;
    assert!(events.iter().all(|event| event.aggregate_type() == "quote"));
    assert_eq!(events[6].metadata().actor.as_deref(), Some("agent-7"));
}

#[tokio::test]
async fn rules_are_told_by_name() {
    let served = Served::new().await;
    let none = command(&served, "/quotes/q-1/save", Value::Null, &[]).await;
    none.problem(404, "quote-not-found");
    command(&served, "/quotes", json!({"quoteId": "q-1"}), &[]).await.ok(201);
    let reason = json!({"reason": "no"});
    let rule = |problem: Value| problem["rule"].as_str().unwrap().to_owned();
    let refused = async |path: &str, body: Value| {
        rule(command(&served, path, body, &[]).await.problem(409, "rule-broken"))
    };
    assert_eq!(refused("/quotes", json!({"quoteId": "q-1"})).await, "already-initiated");
    assert_eq!(refused("/quotes/q-1/approve", Value::Null).await, "not-finalized");
    command(&served, "/quotes/q-1/family", family(), &[]).await.ok(200);
    let missing = command(&served, "/quotes/q-1/finalize", Value::Null, &[]).await;
    let missing = missing.problem(409, "rule-broken");
    assert_eq!(missing["missing"], json!(["geographic", "contact"]));
    command(&served, "/quotes/q-1/withdraw", reason.clone(), &[]).await.ok(200);
    let decided = command(&served, "/quotes/q-1/reject", reason, &[]).await;
    let decided = decided.problem(409, "rule-broken");
    assert_eq!(
        (&decided["rule"], &decided["decided"]),
        (&"already-decided".into(), &"withdrawn".into())
    );
    assert_eq!(served.fixture.events("q-1").await.len(), 3);
}

#[tokio::test]
async fn every_wrong_field_is_told_with_its_place() {
    let served = Served::new().await;
    command(&served, "/quotes", json!({"quoteId": "q-1"}), &[]).await.ok(201);
    let pointers = |problem: &Value| -> Vec<String> {
        let errors = problem["errors"].as_array().unwrap();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    };
    for (path, body, expected) in [
        (
            "contact",
            json!({"firstName": "", "email": "x", "phone": "1"}),
            &["/firstName", "/lastName", "/email", "/phone"][..],
        ),
        ("geographic", json!({"country": "in", "city": "Pune"}), &["/country"]),
        (
            "family",
            json!({"dependants": 1, "children": 2, "childAges": [4, 99]}),
            &["/children", "/childAges/1"],
        ),
        ("family", json!({"dependants": "3", "children": 2}), &["/dependants"]),
        ("contact", json!({"firstname": "x"}), &["/firstname"]),
        ("save", json!([]), &[""]),
        ("reject", Value::Null, &["/reason"]),
    ] {
        let answer = command(&served, &format!("/quotes/q-1/{path}"), body, &[]).await;
        let problem = answer.problem(422, "invalid-body");
        assert_eq!(pointers(&problem), expected, "{problem}");
    }
    let taken = command(&served, "/quotes", json!({"quoteId": 7}), &[]).await;
    assert_eq!(pointers(&taken.problem(422, "invalid-body")), ["/quoteId"]);
    let save = |kind: &'static str, body: &'static str| {
        let request = served.request(Method::POST, "/quotes/q-1/save");
        send(request.header("content-type", kind).body(body))
    };
    save(JSON, "{").await.problem(400, "malformed-body");
    save("text/plain", "{}").await.problem(415, "unsupported-media-type");
    let untyped = served.request(Method::POST, "/quotes/q-1/save").body("{\"page\":\"a\"}");
    send(untyped).await.problem(415, "unsupported-media-type");
    let nobody = command(&served, "/quotes/q-1/save", Value::Null, &[("x-actor", " ")]).await;
    nobody.problem(400, "invalid-parameter");
    served.get("/quotes/q-1?all").await.problem(400, "invalid-parameter");
    served.get_with("/quotes/q-1", &[("accept", "text/html")]).await.problem(406, "not-acceptable");
    assert_eq!(served.fixture.events("q-1").await.len(), 1);
}

#[tokio::test]
async fn a_repeated_command_is_done_once() {
    let served = Served::new().await;
    complete(&served).await;
    let key = [("idempotency-key", "k-1")];
    let finalize = "/quotes/q-1/finalize";
    assert_eq!(command(&served, finalize, Value::Null, &key).await.ok(200)["outcome"], "appended");
    command(&served, "/quotes/q-1/approve", Value::Null, &[]).await.ok(200);
    // By now it would be rejected.
    let again = command(&served, finalize, json!({}), &key).await.ok(200);
    assert_eq!((&again["outcome"], &again["first"]), (&"repeated".into(), &5.into()));
    assert_eq!(again["quote"]["status"], "approved");
    let other = command(&served, "/quotes/q-1/withdraw", Value::Null, &key).await;
    other.problem(422, "idempotency-key-reused");
    // The same command with another body is another request, also where both would be done.
    command(&served, "/quotes", json!({"quoteId": "q-3"}), &[]).await.ok(201);
    command(&served, "/quotes/q-3/family", family(), &key).await.ok(200);
    let others = json!({"dependants": 0, "children": 0});
    let other = command(&served, "/quotes/q-3/family", others, &key).await;
    other.problem(422, "idempotency-key-reused");
    assert_eq!(served.get("/quotes/q-3").await.ok(200)["family"], family());
    // What changes nothing stores nothing.
    command(&served, "/quotes", json!({"quoteId": "q-2"}), &[]).await.ok(201);
    for outcome in ["appended", "nothing"] {
        let done = command(&served, "/quotes/q-2/family", family(), &[]).await.ok(200);
        assert_eq!(done["outcome"], outcome);
    }
    assert_eq!(served.fixture.events("q-1").await.len(), 6);
    assert_eq!(served.fixture.events("q-2").await.len(), 2);
}

#[tokio::test]
async fn a_quote_without_an_id_gets_one() {
    let served = Served::new().await;
    let id = |answer: &Answer| answer.json()["quote"]["quoteId"].as_str().unwrap().to_owned();
    let (one, two) = (
        command(&served, "/quotes", Value::Null, &[]).await,
        command(&served, "/quotes", Value::Null, &[]).await,
    );
    assert_eq!((one.status, two.status), (201, 201));
    assert_ne!(id(&one), id(&two));
    assert_eq!(one.header("location"), format!("/quotes/{}", id(&one)));
    let key = [("idempotency-key", "k-1")];
    let first = command(&served, "/quotes", Value::Null, &key).await;
    let again = command(&served, "/quotes", Value::Null, &key).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(id(&first), id(&again));
    let named = command(&served, "/quotes", json!({"quoteId": id(&first)}), &key).await.ok(200);
    assert_eq!(named["outcome"], "repeated", "the id that it got is the same request");
    // An id is percent-encoded where it is a part of a path.
    let odd = command(&served, "/quotes", json!({"quoteId": "a/b c"}), &[]).await;
    assert_eq!(odd.header("location"), "/quotes/a%2Fb%20c");
    assert_eq!(served.get("/quotes/a%2Fb%20c").await.ok(200)["quoteId"], "a/b c");
}

#[tokio::test]
async fn a_quote_is_initiated_by_a_body_without_ambiguity() {
    let served = Served::new().await;
    let initiate = |body: &'static str| {
        let request = served.request(Method::POST, "/quotes").header("content-type", JSON);
        send(request.body(body))
    };
    for body in [
        "{\"quoteId\":\"q-1\",\"quoteId\":\"q-2\"}",
        "{\"quoteId\":\"q-1\",\"product\":\"a\",\"product\":\"b\"}",
    ] {
        initiate(body).await.problem(422, "invalid-body");
    }
    let unknown = initiate("{\"quoteid\":\"q-1\"}").await.problem(422, "invalid-body");
    assert!(unknown["errors"][0]["detail"].as_str().unwrap().contains("quoteId"), "{unknown}");
    assert_eq!(served.get("/streams").await.ok(200)["streams"], json!([]));
    // As everywhere, `null` is the same as nothing.
    let null = initiate("{\"quoteId\":null,\"product\":null}").await.ok(201);
    assert!(null["quote"]["quoteId"].as_str().unwrap().starts_with("quote-"), "{null}");
}

#[tokio::test]
async fn session_tokens_that_are_none_are_bad_input() {
    let served = Served::new().await;
    complete(&served).await;
    let token = [("session-token", "garbage")];
    for path in ["", "/status", "/history", "/history?from=9"] {
        let answer = served.get_with(&format!("/quotes/q-1{path}"), &token).await;
        let problem = answer.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["header"], "session-token", "{path}");
    }
    for id in ["q-1", "q-2"] {
        let answer = command(&served, &format!("/quotes/{id}/save"), Value::Null, &token).await;
        answer.problem(400, "invalid-parameter");
    }
    // One that was given with an answer is taken.
    let saved = command(&served, "/quotes/q-1/save", Value::Null, &[]).await;
    let token = [("session-token", saved.header("session-token"))];
    served.get_with("/quotes/q-1", &token).await.ok(200);
    command(&served, "/quotes/q-1/withdraw", Value::Null, &token).await.ok(200);
}

#[tokio::test]
async fn conditions_are_kept() {
    let served = Served::new().await;
    let exists = command(&served, "/quotes", json!({"quoteId": "q-1"}), &[("if-match", "*")]).await;
    exists.problem(400, "invalid-parameter");
    let none = [("if-none-match", "*")];
    command(&served, "/quotes", json!({"quoteId": "q-1"}), &none).await.ok(201);
    let second = command(&served, "/quotes", json!({"quoteId": "q-1"}), &none).await;
    second.problem(412, "precondition-failed");
    let at = |version: &'static str| [("if-match", version)];
    command(&served, "/quotes/q-1/family", family(), &at("\"1\"")).await.ok(200);
    let lost = command(&served, "/quotes/q-1/contact", contact(), &at("\"1\"")).await;
    let problem = lost.problem(412, "precondition-failed");
    assert_eq!((&problem["expected"], &problem["actual"]), (&1.into(), &2.into()));
    assert_eq!(problem["events"][0]["type"], "FamilyDetailsSet", "the events that won");
    command(&served, "/quotes/q-1/contact", contact(), &at("\"2\"")).await.ok(200);
    command(&served, "/quotes/q-1/save", Value::Null, &at("*")).await.ok(200);
    for condition in [at("2"), [("if-none-match", "\"2\"")]] {
        let answer = command(&served, "/quotes/q-1/save", Value::Null, &condition).await;
        answer.problem(400, "invalid-parameter");
    }
    let known = served.get_with("/quotes/q-1", &[("if-none-match", "\"4\"")]).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
}

#[tokio::test]
async fn a_stream_of_something_else_is_not_a_quote() {
    let served = Served::new().await;
    served.fixture.given("s-1", &[event(1)]).await;
    for path in ["/quotes/s-1", "/quotes/s-1/status", "/quotes/s-1/history"] {
        let problem = served.get(path).await.problem(409, "not-a-quote");
        assert_eq!(
            (&problem["eventType"], &problem["sequenceNumber"]),
            (&"Tested".into(), &1.into())
        );
    }
    let save = command(&served, "/quotes/s-1/save", Value::Null, &[]).await;
    save.problem(409, "not-a-quote");
    for path in ["/quotes/q-1", "/quotes/q-1/status", "/quotes/q-1/history?from=3"] {
        served.get(path).await.problem(404, "quote-not-found");
    }
    let put = send(served.request(Method::PUT, "/quotes/q-1/save")).await;
    put.problem(405, "method-not-allowed");
    assert_eq!(put.header("allow"), "POST");
}

#[tokio::test]
async fn a_session_token_is_honoured_or_refused() {
    let served = Served::new().await;
    let created = command(&served, "/quotes", json!({"quoteId": "q-1"}), &[]).await;
    let token = created.header("session-token").to_owned();
    // One quote that the service knows, and one that it does not.
    for id in ["q-1", "q-2"] {
        for garbage in ["x", "a b", "0:-1#x"] {
            let headers = [("session-token", garbage)];
            let mut answers =
                vec![command(&served, &format!("/quotes/{id}/contact"), contact(), &headers).await];
            for view in ["", "/status", "/history"] {
                answers.push(served.get_with(&format!("/quotes/{id}{view}"), &headers).await);
            }
            for answer in answers {
                let problem = answer.problem(400, "invalid-parameter");
                assert_eq!(problem["errors"][0]["header"], "session-token", "{id} {garbage}");
            }
        }
    }
    let headers = [("session-token", token.as_str())];
    for view in ["", "/status", "/history"] {
        served.get_with(&format!("/quotes/q-1{view}"), &headers).await.ok(200);
    }
    let done = command(&served, "/quotes/q-1/contact", contact(), &headers).await.ok(200);
    assert_eq!(done["last"], 2);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_cut_a_command() {
    // There is room for one connection, so the second one is answered when the first one is over.
    let served = Served::with(|store| store, |service| service.with_connections_max(1)).await;
    served.hold_appends();
    let mut socket = served.socket().await;
    let head = "POST /quotes HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 17\r\n\r\n{\"quoteId\":\"q-1\"}";
    socket.write_all(head.as_bytes()).await.unwrap();
    served.until_in_the_store().await;
    drop(socket);
    served.get("/healthz").await.ok(200);
    served.control().clear_faults();
    until(async || !served.fixture.events("q-1").await.is_empty()).await;
}

#[tokio::test]
async fn a_history_comes_in_pages() {
    let served = Served::new().await;
    complete(&served).await;
    let first = served.get("/quotes/q-1/history?limit=3").await.ok(200);
    assert_eq!(first["entries"].as_array().unwrap().len(), 3);
    let next = first["next"].as_str().unwrap();
    let second = served.get(next).await.ok(200);
    assert_eq!(second["entries"][0]["sequenceNumber"], 4);
    assert!(second["next"].is_null(), "{second}");
    let beyond = served.get("/quotes/q-1/history?from=5").await.ok(200);
    assert_eq!(beyond["entries"], json!([]));
}

#[tokio::test]
async fn the_description_has_what_is_really_read_and_written() {
    let served = Served::new().await;
    complete(&served).await;
    let finalize = json!({"premium": {"amount": 1, "currency": "INR", "period": "year"}});
    command(&served, "/quotes/q-1/finalize", finalize, &[]).await.ok(200);
    let reject = command(&served, "/quotes/q-1/reject", json!({"reason": "x"}), &[]).await;
    let description = served.get("/openapi.json").await.ok(200);
    let schemas = &description["components"]["schemas"];
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    // Every member of an answer is described, and every member that must be there is.
    let described = |name: &str, value: &Value| {
        let properties = keys(&schemas[name]["properties"]);
        for key in keys(value) {
            assert!(properties.contains(&key), "{name} lacks {key}");
        }
        for required in schemas[name]["required"].as_array().unwrap() {
            assert!(!value[required.as_str().unwrap()].is_null(), "{name}: {required}");
        }
    };
    described("CommandDone", &reject.json());
    described("Quote", &served.get("/quotes/q-1").await.json());
    described("QuoteStatus", &served.get("/quotes/q-1/status").await.json());
    let history = served.get("/quotes/q-1/history").await.json();
    described("QuoteHistory", &history);
    described("QuoteHistoryEntry", &history["entries"][0]);
    // Every described member of an input is known to the domain: only its value is wrong.
    for (name, path) in [
        ("Initiate", "/quotes"),
        ("Geographic", "/quotes/q-1/geographic"),
        ("Contact", "/quotes/q-1/contact"),
        ("Family", "/quotes/q-1/family"),
        ("Save", "/quotes/q-1/save"),
        ("Finalize", "/quotes/q-1/finalize"),
        ("Approve", "/quotes/q-1/approve"),
        ("Reject", "/quotes/q-1/reject"),
        ("Withdraw", "/quotes/q-1/withdraw"),
    ] {
        for property in keys(&schemas[name]["properties"]) {
            let answer = command(&served, path, json!({property.as_str(): {"no": 1}}), &[]).await;
            let problem = answer.problem(422, "invalid-body");
            let detail = problem["errors"][0]["detail"].as_str().unwrap();
            let is_known = !detail.starts_with("unknown field") || detail.contains("`no`");
            assert!(is_known, "{name} describes {property}: {detail}");
        }
    }
}
