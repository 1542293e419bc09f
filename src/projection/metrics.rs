//! What a host of read models counts. The names of the figures are a promise: `docs/projections.md` has them.

use super::{Applied, Hosting, processor_name};
use crate::telemetry::figures::{Figure, Named, Sample, merged};

/// The figures of read models, in the order in which they are told. Those of their processors are in
/// [`feed::metrics`](crate::feed::metrics).
pub const NAMES: [Named; 6] = [EVENTS, REPEATS, READS, COMMITS, WRITES, CONFLICTS];
const EVENTS: Named =
    Named::counter("cosmos_es_projection_events_total", "events that were folded into documents");
const REPEATS: Named = Named::counter(
    "cosmos_es_projection_repeats_total",
    "events that came again and were passed over",
);
const READS: Named = Named::counter("cosmos_es_projection_reads_total", "documents that were read");
const COMMITS: Named =
    Named::counter("cosmos_es_projection_commits_total", "transactions that were carried out");
const WRITES: Named =
    Named::counter("cosmos_es_projection_writes_total", "documents that were written");
const CONFLICTS: Named = Named::counter(
    "cosmos_es_projection_conflicts_total",
    "transactions that were refused because others had changed the documents",
);

/// What a host has measured: the figures of its processors, and what was done with the documents, with the
/// labels `projection` and `version`.
pub fn figures(hostings: &[Hosting]) -> Vec<Figure> {
    let of_feed = hostings.iter().flat_map(|one| {
        let name = processor_name(&one.name, one.version);
        crate::feed::metrics::figures(&name, &one.status, &one.metrics)
    });
    let mut figures = merged(of_feed);
    figures.extend(NAMES.map(|named| {
        let sample = |hosting: &Hosting| {
            let version = hosting.version.to_string();
            let labels = [("projection", hosting.name.as_str()), ("version", &version)];
            Sample::count(&labels, value(named, &hosting.applied))
        };
        named.with(hostings.iter().map(sample).collect())
    }));
    figures
}

fn value(named: Named, applied: &Applied) -> u64 {
    match named {
        EVENTS => applied.events,
        REPEATS => applied.repeats,
        READS => applied.reads,
        COMMITS => applied.commits,
        WRITES => applied.writes,
        CONFLICTS => applied.conflicts,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        feed::{Metrics, Status},
        telemetry::figures::text,
    };

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
        let text = text(&figures(&[hosting(1), hosting(2)]));
        for (name, value) in NAMES.iter().map(|named| named.name).zip([5, 6, 1, 2, 3, 4]) {
            let line = format!("{name}{{projection=\"a\",version=\"2\"}} {value}");
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
            assert_eq!(text.matches(&format!("# TYPE {name} ")).count(), 1);
        }
        assert_eq!(text.matches("# TYPE cosmos_es_feed_leases ").count(), 1);
        assert!(text.contains("cosmos_es_feed_leases{processor=\"a@2\"} 0"));
    }
}
