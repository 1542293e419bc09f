//! The SQL dialect of Cosmos DB: parsing, analysis and evaluation over candidates.
//!
//! Pure: no IO, no clock, no randomness. A query text with its parameters becomes a [`Prepared`]
//! query; the caller scans whatever holds the candidates, guided by [`Prepared::constraints`], and
//! [`Prepared::run`] evaluates the whole query over them and fills one page.
//!
//! What the engine cannot serve is a [`QueryError`] with its position, never a wrong answer. Not
//! built yet: JOIN, iteration in FROM, subqueries and EXISTS, user-defined functions, date, full
//! text, vector and spatial functions, ORDER BY together with aggregates or GROUP BY.
//!
//! Where the service's documentation is silent or differs from its engine, the choice made here is
//! written down at the code that makes it: equality with null (`value`), `? :` with a condition
//! that is not a boolean (`evaluate`), 32-bit bitwise operators (`arithmetic`).

mod aggregate;
mod analysis;
mod arithmetic;
mod ast;
mod compile;
mod continuation;
mod evaluate;
mod expression;
mod functions;
mod lexer;
mod page;
mod parser;
mod pattern;
mod plan;
mod resume_filter;
mod run;
mod sort;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::ops::Bound;

use serde_json::Value;

use continuation::{Continuation, Progress};
use plan::Plan;
use resume_filter::ResumeFilter;
use value::ValueDigest;

/// Why a query cannot be served, for an answer with status 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryError {
    /// What is wrong, without the position.
    pub(crate) message: String,
    /// The byte in the query text where it is wrong, if it is a place in the text.
    pub(crate) position: Option<usize>,
}

impl QueryError {
    fn new(message: impl Into<String>) -> Self {
        QueryError { message: message.into(), position: None }
    }

    fn at(position: usize, message: impl Into<String>) -> Self {
        QueryError { message: message.into(), position: Some(position) }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(out, "{} (at position {position})", self.message),
            None => out.write_str(&self.message),
        }
    }
}

impl std::error::Error for QueryError {}

/// Why a page could not be filled.
#[derive(Debug)]
pub(crate) enum RunError<E> {
    /// The query or its continuation token is at fault.
    Query(QueryError),
    /// The source of candidates failed.
    Source(E),
}

/// A range that a path from the root lies in for every result: over the order of types (null,
/// booleans, numbers, strings, arrays, objects) and values. Candidates outside of it, and those
/// without the path, cannot match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constraint {
    /// Property names from the root document.
    pub(crate) path: Vec<String>,
    /// The least value: null, a boolean, a number or a string.
    pub(crate) lower: Bound<Value>,
    /// The greatest value, of the same kinds; equality has the same value in both.
    pub(crate) upper: Bound<Value>,
}

/// A document that may match.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// Where it stands in the source; a later scan can start after it.
    pub(crate) position: Vec<u8>,
    /// The ordinal of its `_rid`: unique, breaks ties of ORDER BY.
    pub(crate) ordinal: u64,
    /// The document with its system properties.
    pub(crate) document: Value,
}

/// The bounds of a page. A page has at least one item if there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageLimits {
    /// The most items.
    pub(crate) max_items: usize,
    /// The most bytes of JSON, roughly.
    pub(crate) max_bytes: usize,
    /// The source yields candidates in ORDER BY order already: by value of
    /// [`Prepared::order_by_path`] in its direction, documents without the path included where
    /// `undefined` sorts (first when ascending), equal values by ordinal in the same direction. Means
    /// nothing for an ORDER BY without such a path: its rows are always sorted here.
    pub(crate) source_is_ordered: bool,
}

/// One page of results.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page {
    /// The results in order.
    pub(crate) items: Vec<Value>,
    /// The token for the next page; `None` when there is none.
    pub(crate) continuation: Option<String>,
    /// Candidates looked at.
    pub(crate) scanned: u64,
    /// Candidates that passed the filter and counted for this page.
    pub(crate) matched: u64,
}

/// Where a scan goes on.
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    continuation: Option<Continuation>,
}

impl Resume {
    /// The position that the source must start strictly after; `None` for the whole source.
    pub(crate) fn scan_after(&self) -> Option<&[u8]> {
        match self.continuation.as_ref().map(|continuation| &continuation.progress) {
            Some(Progress::Position(position)) => Some(position),
            _ => None,
        }
    }
}

/// A query that is parsed and valid, with its parameters bound.
#[derive(Debug)]
pub(crate) struct Prepared {
    plan: Plan,
    constraints: Vec<Constraint>,
    order_by_path: Option<(Vec<String>, bool)>,
    order_from: Option<Value>,
    resume_filter: Option<ResumeFilter>,
    /// Identifies the text, the parameters and the resume filter in continuation tokens.
    digest: ValueDigest,
}

impl Prepared {
    /// Parses and resolves a query. Parameter names are given with their leading `@`.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the text or the parameters, or not supported.
    pub(crate) fn new(text: &str, parameters: Vec<(String, Value)>) -> Result<Self, QueryError> {
        let digest = digest_of(text, &parameters);
        let mut by_name = compile::Parameters::new();
        for (name, value) in parameters {
            if by_name.contains_key(&name) {
                return Err(QueryError::new(format!("parameter '{name}' is given twice")));
            }
            by_name.insert(name, value);
        }
        let plan = compile::compile(&parser::parse(text)?, &by_name)?;
        let constraints = analysis::constraints(plan.filter.as_ref());
        let order_by_path = match plan.order_by.as_slice() {
            [key] if !plan.distinct && !plan.is_aggregate() => {
                analysis::names(&key.expression).map(|path| (path, key.descending))
            }
            _ => None,
        };
        Ok(Prepared {
            plan,
            constraints,
            order_by_path,
            order_from: None,
            resume_filter: None,
            digest,
        })
    }

    /// Adds the `resumeFilter` field of the query body: rows before its boundary are left out.
    ///
    /// # Errors
    ///
    /// The field is malformed or does not fit the query's ORDER BY.
    pub(crate) fn with_resume_filter(mut self, filter: &Value) -> Result<Self, QueryError> {
        let parsed = ResumeFilter::parse(filter, self.plan.order_by.len())?;
        if let (Some((path, descending)), [Some(boundary)]) =
            (&self.order_by_path, parsed.values.as_slice())
        {
            self.order_from =
                analysis::add_boundary(&mut self.constraints, path, *descending, boundary);
        }
        let mut bytes = self.digest.to_vec();
        value::write_canonical(filter, &mut bytes);
        self.digest = value::truncated_sha256(&bytes);
        self.resume_filter = Some(parsed);
        Ok(self)
    }

    /// What, if anything, the service refuses to do across partitions without a query plan.
    pub(crate) fn needs_plan_across_partitions(&self) -> Option<&'static str> {
        if self.plan.group_by.is_some() {
            Some("GROUP BY")
        } else if !self.plan.aggregates.is_empty() {
            Some("an aggregate")
        } else if self.plan.distinct {
            Some("DISTINCT")
        } else if !self.plan.order_by.is_empty() {
            Some("ORDER BY")
        } else if self.plan.has_window {
            Some("OFFSET LIMIT")
        } else {
            None
        }
    }

    /// Ranges that every result lies in, at most one per path.
    pub(crate) fn constraints(&self) -> &[Constraint] {
        &self.constraints
    }

    /// Whether there is an ORDER BY, of whatever form.
    pub(crate) fn is_sorted(&self) -> bool {
        !self.plan.order_by.is_empty()
    }

    /// The path and whether it descends, when ORDER BY is a single plain path whose order a source
    /// could already have.
    pub(crate) fn order_by_path(&self) -> Option<(&[String], bool)> {
        self.order_by_path.as_ref().map(|(path, descending)| (path.as_slice(), *descending))
    }

    /// Where, at the latest, a source in the order of [`Self::order_by_path`] may begin. Unlike
    /// constraints it also admits arrays and objects.
    pub(crate) fn order_from(&self) -> Option<&Value> {
        self.order_from.as_ref()
    }

    /// Reads a continuation token; without one the query starts.
    ///
    /// # Errors
    ///
    /// The token is malformed or belongs to another query.
    pub(crate) fn resume(&self, continuation: Option<&str>) -> Result<Resume, QueryError> {
        let Some(token) = continuation else { return Ok(Resume { continuation: None }) };
        let continuation = continuation::decode(&self.digest, token)?;
        let plan = &self.plan;
        let combines = plan.is_aggregate();
        let fits = match &continuation.progress {
            Progress::Position(_) => !combines && !plan.distinct,
            Progress::Sorted { keys, .. } => {
                !combines && !keys.is_empty() && keys.len() == plan.order_by.len()
            }
            Progress::Distinct(_) => !combines && plan.distinct && plan.order_by.is_empty(),
            Progress::Counted => combines || plan.distinct || !plan.order_by.is_empty(),
        };
        if !fits {
            return Err(QueryError::new("the continuation token does not fit the query"));
        }
        Ok(Resume { continuation: Some(continuation) })
    }

    /// Evaluates the query over candidates and fills the next page.
    ///
    /// The source must start after [`Resume::scan_after`] and yield the same order on every page.
    ///
    /// # Errors
    ///
    /// The source fails, or the token needs an ordered source that is not there any more.
    pub(crate) fn run<E>(
        &self,
        resume: &Resume,
        source: &mut dyn Iterator<Item = Result<Candidate, E>>,
        limits: PageLimits,
    ) -> Result<Page, RunError<E>> {
        run::run(self, resume, source, &limits)
    }
}

fn digest_of(text: &str, parameters: &[(String, Value)]) -> ValueDigest {
    let mut bytes = text.as_bytes().to_vec();
    for (name, value) in parameters {
        bytes.push(0);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        value::write_canonical(value, &mut bytes);
    }
    value::truncated_sha256(&bytes)
}
