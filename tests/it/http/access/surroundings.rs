//! Where a service listens, for whom it answers, and which headers its answers have.

use cosmos_event_store::http::{
    BindError, Service, ServiceOptions,
    access::{Access, EntraOptions},
};
use reqwest::Method;
use tokio_util::sync::CancellationToken;

use super::{
    super::service::{Served, send},
    bearer, key, keyed, keys,
    tenant::TENANT,
    token::AUDIENCE,
    with_keys,
};
use crate::fixture::Fixture;

const EVERYWHERE: &str = "0.0.0.0:0";

#[test]
fn without_access_control_a_service_is_for_this_machine() {
    let everywhere = ServiceOptions::default().with_listen(EVERYWHERE.parse().unwrap());
    let error = everywhere.check_listen().unwrap_err();
    assert!(matches!(error, BindError::NotLoopback { .. }), "{error}");
    assert!(error.to_string().contains("set `access` to keys, entra or keys,entra"), "{error}");
    let hosts = ServiceOptions::default().with_hosts(vec!["events.example.com".to_owned()]);
    let error = hosts.check_listen().unwrap_err();
    assert!(matches!(error, BindError::HostsWithoutAccess), "{error}");
    let entra = EntraOptions::new(TENANT, [AUDIENCE]).unwrap();
    for access in [Access::none().with_keys(keys()), Access::none().with_entra(entra).unwrap()] {
        let shown = format!("{access:?}");
        assert!(!shown.contains(&key("reader")), "{shown}");
        everywhere.clone().with_access(access.clone()).check_listen().unwrap();
        hosts.clone().with_access(access).check_listen().unwrap();
    }
    for host in ["", "https://events.example.com", "events.example.com:80", "*.example.com", "a/b"]
    {
        let options = with_keys(ServiceOptions::default()).with_hosts(vec![host.to_owned()]);
        let error = options.check_listen().unwrap_err();
        assert!(matches!(error, BindError::Host { .. }), "{host}: {error}");
    }
}

#[tokio::test]
async fn with_access_control_it_listens_where_it_is_told() {
    let fixture = Fixture::new().await;
    let options = with_keys(ServiceOptions::default()).with_listen(EVERYWHERE.parse().unwrap());
    let service = Service::bind(fixture.store.clone(), options).await.unwrap();
    assert!(service.address().ip().is_unspecified());
}

#[tokio::test]
async fn it_answers_for_every_host_or_for_those_that_it_is_given() {
    let right = key("reader");
    let ask = async |served: &Served, path: &str, host: &str| {
        served.get_with(path, &[("api-key", &right), ("host", host)]).await
    };
    let served = keyed().await;
    ask(&served, "/streams", "anything.example.com").await.ok(200);
    let some = |service: ServiceOptions| {
        with_keys(service).with_hosts(vec!["Events.Example.com".to_owned(), "[fd00::1]".to_owned()])
    };
    let served = Served::with(|store| store, some).await;
    for host in [
        "events.example.com",
        "EVENTS.example.com:8443",
        "[fd00::1]:80",
        "localhost",
        "127.0.0.1:1",
    ] {
        ask(&served, "/streams", host).await.ok(200);
    }
    for host in ["example.com", "events.example.com.evil.example", "10.0.0.4"] {
        ask(&served, "/streams", host).await.problem(421, "misdirected-request");
        // Who it is for comes before who asks.
        served.get_with("/streams", &[("host", host)]).await.problem(421, "misdirected-request");
        // Platforms ask for the address of a container.
        ask(&served, "/healthz", host).await.ok(200);
        ask(&served, "/readyz", host).await.ok(200);
    }
}

#[tokio::test]
async fn pages_of_other_sites_need_a_key_as_everybody() {
    let served = keyed().await;
    let write = || {
        let request =
            served.request(Method::POST, "/quotes").header("content-type", "application/json");
        request.header("origin", "https://example.com").body("{\"quoteId\":\"q-1\"}")
    };
    send(write()).await.problem(401, "unauthenticated");
    assert!(served.fixture.events("q-1").await.is_empty());
    send(write().header("api-key", key("writer"))).await.ok(201);
}

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do() {
    let https = ("x-forwarded-proto", "https");
    for served in [keyed().await, Served::new().await] {
        for path in ["/healthz", "/streams", "/nothing", "/openapi.json", "/problems/conflict"] {
            let answer = served.get_with(path, &[https]).await;
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("referrer-policy", "no-referrer"),
            ] {
                assert_eq!(answer.header(name), value, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn answers_to_callers_are_not_kept_and_come_by_tls_only() {
    let served = keyed().await;
    let right = key("all");
    bearer(&served, Method::POST, "/streams/s-1/events", &right).await.ok(201);
    for (path, kept) in [
        ("/streams", "no-store"),
        ("/streams/s-1", "no-store"),
        ("/streams/s-1/events/1", "private, max-age=31536000, immutable"),
        ("/feed", "no-store"),
        ("/metrics", "no-store"),
    ] {
        let answer = served.get_with(path, &[("api-key", &right)]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, kept), "{path}");
        assert_eq!(answer.header("strict-transport-security"), "");
        let forwarded = [("api-key", right.as_str()), ("x-forwarded-proto", "https")];
        let answer = served.get_with(path, &forwarded).await;
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{path}");
        let plain = [("api-key", right.as_str()), ("x-forwarded-proto", "http")];
        assert_eq!(served.get_with(path, &plain).await.header("strict-transport-security"), "");
    }
    let open = Served::new().await;
    let answer = open.get_with("/streams", &[("x-forwarded-proto", "https")]).await;
    assert_eq!(
        (answer.header("strict-transport-security"), answer.header("cache-control")),
        ("", "")
    );
}

#[tokio::test]
async fn a_program_that_is_only_watched_asks_as_well() {
    let fixture = Fixture::new().await;
    let options = with_keys(ServiceOptions::default()).with_figures(Vec::new);
    let options = options.with_listen(EVERYWHERE.parse().unwrap());
    let service = Service::bind(fixture.store.clone(), options).await.unwrap();
    let base = format!("http://127.0.0.1:{}", service.address().port());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(service.serve_watched(stop.clone()));
    let client = reqwest::Client::new();
    let get = |path: &str, name: &str| {
        let request = client.get(format!("{base}{path}"));
        send(if name.is_empty() { request } else { request.header("api-key", key(name)) })
    };
    get("/healthz", "").await.ok(200);
    get("/metrics", "").await.problem(401, "unauthenticated");
    assert_eq!(get("/metrics", "reader").await.problem(403, "forbidden")["scope"], "admin");
    assert!(get("/metrics", "admin").await.text.contains("cosmos_es_store_operations_total"));
    get("/streams", "").await.problem(401, "unauthenticated");
    get("/streams", "admin").await.problem(404, "route-not-found");
    stop.cancel();
    serving.await.unwrap().unwrap();
}
