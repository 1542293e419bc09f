//! What `serve` and `worker` tell Prometheus: real processes.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::program::{Place, Running, SAMPLE};

/// The events of the sample.
const EVENTS: usize = 330;
/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at what only can be asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The samples of a metric, by its labels.
type Samples = BTreeMap<BTreeMap<String, String>, String>;

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// Reads labels behind their brace, and gives what follows the other brace.
fn labels(mut text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, rest) = text.split_once("=\"").unwrap();
        assert!(is_name(name), "{text}");
        let end = rest.find('"').unwrap();
        assert!(!rest[..end].contains('\\'), "none is escaped here: {text}");
        assert_eq!(labels.insert(name.to_owned(), rest[..end].to_owned()), None, "{text}");
        text = &rest[end + 1..];
        match text.split_at(1) {
            (",", rest) => text = rest,
            ("}", rest) => return (labels, rest),
            _ => panic!("{text}"),
        }
    }
}

/// Reads the text format as strictly as Prometheus does.
fn parse(text: &str) -> BTreeMap<String, Samples> {
    assert!(text.ends_with('\n'), "{text}");
    let (mut found, mut kinds) = (BTreeMap::<String, Samples>::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# TYPE ") {
            let (name, kind) = comment.split_once(' ').unwrap();
            assert!(is_name(name) && ["gauge", "counter", "histogram"].contains(&kind), "{line}");
            assert_eq!(kinds.insert(name, kind), None, "{line}");
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once('{').unwrap();
        let (labels, value) = labels(rest);
        let value = value.strip_prefix(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let of_histogram = ["_bucket", "_sum", "_count"].map(|end| name.strip_suffix(end));
        let of_histogram = of_histogram.into_iter().flatten().any(|name| kinds.contains_key(name));
        assert!(is_name(name) && (kinds.contains_key(name) || of_histogram), "{line}");
        let samples = found.entry(name.to_owned()).or_default();
        assert_eq!(samples.insert(labels, value.to_owned()), None, "twice: {line}");
    }
    found
}

/// The figures of a process.
struct Scraped(BTreeMap<String, Samples>);

impl Scraped {
    /// The samples of a metric that has whole numbers.
    fn of(&self, name: &str) -> Vec<usize> {
        let samples = self.0.get(&format!("cosmos_es_feed_{name}"));
        samples.into_iter().flat_map(BTreeMap::values).map(|value| value.parse().unwrap()).collect()
    }

    /// Whether all events of the sample are handled, by whoever has so many leases.
    fn is_done(&self, leases: usize) -> bool {
        let nothing = vec![0; leases];
        let is_nothing = |name: &str| self.of(name) == nothing;
        self.of("handled_total") == [EVENTS]
            && ["lag_seconds", "lag_transactions", "stalled"].into_iter().all(is_nothing)
    }

    /// The figures of whoever has handled the sample alone.
    #[track_caller]
    fn check(&self, leases: usize) {
        let sum = |name: &str| self.of(name).iter().sum::<usize>();
        assert_eq!((sum("items_total"), sum("handled_total")), (EVENTS, EVENTS));
        assert_eq!(sum("leases"), leases);
        assert_eq!((sum("parked_streams"), sum("handler_failures_total")), (0, 0));
        assert!((1..=EVENTS).contains(&sum("handler_seconds_count")));
        assert!(sum("pages_total") >= leases && sum("checkpoints_total") > 0);
        let moves = &self.0["cosmos_es_feed_lease_moves_total"];
        let acquired = moves.iter().find(|(labels, _)| labels["kind"] == "acquired").unwrap();
        assert!(acquired.1.parse::<usize>().unwrap() >= leases, "{moves:?}");
        let charges = self.0["cosmos_es_feed_request_charge_total"].values();
        assert!(charges.map(|charge| charge.parse::<f64>().unwrap()).sum::<f64>() > 0.0);
        let of_feed = self.0.iter().filter(|(name, _)| name.starts_with("cosmos_es_feed_"));
        let labels = of_feed.flat_map(|(_, samples)| samples.keys());
        assert!(labels.clone().all(|labels| labels["processor"] == "default"));
        let of_leases = labels.filter(|labels| labels.contains_key("range"));
        assert_eq!(of_leases.count(), 4 * leases);
    }
}

async fn get(url: &str) -> (u16, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Asks until something holds.
async fn scrape_until(url: &str, is_so: impl Fn(&Scraped) -> bool) -> Scraped {
    let mut last = String::new();
    let scraping = async {
        loop {
            let (status, text) = get(url).await;
            assert_eq!(status, 200);
            let scraped = Scraped(parse(&text));
            if is_so(&scraped) {
                return scraped;
            }
            last = text;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let scraped = tokio::time::timeout(PATIENCE, scraping).await;
    scraped.unwrap_or_else(|_| panic!("it never is so:\n{last}"))
}

/// A store of four partitions, for others to join.
fn local(place: &Place) -> Running {
    let mut local = place.spawn(&["local", "--port", "0", "--partitions", "4", "--output", "json"]);
    local.line();
    local
}

/// Starts a process, and gives what it says first.
fn start(place: &Place, args: &[&str]) -> (Running, Value) {
    let mut running = place.spawn(&[args, &["--output", "json"]].concat());
    let ready = serde_json::from_str(&running.line()).unwrap();
    (running, ready)
}

#[tokio::test]
async fn the_service_has_the_figures_of_its_worker() {
    let place = Place::new();
    let _local = local(&place);
    let (serve, ready) =
        start(&place, &["serve", "--listen", "127.0.0.1:0", "--worker-to", "count"]);
    let url = format!("{}/metrics", ready["http"].as_str().unwrap());
    place.run(&["import", SAMPLE]).ok();
    scrape_until(&url, |scraped| scraped.is_done(4)).await.check(4);
    let answer = reqwest::get(&url).await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    serve.interrupt();
    assert_eq!(serve.wait().code, 0);
}

#[tokio::test]
async fn a_worker_is_watched_where_it_is_told_so() {
    let place = Place::new();
    let _local = local(&place);
    let (worker, ready) = start(&place, &["worker", "--to", "count", "--metrics", "127.0.0.1:0"]);
    let url = ready["metrics"].as_str().unwrap();
    place.run(&["import", SAMPLE]).ok();
    scrape_until(url, |scraped| scraped.is_done(4)).await.check(4);
    let beside = |path: &str| url.replace("/metrics", path);
    let alive = (200, json!({"status": "alive"}).to_string());
    assert_eq!(get(&beside("/healthz")).await, alive);
    assert_eq!(get(&beside("/readyz")).await.0, 200);
    // What is handled is durable a moment later.
    let is_durable = async {
        loop {
            let lag: Value = serde_json::from_str(&get(&beside("/lag/default")).await.1).unwrap();
            assert_eq!(lag["leases"], 4, "{lag}");
            if lag["lagTransactions"] == 0 {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_durable).await.expect("the lag goes away");
    for path in ["/streams", "/quotes/a", "/openapi.json", "/"] {
        assert_eq!(get(&beside(path)).await.0, 404, "{path}");
    }
    worker.interrupt();
    let ran = worker.wait();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.json()["events"], EVENTS);
}

#[tokio::test]
async fn without_a_worker_there_are_figures_of_the_store() {
    let place = Place::new();
    let args = ["serve", "--listen", "127.0.0.1:0", "--store-port", "0", "--worker-to", "none"];
    let (_serve, ready) = start(&place, &args);
    let text = get(&format!("{}/metrics", ready["http"].as_str().unwrap())).await;
    assert!(
        text.0 == 200 && text.1.contains("# TYPE cosmos_es_store_round_trips_total"),
        "{text:?}"
    );
    assert!(!text.1.contains("cosmos_es_feed_"), "{text:?}");
    let (_worker, ready) = start(&place, &["worker"]);
    assert_eq!(ready.get("metrics"), None);
}

#[test]
fn figures_are_for_this_machine_only() {
    let place = Place::new();
    place.run(&["worker", "--metrics", "0.0.0.0:0"]).failed(2, "loopback only");
    let ran = place.run(&["worker", "--metrics", "9464"]);
    assert!(ran.code == 2 && ran.err.contains("--metrics <ADDRESS:PORT>"), "{ran:?}");
    assert!(!place.data_dir().exists());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.run(&["worker", "--metrics", &address]).failed(1, "cannot listen on");
}
