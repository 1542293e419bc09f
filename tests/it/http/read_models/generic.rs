//! Read models of any log, and what the description says of all answers.

use cosmos_event_store::{AppendOptions, ExpectedVersion};
use serde_json::{Value, json};

use super::{Hosted, command};
use crate::fixture::event;

/// Streams as an import brings them. Gives the receipt of the last append.
async fn imported(hosted: &Hosted) -> String {
    let store = &hosted.served.fixture.store;
    for (kind, streams) in [("loan", 5_u64), ("order", 3)] {
        for n in 1..=streams {
            let events = (0..n).map(event).collect();
            let options = AppendOptions::default().with_aggregate_type(kind);
            let stream = format!("{kind}-{n}");
            store.append_with(stream, ExpectedVersion::Any, events, options).await.unwrap();
        }
    }
    let body = json!({"events": [{"type": "LoanGranted", "data": {}}]});
    for n in 1..=5 {
        // In order, so that the last receipt is for all of them.
        let answer = hosted.served.post(&format!("loan-{n}"), &body).await;
        let receipt = answer.header("receipt").to_owned();
        for read_model in ["stream-summary/views", "type-totals/totals"] {
            hosted.after(&format!("/read-models/{read_model}"), &receipt).await;
        }
        if n == 5 {
            return receipt;
        }
    }
    unreachable!()
}

fn streams(page: &Value) -> Vec<&str> {
    let views = page["views"].as_array().unwrap();
    views.iter().map(|view| view["stream"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn views_of_any_stream_are_read_and_listed() {
    let hosted = Hosted::new().await;
    let receipt = imported(&hosted).await;
    for n in 1..=3 {
        let path = format!("/read-models/stream-summary/views/order-{n}");
        let order =
            cosmos_event_store::projection::ReceiptToken::new(format!("order-{n}"), n, None);
        hosted.after(&path, &order.to_string()).await;
    }
    let path = "/read-models/stream-summary/views/loan-3";
    let answer = hosted.after(path, &receipt).await;
    let view = answer.json();
    assert_eq!((&view["stream"], &view["sequenceNumber"]), (&"loan-3".into(), &4.into()));
    assert_eq!(
        (&view["data"]["events"], &view["data"]["lastType"]),
        (&4.into(), &"LoanGranted".into())
    );
    let known = [("if-none-match", answer.header("etag"))];
    assert_eq!(hosted.served.get_with(path, &known).await.status, 304);
    for (query, expected) in [
        ("aggregateType=loan", vec!["loan-1", "loan-2", "loan-3", "loan-4", "loan-5"]),
        ("aggregateType=order&sort=-events", vec!["order-3", "order-2", "order-1"]),
        ("events=2", vec!["loan-1", "order-2"]),
        ("events=\"2\"", vec![]),
        ("sort=-key&aggregateType=order", vec!["order-3", "order-2", "order-1"]),
        ("lastType=LoanGranted&events=6", vec!["loan-5"]),
        ("lastType=null", vec![]),
    ] {
        let mut found = Vec::new();
        let mut next = Some(format!("/read-models/stream-summary/views?{query}&limit=2"));
        while let Some(path) = next {
            let page = hosted.served.get(&path).await.ok(200);
            found.extend(streams(&page).into_iter().map(str::to_owned));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(found, expected, "{query}");
    }
    let path = "/read-models/stream-summary/views/none";
    hosted.served.get(path).await.problem(404, "view-not-found");
}

#[tokio::test]
async fn totals_are_read_and_listed() {
    let hosted = Hosted::new().await;
    imported(&hosted).await;
    let path = "/read-models/type-totals/totals/LoanGranted";
    let total = hosted.served.get(path).await.ok(200);
    assert_eq!((&total["streams"], &total["data"]["events"]), (&5.into(), &5.into()), "{total}");
    let keys = async |query: &str| -> Vec<String> {
        let mut found = Vec::new();
        let mut next = Some(format!("/read-models/type-totals/totals?limit=1{query}"));
        while let Some(path) = next {
            let page = hosted.served.get(&path).await.ok(200);
            let totals = page["totals"].as_array().unwrap();
            found.extend(totals.iter().map(|total| total["key"].as_str().unwrap().to_owned()));
            next = page["next"].as_str().map(str::to_owned);
        }
        found
    };
    assert_eq!(keys("").await, ["LoanGranted", "Tested"]);
    assert_eq!(keys("&from=M").await, ["Tested"]);
    assert_eq!(keys("&to=Loan").await, ["LoanGranted"]);
    let none = hosted.served.get("/read-models/type-totals/totals/None").await;
    none.problem(404, "view-not-found");
}

#[tokio::test]
async fn what_there_is_is_listed() {
    let hosted = Hosted::new().await;
    let receipt = imported(&hosted).await;
    hosted.after("/read-models/stream-summary/views", &receipt).await;
    let listed = hosted.served.get("/read-models").await.ok(200);
    let listed = listed["readModels"].as_array().unwrap();
    let of = |name: &str| listed.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(listed.len(), 5);
    let summary = of("stream-summary");
    assert_eq!((&summary["kind"], &summary["version"]), (&"views".into(), &1.into()));
    assert_eq!(summary["fields"], json!(["aggregateType", "lastType", "lastAt", "events"]));
    assert_eq!(of("quote-days")["kind"], "totals");
    for (path, slug) in [
        ("/read-models/none/views", "read-model-not-found"),
        ("/read-models/none/views/s-1", "read-model-not-found"),
        ("/read-models/none/totals", "read-model-not-found"),
        ("/read-models/none/totals/k", "read-model-not-found"),
        ("/read-models/type-totals/views", "read-model-not-found"),
        ("/read-models/type-totals/views/s-1", "read-model-not-found"),
        ("/read-models/stream-summary/totals", "read-model-not-found"),
        ("/read-models/stream-summary/totals/k", "read-model-not-found"),
    ] {
        hosted.served.get(path).await.problem(404, slug);
    }
}

#[tokio::test]
async fn the_description_has_what_is_really_answered() {
    let hosted = Hosted::new().await;
    hosted.command("/quotes", json!({"quoteId": "q-1", "product": "p"})).await;
    let receipt = hosted.command("/quotes/q-1/geographic", super::geographic()).await;
    let description = hosted.served.get("/openapi.json").await.ok(200);
    let described = |name: &str, value: &Value| {
        let schema = &description["components"]["schemas"][name];
        for key in value.as_object().unwrap().keys() {
            assert!(!schema["properties"][key].is_null(), "{name} lacks {key}");
        }
        for required in schema["required"].as_array().unwrap() {
            assert!(!value[required.as_str().unwrap()].is_null(), "{name}: {required}");
        }
    };
    let body = async |path: &str| hosted.after(path, &receipt).await.json();
    described("Quote", &body("/quotes/q-1").await);
    described("QuoteStatus", &body("/quotes/q-1/status").await);
    let history = body("/quotes/q-1/history").await;
    described("QuoteHistoryEntry", &history["entries"][0]);
    let list = body("/quotes?limit=1").await;
    described("QuoteList", &list);
    described("QuoteListEntry", &list["quotes"][0]);
    let days = body("/quotes/summary").await;
    described("QuoteDays", &days);
    described("QuoteDay", &days["days"][0]);
    let views = body("/read-models/quote-details/views").await;
    described("ViewPage", &views);
    described("View", &views["views"][0]);
    let totals = body("/read-models/quote-days/totals").await;
    described("TotalPage", &totals);
    described("Total", &totals["totals"][0]);
    let names = hosted.served.get("/read-models").await.ok(200);
    described("ReadModelNames", &names);
    described("ReadModelEntry", &names["readModels"][0]);
    let done = command(&hosted.served, "/quotes/q-1/save", Value::Null, &[]).await;
    described("CommandDone", &done.ok(200));
}
