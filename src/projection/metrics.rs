//! What a host of read models tells Prometheus. The names are a promise: `docs/projections.md` has them.

use super::{Applied, Hosting, processor_name};
use crate::{event::write_infallibly, feed::metrics::render_all};

/// Every metric of read models: name, kind and meaning. Those of their processors are in
/// [`feed::metrics`](crate::feed::metrics).
pub const NAMES: &[(&str, &str, &str)] = &[
    ("cosmos_es_projection_events_total", "counter", "events that were folded into documents"),
    (
        "cosmos_es_projection_repeats_total",
        "counter",
        "events that came again and were passed over",
    ),
    ("cosmos_es_projection_reads_total", "counter", "documents that were read"),
    ("cosmos_es_projection_commits_total", "counter", "transactions that were carried out"),
    ("cosmos_es_projection_writes_total", "counter", "documents that were written"),
    (
        "cosmos_es_projection_conflicts_total",
        "counter",
        "transactions that were refused because others had changed the documents",
    ),
];

/// What a host has measured, in the text format of Prometheus, version 0.0.4: that of its processors, and
/// what was done with the documents, with the labels `projection` and `version`.
pub fn render(hostings: &[Hosting]) -> String {
    let names: Vec<String> =
        hostings.iter().map(|one| processor_name(&one.name, one.version)).collect();
    let hosts: Vec<_> = names
        .iter()
        .zip(hostings)
        .map(|(name, one)| (name.as_str(), &one.status, &one.metrics))
        .collect();
    let mut text = render_all(&hosts);
    for (name, kind, help) in NAMES {
        write_infallibly(&mut text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for Hosting { name: projection, version, applied, .. } in hostings {
            let value = value(name, applied);
            let labels = format!("projection=\"{projection}\",version=\"{version}\"");
            write_infallibly(&mut text, format_args!("{name}{{{labels}}} {value}\n"));
        }
    }
    text
}

fn value(name: &str, applied: &Applied) -> u64 {
    match name {
        "cosmos_es_projection_events_total" => applied.events,
        "cosmos_es_projection_repeats_total" => applied.repeats,
        "cosmos_es_projection_reads_total" => applied.reads,
        "cosmos_es_projection_commits_total" => applied.commits,
        "cosmos_es_projection_writes_total" => applied.writes,
        "cosmos_es_projection_conflicts_total" => applied.conflicts,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Metrics, Status};

    #[test]
    fn every_name_has_a_sample_for_each_version() {
        let applied =
            Applied { reads: 1, commits: 2, writes: 3, conflicts: 4, events: 5, repeats: 6 };
        let hosting = |version| Hosting {
            name: "a".to_owned(),
            version,
            status: Status::default(),
            metrics: Metrics::default(),
            applied,
        };
        let text = render(&[hosting(1), hosting(2)]);
        for (name, value) in NAMES.iter().map(|(name, ..)| *name).zip([5, 6, 1, 2, 3, 4]) {
            let line = format!("{name}{{projection=\"a\",version=\"2\"}} {value}");
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
            assert_eq!(text.matches(&format!("# TYPE {name} ")).count(), 1);
        }
        assert_eq!(text.matches("# TYPE cosmos_es_feed_leases ").count(), 1);
        assert!(text.contains("cosmos_es_feed_leases{processor=\"a@2\"} 0"));
    }
}
