//! The lag in the log, once a minute: what alerts are made of where nobody collects figures.
//!
//! The names of the fields are a promise: `docs/telemetry.md` has them, and the alerts of the deployment read
//! them.

use std::time::Duration;

use crate::feed::lag::{LagReader, ProcessorLag, RangeState};

/// The target of these lines.
pub(in crate::cli) const TARGET: &str = "cosmos_event_store::lag";
/// How often the lag is told: alerts look once in some minutes.
const INTERVAL: Duration = Duration::from_mins(1);

/// Does something, and tells the lag of all processors once a minute as long as it is done.
pub(in crate::cli) async fn telling<T>(reader: &LagReader, work: impl Future<Output = T>) -> T {
    let telling = async {
        loop {
            tokio::time::sleep(INTERVAL).await;
            match Box::pin(reader.processors()).await {
                Ok(found) => found.iter().for_each(tell),
                Err(error) => tracing::warn!(target: TARGET, %error, "the feed lag is not known"),
            }
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = telling => never,
    }
}

/// Tells the lag of one processor.
pub(in crate::cli) fn tell(lag: &ProcessorLag) {
    tracing::info!(
        target: TARGET,
        processor = lag.processor,
        lag_seconds = lag.seconds(),
        lag_transactions = lag.transactions(),
        leases = lag.ranges.len(),
        stalled = lag.count(RangeState::Stalled),
        unowned = lag.count(RangeState::Unowned),
        parked = lag.parked,
        hosts = lag.hosts.len(),
        "feed lag"
    );
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use serde_json::{Value, json};

    use super::*;
    use crate::feed::lag::RangeLag;

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_of_the_log_has_what_alerts_read() {
        let range = |seconds, state| RangeLag::new("-FF", seconds, state);
        let lag = ProcessorLag::new(
            "mails",
            vec![
                range(Some((7, 4)), RangeState::Working),
                range(Some((9, 1)), RangeState::Stalled),
            ],
            2,
        );
        let written = Written::default();
        let sink = written.clone();
        let log = tracing_subscriber::fmt().json().flatten_event(true);
        let log = log.with_writer(move || sink.clone()).finish();
        let unknown = ProcessorLag::new("other", vec![range(None, RangeState::Unowned)], 0);
        tracing::subscriber::with_default(log, || [lag, unknown].iter().for_each(tell));
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> =
            written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut first = lines[0].as_object().unwrap().clone();
        assert!(first.remove("timestamp").is_some());
        let expected = json!({
            "level": "INFO", "target": "cosmos_event_store::lag", "message": "feed lag",
            "processor": "mails", "lag_seconds": 9, "lag_transactions": 5, "leases": 2,
            "stalled": 1, "unowned": 0, "parked": 2, "hosts": 0,
        });
        assert_eq!(Value::Object(first.clone()), expected);
        // What is not known is absent, so that no alert takes it for nothing.
        assert_eq!(lines[1].get("lag_seconds"), None);
        // The document has the same fields.
        let document = include_str!("../../../docs/telemetry.md");
        let (_, table) = document.split_once("message `feed lag`").unwrap();
        let (table, _) = table.split_once("\nEvery call").unwrap();
        let field = |line: &'static str| line.strip_prefix("| `")?.split_once('`');
        let mut described: Vec<&str> =
            table.lines().filter_map(field).map(|(name, _)| name).collect();
        described.sort_unstable();
        let around = ["level", "target", "message"];
        let mut fields: Vec<&str> =
            first.keys().map(String::as_str).filter(|name| !around.contains(name)).collect();
        fields.sort_unstable();
        assert_eq!(described, fields);
    }
}
