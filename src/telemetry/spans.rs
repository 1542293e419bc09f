//! Spans for who exports them: whose child a span is, which trace goes on from it, and what it links to.
//!
//! Without the feature `otlp`, and where nothing exports, these do nothing and cost next to nothing: a caller's
//! context is then passed on as it came.

use tracing::Span;

use super::trace::TraceContext;

/// The target of spans that only exporters get: lines of a log do not repeat them.
pub const TARGET: &str = "cosmos_event_store::span";
/// The most traces that a span links to. A run may fold more events than that; collectors keep 128 by default.
pub const LINKS_MAX: usize = 64;

/// Makes a span that was not entered yet the child of a caller's. What is done in it belongs to the context that
/// is returned: that of the span where it is exported, and otherwise the caller's.
pub fn child_of(span: &Span, caller: Option<TraceContext>) -> Option<TraceContext> {
    #[cfg(feature = "otlp")]
    if let Some(own) = super::otlp::context::child_of(span, caller.as_ref()) {
        return Some(own);
    }
    #[cfg(not(feature = "otlp"))]
    let _ = span;
    caller
}

/// Links the current span, where it is exported, to the traces of these pairs of `traceparent` and `tracestate`: to
/// each once, and to [`LINKS_MAX`] at most.
pub fn link<'a>(parents: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
    #[cfg(feature = "otlp")]
    super::otlp::context::link(parents);
    #[cfg(not(feature = "otlp"))]
    drop(parents);
}
