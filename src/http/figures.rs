//! What the service counts of its own requests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{Method, StatusCode};

use crate::telemetry::figures::{Figure, Named, Sample, Times};

/// The upper bounds of the times that are counted, in seconds. A reader of the feed waits up to half a minute.
pub const REQUEST_SECONDS: [f64; 9] = [0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0, 10.0, 35.0];

/// The figures of the service, in the order in which they are told.
pub const NAMES: [Named; 2] = [REQUESTS, TIME];
const REQUESTS: Named = Named::counter(
    "cosmos_es_http_requests_total",
    "requests that were answered, by `method`, `route` and `status`",
);
const TIME: Named = Named::histogram(
    "cosmos_es_http_request_seconds",
    "how long answers took until their first byte, by `route`",
);

/// What stands in place of a route or method that the service does not know.
const OTHER: &str = "other";
/// The methods that are told apart. Clients may send any word.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];

/// Counts requests.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    answers: BTreeMap<(String, &'static str, u16), u64>,
    times: BTreeMap<String, Times>,
}

impl Requests {
    /// Counts an answer. The route is a template, of which there are few; empty where there is none.
    pub(super) fn add(&self, method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
        let route = if route.is_empty() { OTHER } else { route };
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.answers.entry((
            route.to_owned(),
            known(method).unwrap_or(OTHER),
            status.as_u16(),
        ));
        let count = count.or_default();
        *count = count.saturating_add(1);
        let times = counted.times.entry(route.to_owned());
        times.or_insert_with(|| Times::new(&REQUEST_SECONDS)).add(elapsed);
    }

    pub(super) fn figures(&self) -> [Figure; 2] {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = |((route, method, status), count): (&(String, &'static str, u16), &u64)| {
            let status = status.to_string();
            let labels = [("method", *method), ("route", route.as_str()), ("status", &status)];
            Sample::count(&labels, *count)
        };
        let time = |(route, times): (&String, &Times)| {
            Sample::times(&[("route", route.as_str())], times.clone())
        };
        [
            REQUESTS.with(counted.answers.iter().map(answer).collect()),
            TIME.with(counted.times.iter().map(time).collect()),
        ]
    }
}

/// The name of a method, where it is one of those that are told apart.
pub(super) fn known(method: &Method) -> Option<&'static str> {
    METHODS.into_iter().find(|known| *known == method.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::figures::text;

    #[test]
    fn labels_are_few_whatever_clients_send() {
        let requests = Requests::default();
        let ms = Duration::from_millis;
        requests.add(&Method::GET, "/streams/{id}", StatusCode::OK, ms(3));
        requests.add(&Method::GET, "/streams/{id}", StatusCode::OK, ms(30));
        let odd = Method::from_bytes(b"ODD").unwrap();
        requests.add(&odd, "", StatusCode::NOT_FOUND, ms(1));
        let text = text(&requests.figures());
        for expected in [
            "cosmos_es_http_requests_total{method=\"GET\",route=\"/streams/{id}\",status=\"200\"} 2",
            "cosmos_es_http_requests_total{method=\"other\",route=\"other\",status=\"404\"} 1",
            "cosmos_es_http_request_seconds_bucket{route=\"/streams/{id}\",le=\"0.005\"} 1",
            "cosmos_es_http_request_seconds_count{route=\"/streams/{id}\"} 2",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} in\n{text}");
        }
    }
}
