//! The trace that a request belongs to: read from its headers, handed to the events that it stores.

use axum::http::{HeaderMap, HeaderName};

use crate::{event::Metadata, telemetry::trace::TraceContext};

/// The headers of the W3C recommendation "Trace Context".
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What a client says its request belongs to. What is not valid is passed over, as the recommendation has it: who
/// writes events is not to suffer from who traces.
pub(super) fn of_headers(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let context = TraceContext::parse(parent.to_str().ok()?)?;
    // Several headers are one list; one that is no text makes the list malformed.
    let states = headers.get_all(TRACESTATE).iter().map(|state| state.to_str());
    let state = states.collect::<Result<Vec<_>, _>>().ok().filter(|states| !states.is_empty());
    Some(context.with_state(state.map(|states| states.join(",")).as_deref()))
}

/// Metadata with the context of the request, where it names none.
pub(super) fn traced(metadata: Metadata, context: Option<&TraceContext>) -> Metadata {
    match context {
        Some(context) if metadata.traceparent.is_none() => {
            metadata.with_trace(context.traceparent(), context.tracestate().map(str::to_owned))
        }
        _ => metadata,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn context(values: &[(HeaderName, &'static str)]) -> Option<TraceContext> {
        let mut all = HeaderMap::new();
        for (name, text) in values {
            all.append(name, HeaderValue::from_static(text));
        }
        of_headers(&all)
    }

    #[test]
    fn one_parent_and_a_list_of_states() {
        let state = |values| context(values).and_then(|one| one.tracestate().map(str::to_owned));
        let parent = (TRACEPARENT, PARENT);
        assert_eq!(context(std::slice::from_ref(&parent)).unwrap().traceparent(), PARENT);
        assert_eq!(context(&[parent.clone(), parent.clone()]), None);
        assert_eq!(context(&[(TRACESTATE, "a=b")]), None);
        let two = [parent.clone(), (TRACESTATE, "a=b"), (TRACESTATE, "c=d")];
        assert_eq!(state(&two).as_deref(), Some("a=b,c=d"));
        assert_eq!(state(&[parent, (TRACESTATE, "a=b"), (TRACESTATE, "A")]), None);
    }

    #[test]
    fn events_that_name_a_trace_keep_it() {
        let context = TraceContext::parse(PARENT).unwrap().with_state(Some("a=b"));
        let own = Metadata::default().with_trace("their own", None);
        assert_eq!(traced(own.clone(), Some(&context)), own);
        let given = Metadata::default().with_trace(PARENT, Some("a=b".to_owned()));
        assert_eq!(traced(Metadata::default(), Some(&context)), given);
        assert_eq!(traced(Metadata::default(), None), Metadata::default());
    }
}
