//! A collector that takes OTLP over HTTP on loopback, and keeps what it was sent.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{NumberDataPoint, metric::Data, number_data_point},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message as _;

/// Attributes by name, as text.
pub(super) type Attributes = BTreeMap<String, String>;

/// A request: its path and its body.
type Received = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

pub(super) struct Collector {
    address: SocketAddr,
    received: Received,
    is_over: Arc<AtomicBool>,
}

impl Collector {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (received, is_over) = (Received::default(), Arc::new(AtomicBool::new(false)));
        let (keep, is_ending) = (Arc::clone(&received), Arc::clone(&is_over));
        thread::spawn(move || {
            for connection in listener.incoming() {
                if is_ending.load(Ordering::Relaxed) {
                    return;
                }
                let keep = Arc::clone(&keep);
                thread::spawn(move || take(connection.unwrap(), &keep));
            }
        });
        Self { address, received, is_over }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything as it came.
    pub(super) fn bytes(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    fn requests(&self, path: &str) -> Vec<Vec<u8>> {
        let received = self.received.lock().unwrap();
        assert!(
            received.iter().all(|(path, _)| ["/v1/traces", "/v1/metrics"].contains(&path.as_str()))
        );
        received.iter().filter(|(other, _)| other == path).map(|(_, body)| body.clone()).collect()
    }

    /// The spans, and whose they are.
    pub(super) fn spans(&self) -> Vec<(Attributes, Span)> {
        let mut found = Vec::new();
        for body in self.requests("/v1/traces") {
            let request = ExportTraceServiceRequest::decode(&*body).unwrap();
            for of in request.resource_spans {
                let resource = resource(of.resource);
                let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
                found.extend(spans.map(|span| (resource.clone(), span)));
            }
        }
        found
    }

    /// The last values of each metric, by attributes, and whose they are.
    pub(super) fn metrics(&self) -> (Attributes, BTreeMap<String, BTreeMap<Attributes, f64>>) {
        let (mut whose, mut found) = (Attributes::new(), BTreeMap::new());
        for body in self.requests("/v1/metrics") {
            let request = ExportMetricsServiceRequest::decode(&*body).unwrap();
            for of in request.resource_metrics {
                whose = resource(of.resource);
                for metric in of.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                    let points = match metric.data.unwrap() {
                        Data::Sum(sum) => {
                            assert!(sum.is_monotonic, "{}", metric.name);
                            sum.data_points
                        }
                        Data::Gauge(gauge) => gauge.data_points,
                        other => panic!("{other:?}"),
                    };
                    let points =
                        points.iter().map(|point| (attributes(&point.attributes), value(point)));
                    found.insert(metric.name, points.collect());
                }
            }
        }
        (whose, found)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // What waits for a connection sees it.
        let _woken = TcpStream::connect(self.address).is_ok();
    }
}

/// Answers the requests of a connection until it is closed.
fn take(connection: TcpStream, keep: &Received) {
    let mut reader = BufReader::new(connection);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        // A process that ends may leave its connections as they are.
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let path = first.split(' ').nth(1).unwrap().to_owned();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "content-type" => assert_eq!(value.trim(), "application/x-protobuf"),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        keep.lock().unwrap().push((path, body));
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn resource(resource: Option<Resource>) -> Attributes {
    attributes(&resource.unwrap().attributes)
}

/// Attributes as text, whatever they are.
pub(super) fn attributes(attributes: &[KeyValue]) -> Attributes {
    let text = |value: &Option<AnyValue>| match value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(is) => is.to_string(),
        Value::IntValue(n) => n.to_string(),
        Value::DoubleValue(n) => n.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.clone(), text(&one.value))).collect()
}

fn value(point: &NumberDataPoint) -> f64 {
    match point.value.unwrap() {
        number_data_point::Value::AsDouble(value) => value,
        number_data_point::Value::AsInt(value) => panic!("all are exported as fractions: {value}"),
    }
}
