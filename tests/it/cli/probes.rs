//! What platforms ask a process: whether it is alive, and whether it can do its work. Real processes.

use std::time::Duration;

use cosmos_local::{Fault, FaultAction, LocalCosmos};
use serde_json::Value;

use super::program::{Place, Running};

/// A host fences itself within 9 seconds; a test that waits much longer has failed.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two looks at what only can be asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

async fn status(url: &str) -> u16 {
    reqwest::get(url).await.unwrap().status().as_u16()
}

async fn until_status(url: &str, expected: u16) {
    let asking = async {
        while status(url).await != expected {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let asked = tokio::time::timeout(PATIENCE, asking).await;
    asked.unwrap_or_else(|_| panic!("{url} is never {expected}"));
}

fn start(place: &Place, endpoint: &str, args: &[&str], member: &str) -> (Running, String) {
    let more = ["--output", "json", "--endpoint", endpoint];
    let mut running = place.spawn_at_endpoint(&[args, &more].concat());
    let ready: Value = serde_json::from_str(&running.line()).unwrap();
    let url = ready[member].as_str().unwrap().trim_end_matches("/metrics").to_owned();
    (running, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_store_and_the_fence() {
    let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
    let place = Place::new();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let (serve, service) = start(&place, endpoint.endpoint(), &serve, "http");
    let worker = ["worker", "--metrics", "127.0.0.1:0"];
    let (worker, watched) = start(&place, endpoint.endpoint(), &worker, "metrics");
    let both = [service.as_str(), watched.as_str()];
    for url in both {
        until_status(&format!("{url}/readyz"), 200).await;
    }

    // The hosts cannot renew, and lay their work down; the store still answers reads.
    let fails = || FaultAction::Status { status: 503, substatus: None, retry_after_ms: None };
    endpoint.control().inject(Fault::new(fails()).on_kind("batch")).unwrap();
    for url in both {
        until_status(&format!("{url}/readyz"), 503).await;
        let told = reqwest::get(format!("{url}/readyz")).await.unwrap().text().await.unwrap();
        assert!(told.contains("laid its work down"), "{told}");
        assert_eq!(status(&format!("{url}/healthz")).await, 200, "a restart would not help");
    }
    endpoint.control().clear_faults();
    for url in both {
        until_status(&format!("{url}/readyz"), 200).await;
    }

    // The store does not answer.
    endpoint.control().inject(Fault::new(fails())).unwrap();
    for url in both {
        until_status(&format!("{url}/readyz"), 503).await;
        assert_eq!(status(&format!("{url}/healthz")).await, 200);
    }
    endpoint.control().clear_faults();
    for running in [serve, worker] {
        running.terminate();
        assert_eq!(tokio::task::spawn_blocking(|| running.wait()).await.unwrap().code, 0);
    }
    endpoint.shutdown().await.unwrap();
}
