//! Traces and metrics of real processes, at a collector that the test plays.

use std::{net::TcpListener, process::Stdio};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use serde_json::{Value, json};

use super::{
    collector::{Attributes, Collector, attributes},
    until,
};
use crate::cli::program::{Place, Ran, Running};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
/// The arguments of a service that exports.
const SERVE: [&str; 7] =
    ["serve", "--listen", "127.0.0.1:0", "--store-port", "0", "--output", "json"];

/// Starts a service with variables, and gives what it says first.
fn serve(place: &Place, endpoint: &str, variables: &[(&str, &str)]) -> (Running, Value) {
    let variables = [&[("COSMOS_ES_OTLP_ENDPOINT", endpoint)], variables].concat();
    let mut serve = place.spawn_with(&SERVE, &variables);
    let ready = serde_json::from_str(&serve.line()).unwrap();
    (serve, ready)
}

/// Appends an event within a trace, and gives the context that was stored with it.
async fn append(ready: &Value, stream: &str, traceparent: &str) -> String {
    let url = format!("{}/streams/{stream}/events", ready["http"].as_str().unwrap());
    let body = json!({"events": [{"type": "Tested", "data": {}}]}).to_string();
    let client = reqwest::Client::new();
    let request = client.post(&url).header("content-type", "application/json").body(body);
    let request = request.header("traceparent", traceparent).header("tracestate", "a=b");
    assert_eq!(request.send().await.unwrap().status(), 201);
    let event = get(&format!("{url}/1")).await;
    assert_eq!(event["metadata"]["tracestate"], "a=b", "{event}");
    event["metadata"]["traceparent"].as_str().unwrap().to_owned()
}

async fn get(url: &str) -> Value {
    serde_json::from_str(&reqwest::get(url).await.unwrap().text().await.unwrap()).unwrap()
}

/// The trace and the span that a context names.
fn ids(traceparent: &str) -> (String, String) {
    let parts: Vec<&str> = traceparent.split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn ids_of(span: &Span) -> (String, String) {
    (hex(&span.trace_id), hex(&span.span_id))
}

fn links(span: &Span) -> Vec<(String, String)> {
    span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect()
}

/// It ends well, without a word.
async fn ends(serve: Running) {
    serve.terminate();
    let ran = wait(serve).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

/// It ends at all.
async fn wait(serve: Running) -> Ran {
    let waiting = tokio::task::spawn_blocking(|| serve.wait());
    tokio::time::timeout(super::PATIENCE, waiting).await.expect("it does not end").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_followed_from_its_caller_into_read_models() {
    let (place, collector) = (Place::new(), Collector::start());
    let soon = [("OTEL_BSP_SCHEDULE_DELAY", "50"), ("OTEL_METRIC_EXPORT_INTERVAL", "50")];
    let (serve, ready) = serve(&place, &collector.endpoint(), &soon);
    let stored = append(&ready, "s-1", &format!("00-{TRACE}-{CALLER}-01")).await;
    let (trace, span) = ids(&stored);
    assert!(trace == TRACE && span != CALLER && stored.ends_with("-01"), "{stored}");
    let is_linked = |span: &Span| span.name == "feed.run" && links(span).contains(&ids(&stored));
    until("the run of the read models", async || {
        let spans = collector.spans();
        let is_served = spans.iter().any(|(_, span)| ids_of(span) == ids(&stored));
        is_served && spans.iter().any(|(_, span)| is_linked(span))
    })
    .await;
    let (whose, served) =
        collector.spans().into_iter().find(|(_, span)| ids_of(span) == ids(&stored)).unwrap();
    check_server_span(&served);
    check_resource(&whose);
    let total = "cosmos_es_projection_events_total";
    until("the figures of the read models", async || {
        collector.metrics().1.get(total).is_some_and(|values| values.values().any(|n| *n >= 1.0))
    })
    .await;
    let (whose, metrics) = collector.metrics();
    check_resource(&whose);
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let append = Attributes::from([label("operation", "append"), label("outcome", "done")]);
    assert_eq!(metrics["cosmos_es_store_operations_total"][&append].to_string(), "1");
    let append = Attributes::from([label("operation", "append")]);
    assert_eq!(metrics["cosmos_es_store_operation_seconds_count"][&append].to_string(), "1");
    assert!(metrics["cosmos_es_store_operation_seconds_sum"][&append] > 0.0);
    assert!(metrics["cosmos_es_store_request_charge_total"][&append] > 1.0);
    assert!(metrics.contains_key("cosmos_es_feed_leases"), "{:?}", metrics.keys());
    ends(serve).await;
}

/// The span of an append: what the conventions say of it, and nothing of the stream.
fn check_server_span(span: &Span) {
    assert_eq!(span.name, "POST /streams/{id}/events");
    assert_eq!(span.kind, i32::from(SpanKind::Server as u8));
    assert_eq!(hex(&span.parent_span_id), CALLER);
    assert_eq!(span.trace_state, "a=b");
    let expected = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "201"),
        ("http.route", "/streams/{id}/events"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(attributes(&span.attributes), Attributes::from(expected));
    let stored: Vec<Attributes> =
        span.events.iter().map(|one| attributes(&one.attributes)).collect();
    let append = stored.iter().find(|one| one["operation"] == "append").unwrap();
    assert_eq!((append["outcome"].as_str(), append["round_trips"].as_str()), ("done", "2"));
    assert!(append["request_charge_ru"].parse::<f64>().unwrap() > 1.0);
}

fn check_resource(resource: &Attributes) {
    assert_eq!(resource["service.name"], "cosmos-es");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["service.instance.id"].len(), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_sent_at_the_end() {
    let (place, collector) = (Place::new(), Collector::start());
    let variables = [
        ("OTEL_SERVICE_NAME", "quotes"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=one,deployment.environment.name=test"),
    ];
    let later = [("OTEL_BSP_SCHEDULE_DELAY", "600000"), ("OTEL_METRIC_EXPORT_INTERVAL", "600000")];
    let (serve, ready) = serve(&place, &collector.endpoint(), &[variables, later].concat());
    let sampled = append(&ready, "s-1", &format!("00-{TRACE}-{CALLER}-01")).await;
    // A caller that does not sample has its requests not exported, and its trace is stored all the same.
    let other = TRACE.replace("0af", "fff");
    let unsampled = append(&ready, "s-2", &format!("00-{other}-{CALLER}-00")).await;
    assert!(unsampled.starts_with(&format!("00-{other}-")) && unsampled.ends_with("-00"));
    get(&format!("{}/healthz", ready["http"].as_str().unwrap())).await;
    assert!(collector.bytes().is_empty(), "it is not sent before");
    ends(serve).await;
    let spans = collector.spans();
    let (whose, _) = spans.iter().find(|(_, span)| ids_of(span) == ids(&sampled)).unwrap();
    assert_eq!(
        (whose["service.name"].as_str(), whose["service.instance.id"].as_str()),
        ("quotes", "one")
    );
    assert_eq!(whose["deployment.environment.name"], "test");
    assert!(spans.iter().all(|(_, span)| hex(&span.trace_id) != other));
    assert!(
        spans.iter().all(|(_, span)| !span.name.contains("healthz")),
        "probes are not exported"
    );
    let names: Vec<&str> = spans.iter().map(|(_, span)| span.name.as_str()).collect();
    let is_own = |name: &&str| ["feed.run"].contains(name) || name.contains("/streams/{id}");
    assert!(names.iter().all(is_own), "{names:?}");
    let requests = &collector.metrics().1["cosmos_es_http_requests_total"];
    let appends = requests.iter().find(|(labels, _)| labels["method"] == "POST").unwrap();
    assert_eq!((appends.0["status"].as_str(), appends.1.to_string()), ("201", "2".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_nothing_but_traces() {
    let place = Place::new();
    let away = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let soon = [("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_METRIC_EXPORT_INTERVAL", "20")];
    let limit = [("OTEL_EXPORTER_OTLP_TIMEOUT", "200")];
    let (mut serve, ready) = serve(&place, &away, &[&soon[..], &limit].concat());
    let parent = format!("00-{TRACE}-{CALLER}-01");
    append(&ready, "s-1", &parent).await;
    let serve = tokio::task::spawn_blocking(move || {
        for _ in ["traces", "metrics"] {
            serve.wait_for("the collector does not take what is exported");
        }
        serve
    });
    let serve = serve.await.unwrap();
    append(&ready, "s-2", &parent).await;
    serve.terminate();
    let ran = wait(serve).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    // What was said once is not said with every export.
    assert!(!ran.err.contains("does not take"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_does_not_hold_up_the_end() {
    let place = Place::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let (serve, ready) = serve(&place, &endpoint, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")]);
    append(&ready, "s-1", &format!("00-{TRACE}-{CALLER}-01")).await;
    serve.terminate();
    let ran = wait(serve).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.err.contains("the last traces and metrics may not have been exported"),
        "{}",
        ran.err
    );
    let mut append = place.command(&["append", "s-2", "--type", "T", "--data", "{}"]);
    append.env("COSMOS_ES_OTLP_ENDPOINT", &endpoint).stdin(Stdio::null());
    let output = append.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_address_that_is_none_is_refused_by_the_name_of_the_setting() {
    let place = Place::new();
    for wrong in [
        "127.0.0.1:4318",
        "grpc://127.0.0.1:4317",
        "http://u:secret@127.0.0.1/",
        "http://a/?k=secret",
    ] {
        let ran = place.run(&["stats", "--otlp-endpoint", wrong]);
        ran.failed(2, "the setting otlp-endpoint takes");
        assert!(!ran.err.contains("secret"), "{ran:?}");
    }
}
