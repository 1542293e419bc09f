//! Runs a prepared query over candidates and fills a page.
//!
//! Four ways: streaming (one pass, goes on at a position of the source), sorted, distinct, and
//! combined (aggregates, GROUP BY). The last three scan again for every page.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::aggregate::Accumulator;
use super::continuation::{self, Continuation, DIGESTS_MAX, KEY_BYTES_MAX, Progress};
use super::expression::Row;
use super::page::{Filling, Offered};
use super::plan::Plan;
use super::resume_filter::ResumeFilter;
use super::sort::{SortedRow, Sorter};
use super::value::{ValueDigest, digest, json_size, write_canonical};
use super::{Candidate, Page, PageLimits, Prepared, QueryError, Resume, RunError};

/// The candidates of a scan.
type Source<'s, E> = &'s mut dyn Iterator<Item = Result<Candidate, E>>;

/// Fills the next page.
pub(super) fn run<E>(
    prepared: &Prepared,
    resume: &Resume,
    source: Source<'_, E>,
    limits: &PageLimits,
) -> Result<Page, RunError<E>> {
    let plan = &prepared.plan;
    let mut nothing =
        std::iter::once(Ok(Candidate { position: Vec::new(), ordinal: 0, document: Value::Null }));
    let source: Source<'_, E> = if plan.has_source { source } else { &mut nothing };
    let progress = resume.continuation.as_ref().map(|continuation| &continuation.progress);
    let returned = resume.continuation.as_ref().map_or(0, |continuation| continuation.returned);
    // Rows before the page are passed over by number, unless the token says how to tell them.
    let from_start = matches!(progress, None | Some(Progress::Counted));
    let filling = Filling::new(plan, limits, returned, from_start);
    let mut run =
        Run { plan, filter: prepared.resume_filter.as_ref(), filling, scanned: 0, matched: 0 };
    let is_in_order = limits.source_is_ordered && prepared.order_by_path.is_some();
    let is_streamed = plan.order_by.is_empty()
        || (is_in_order && !matches!(progress, Some(Progress::Sorted { .. })));
    let next = if plan.is_aggregate() {
        run.combined(source)?
    } else if plan.distinct && plan.order_by.is_empty() {
        run.distinct(source, progress)?
    } else if is_streamed && !plan.distinct && !matches!(progress, Some(Progress::Counted)) {
        run.streamed(source)?
    } else if matches!(progress, Some(Progress::Position(_))) {
        let message = "the continuation token needs an ordered source, which is gone";
        return Err(RunError::Query(QueryError::new(message)));
    } else {
        run.sorted(source, progress)?
    };
    let returned = run.filling.returned;
    let continuation = next.and_then(|progress| {
        continuation::encode(&prepared.digest, &Continuation { progress, returned })
    });
    Ok(Page { items: run.filling.items, continuation, scanned: run.scanned, matched: run.matched })
}

struct Run<'p> {
    plan: &'p Plan,
    filter: Option<&'p ResumeFilter>,
    filling: Filling,
    scanned: u64,
    matched: u64,
}

impl Run<'_> {
    /// The next candidate that yields a row, or `None` at the end of the source.
    fn next<E>(&mut self, source: Source<'_, E>) -> Result<Option<Candidate>, RunError<E>> {
        for candidate in source {
            let candidate = candidate.map_err(RunError::Source)?;
            self.scanned += 1;
            if self.plan.matches(&candidate.document) {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// One pass in the order of the source.
    fn streamed<E>(&mut self, source: Source<'_, E>) -> Result<Option<Progress>, RunError<E>> {
        let mut last = Vec::new();
        while !self.filling.is_complete() {
            let Some(candidate) = self.next(source)? else { return Ok(None) };
            if let Some(filter) = self.filter {
                let keys = self.plan.order_values(&candidate.document);
                if !filter.admits(&keys, candidate.ordinal, &self.plan.order_by) {
                    continue;
                }
            }
            let Some(value) = self.plan.project(candidate.document) else { continue };
            match self.filling.offer(value) {
                Offered::NextPage => return Ok(Some(Progress::Position(last))),
                Offered::Taken => last = candidate.position,
                Offered::Skipped => {}
            }
            self.matched += 1;
        }
        Ok(None)
    }

    /// Collects what can be on the page, in ORDER BY order.
    fn sorted<E>(
        &mut self,
        source: Source<'_, E>,
        progress: Option<&Progress>,
    ) -> Result<Option<Progress>, RunError<E>> {
        if self.filling.is_complete() {
            return Ok(None);
        }
        let plan = self.plan;
        let distinct = plan.distinct;
        // DISTINCT has to see the rows of earlier pages again to know their values.
        let wanted = if distinct { usize::MAX } else { self.filling.rows_wanted() };
        let mut sorter = Sorter::new(&plan.order_by, wanted);
        let (boundary, mut seen) = match progress {
            Some(Progress::Sorted { keys, ordinal, digest }) => {
                (Some((keys.as_slice(), *ordinal)), digest.iter().copied().collect())
            }
            _ => (None, HashSet::new()),
        };
        let is_before = |sorter: &Sorter<'_>, keys: &[Option<Value>], ordinal| {
            boundary.is_some_and(|boundary| sorter.compare((keys, ordinal), boundary).is_le())
        };
        while let Some(candidate) = self.next(source)? {
            let keys = plan.order_values(&candidate.document);
            let ordinal = candidate.ordinal;
            let is_admitted =
                self.filter.is_none_or(|filter| filter.admits(&keys, ordinal, &plan.order_by));
            if !is_admitted || (!distinct && is_before(&sorter, &keys, ordinal)) {
                continue;
            }
            self.matched += 1;
            if sorter.wants(&keys, ordinal)
                && let Some(value) = plan.project(candidate.document)
            {
                sorter.push(SortedRow { keys, ordinal, value });
            }
        }
        let rows = sorter.finish();
        let order = Sorter::new(&plan.order_by, 1);
        let mut last: Option<(Vec<Option<Value>>, u64, Option<ValueDigest>)> = None;
        for SortedRow { keys, ordinal, value } in rows {
            let digest = distinct.then(|| digest(&value));
            let is_known = digest.is_some_and(|digest| !seen.insert(digest));
            if is_known || is_before(&order, &keys, ordinal) {
                continue;
            }
            match self.filling.offer(value) {
                Offered::NextPage => return Ok(last.map(after_row)),
                Offered::Taken => last = Some((keys, ordinal, digest)),
                Offered::Skipped => {}
            }
            if self.filling.is_complete() {
                break;
            }
        }
        Ok(None)
    }

    /// Each value once, in the order of the source.
    fn distinct<E>(
        &mut self,
        source: Source<'_, E>,
        progress: Option<&Progress>,
    ) -> Result<Option<Progress>, RunError<E>> {
        let mut digests = match progress {
            Some(Progress::Distinct(digests)) => digests.clone(),
            _ => Vec::new(),
        };
        let mut seen: HashSet<ValueDigest> = digests.iter().copied().collect();
        while !self.filling.is_complete() {
            let Some(candidate) = self.next(source)? else { return Ok(None) };
            self.matched += 1;
            let Some(value) = self.plan.project(candidate.document) else { continue };
            let digest = digest(&value);
            if !seen.insert(digest) {
                continue;
            }
            if self.filling.offer(value) == Offered::NextPage {
                let known = digests.len() <= DIGESTS_MAX;
                return Ok(Some(if known {
                    Progress::Distinct(digests)
                } else {
                    Progress::Counted
                }));
            }
            // One more than fits is enough to know that they do not fit.
            if digests.len() <= DIGESTS_MAX {
                digests.push(digest);
            }
        }
        Ok(None)
    }

    /// Aggregates, over all rows or by group.
    fn combined<E>(&mut self, source: Source<'_, E>) -> Result<Option<Progress>, RunError<E>> {
        let plan = self.plan;
        let mut groups = Groups::new(plan);
        while let Some(candidate) = self.next(source)? {
            self.matched += 1;
            groups.add(plan, &Row::of(&candidate.document));
        }
        let mut seen = HashSet::new();
        for (keys, accumulators) in groups.in_order {
            let aggregates: Vec<Option<Value>> = accumulators
                .into_iter()
                .zip(&plan.aggregates)
                .map(|(accumulator, aggregate)| accumulator.result(aggregate.kind))
                .collect();
            let row = Row { document: &Value::Null, aggregates: &aggregates, group: &keys };
            let Some(value) = plan.project_row(&row) else { continue };
            if plan.distinct && !seen.insert(digest(&value)) {
                continue;
            }
            if self.filling.is_complete() {
                break;
            }
            if self.filling.offer(value) == Offered::NextPage {
                return Ok(Some(Progress::Counted));
            }
        }
        Ok(None)
    }
}

/// The rows' groups in the order of their first rows.
struct Groups {
    in_order: Vec<(Vec<Option<Value>>, Vec<Accumulator>)>,
    by_keys: HashMap<Vec<u8>, usize>,
}

impl Groups {
    fn new(plan: &Plan) -> Groups {
        let mut groups = Groups { in_order: Vec::new(), by_keys: HashMap::new() };
        if plan.group_by.is_none() {
            // Without GROUP BY there is one group, even when it has no rows.
            groups.by_keys.insert(Vec::new(), 0);
            groups.in_order.push((Vec::new(), vec![Accumulator::default(); plan.aggregates.len()]));
        }
        groups
    }

    fn add(&mut self, plan: &Plan, row: &Row<'_>) {
        let mut canonical = Vec::new();
        let keys: Vec<_> = plan.group_by.iter().flatten().map(|key| key.evaluate(row)).collect();
        for key in &keys {
            match key {
                Some(value) => write_canonical(value, &mut canonical),
                None => canonical.push(b'u'),
            }
        }
        let place = *self.by_keys.entry(canonical).or_insert_with(|| {
            let keys = keys.into_iter().map(|key| key.map(std::borrow::Cow::into_owned)).collect();
            self.in_order.push((keys, vec![Accumulator::default(); plan.aggregates.len()]));
            self.in_order.len() - 1
        });
        if let Some((_, accumulators)) = self.in_order.get_mut(place) {
            for (accumulator, aggregate) in accumulators.iter_mut().zip(&plan.aggregates) {
                accumulator.add(aggregate, row);
            }
        }
    }
}

/// Where to go on after a row of a sorted result. Keys too large for a token are left out.
fn after_row((keys, ordinal, digest): (Vec<Option<Value>>, u64, Option<ValueDigest>)) -> Progress {
    if keys.iter().flatten().map(json_size).sum::<usize>() > KEY_BYTES_MAX {
        return Progress::Counted;
    }
    Progress::Sorted { keys, ordinal, digest }
}
