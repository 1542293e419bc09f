//! Tests of the query engine: what queries answer, what they refuse, and how they are paged.

mod analysis;
mod errors;
mod functions;
mod paging;
mod semantics;
mod shapes;

use serde_json::{Value, json};

use super::{Candidate, Page, PageLimits, Prepared, QueryError, RunError};

/// Limits that nothing in these tests reaches.
const ALL: PageLimits =
    PageLimits { max_items: usize::MAX, max_bytes: usize::MAX, source_is_ordered: false };

/// Candidates with positions and ordinals in the given order.
fn candidates(documents: &[Value]) -> Vec<Candidate> {
    (1_u64..)
        .zip(documents)
        .map(|(ordinal, document)| Candidate {
            position: ordinal.to_be_bytes().to_vec(),
            ordinal,
            document: document.clone(),
        })
        .collect()
}

/// One page, with the scan started where the token says.
fn page(
    query: &Prepared,
    candidates: &[Candidate],
    token: Option<&str>,
    limits: PageLimits,
) -> Result<Page, QueryError> {
    let resume = query.resume(token)?;
    let start = match resume.scan_after() {
        Some(after) => candidates.iter().position(|c| c.position == after).map_or(0, |i| i + 1),
        None => 0,
    };
    let mut source = candidates[start..].iter().cloned().map(Ok::<_, std::convert::Infallible>);
    query.run(&resume, &mut source, limits).map_err(|error| match error {
        RunError::Query(error) => error,
        RunError::Source(never) => match never {},
    })
}

/// All pages of this size, put together.
fn all_pages(query: &Prepared, candidates: &[Candidate], limits: PageLimits) -> Vec<Value> {
    let mut items = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = page(query, candidates, token.as_deref(), limits).unwrap();
        assert!(page.items.len() <= limits.max_items);
        assert!(page.continuation.is_none() || !page.items.is_empty(), "an empty page goes on");
        items.extend(page.items);
        token = page.continuation;
        if token.is_none() {
            return items;
        }
    }
}

/// The query with its parameters given as an object.
fn prepare(text: &str, parameters: &Value) -> Result<Prepared, QueryError> {
    let parameters = parameters.as_object().unwrap().clone();
    Prepared::new(text, parameters.into_iter().collect())
}

/// All results of a query without parameters.
fn query(text: &str, documents: &[Value]) -> Vec<Value> {
    let prepared = match prepare(text, &json!({})) {
        Ok(prepared) => prepared,
        Err(error) => panic!("{text}: {error}"),
    };
    let page = page(&prepared, &candidates(documents), None, ALL).unwrap();
    assert_eq!(page.continuation, None);
    page.items
}

/// The value of an expression over a document named `c`; `None` is `undefined`.
fn value_over(expression: &str, document: &Value) -> Option<Value> {
    let mut items =
        query(&format!("SELECT VALUE {expression} FROM c"), std::slice::from_ref(document));
    assert!(items.len() <= 1);
    items.pop()
}

/// The error of a query that must be refused.
fn refusal(text: &str) -> QueryError {
    match prepare(text, &json!({})) {
        Ok(_) => panic!("this should be refused: {text}"),
        Err(error) => error,
    }
}
