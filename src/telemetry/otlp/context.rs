//! Trace contexts, between our form and that of the exporters.

use std::collections::HashSet;

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::telemetry::{spans::LINKS_MAX, trace::TraceContext};

/// Makes a span that was not entered yet the child of a caller's, and gives its own context; nothing where it is not
/// exported.
pub(in crate::telemetry) fn child_of(
    span: &Span,
    caller: Option<&TraceContext>,
) -> Option<TraceContext> {
    if span.is_disabled() {
        return None;
    }
    if let Some(caller) = caller.and_then(remote) {
        // It fails where nothing exports, and then there is no context either.
        let _is_child = span.set_parent(Context::new().with_remote_span_context(caller)).is_ok();
    }
    let context = span.context();
    written(context.span().span_context())
}

/// Links the current span to the traces of these pairs of `traceparent` and `tracestate`.
pub(in crate::telemetry) fn link<'a>(parents: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let mut linked = HashSet::new();
    for (parent, state) in parents {
        if linked.len() >= LINKS_MAX {
            return;
        }
        if !linked.contains(parent)
            && let Some(context) = TraceContext::parse(parent)
            && let Some(context) = remote(&context.with_state(state))
        {
            linked.insert(parent);
            span.add_link(context);
        }
    }
}

/// The context of a span elsewhere.
fn remote(context: &TraceContext) -> Option<SpanContext> {
    let trace = TraceId::from_hex(context.trace_id()).ok()?;
    let span = SpanId::from_hex(context.span_id()).ok()?;
    let flags = u8::from_str_radix(context.traceparent().get(53..)?, 16).ok()?;
    let state = context.tracestate().and_then(|state| state.parse::<TraceState>().ok());
    Some(SpanContext::new(trace, span, TraceFlags::new(flags), true, state.unwrap_or_default()))
}

fn written(context: &SpanContext) -> Option<TraceContext> {
    let (trace, span, flags) =
        (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
    let written = TraceContext::parse(&format!("00-{trace}-{span}-{flags:02x}"))?;
    let state = context.trace_state().header();
    Some(written.with_state(Some(state.as_str()).filter(|state| !state.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_comes_back_as_it_went() {
        for flags in ["00", "01"] {
            let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            for state in [None, Some("a=b,c=d")] {
                let context = TraceContext::parse(&text).unwrap().with_state(state);
                let remote = remote(&context).unwrap();
                assert!(remote.is_remote() && remote.is_sampled() == (flags == "01"));
                assert_eq!(written(&remote), Some(context));
            }
        }
        assert_eq!(written(&SpanContext::empty_context()), None);
    }
}
