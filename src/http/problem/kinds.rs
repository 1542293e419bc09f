//! The types of problems of every part, and those of streams. Names and statuses are for ever.

use super::ProblemType;

/// All of them, for `/problems`.
pub(crate) const PROBLEM_TYPES: &[&ProblemType] = &[
    &MALFORMED_BODY,
    &INVALID_PARAMETER,
    &INVALID_BODY,
    &UNAUTHENTICATED,
    &FORBIDDEN,
    &FOREIGN_ORIGIN,
    &ROUTE_NOT_FOUND,
    &STREAM_NOT_FOUND,
    &EVENT_NOT_FOUND,
    &METHOD_NOT_ALLOWED,
    &NOT_ACCEPTABLE,
    &BODY_TIME_OUT,
    &CONFLICT,
    &EVENT_ID_REUSED,
    &PRECONDITION_FAILED,
    &BODY_TOO_LARGE,
    &UNSUPPORTED_MEDIA_TYPE,
    &MISDIRECTED_REQUEST,
    &THROTTLED,
    &INTERNAL,
    &OUTCOME_UNKNOWN,
    &STORE_UNAVAILABLE,
    &OVERLOADED,
    &IDENTITY_UNAVAILABLE,
    &NOT_READY,
    &STREAM_FULL,
];

/// The body is not JSON.
pub(crate) const MALFORMED_BODY: ProblemType = ProblemType {
    slug: "malformed-body",
    status: 400,
    title: "The body is not JSON",
    explanation: "The body of the request cannot be read as JSON in UTF-8. `errors` says where. Correct \
                  the body; nothing was stored.",
};
/// A parameter or a header is wrong.
pub(crate) const INVALID_PARAMETER: ProblemType = ProblemType {
    slug: "invalid-parameter",
    status: 400,
    title: "A parameter or header cannot be used",
    explanation: "A parameter of the path or query, or a header, is unknown, is given twice, or has a \
                  value that cannot be used. `errors` names it. Correct the request; nothing was stored.",
};
/// The body is JSON, but not what is needed.
pub(crate) const INVALID_BODY: ProblemType = ProblemType {
    slug: "invalid-body",
    status: 422,
    title: "The body is not what is needed",
    explanation: "The body is JSON, but a member is missing, unknown or has a value that cannot be \
                  stored without change. `errors` has JSON pointers into the body. Correct the body; \
                  nothing was stored.",
};
/// Nobody knows who asks.
pub(crate) const UNAUTHENTICATED: ProblemType = ProblemType {
    slug: "unauthenticated",
    status: 401,
    title: "The request has no key or token that is accepted",
    explanation: "The service answers to callers that it knows: send an API key or an access token as \
                  `Authorization: Bearer`, or a key as `api-key`. A token that was accepted before has \
                  expired: get a new one. Nothing was stored.",
};
/// The caller may not do it.
pub(crate) const FORBIDDEN: ProblemType = ProblemType {
    slug: "forbidden",
    status: 403,
    title: "The key or token does not permit it",
    explanation: "The caller is known, but its key or token does not have the scope that `scope` names. \
                  Scopes do not include one another. Whoever runs the service grants them; nothing was \
                  stored.",
};
/// A page of another site had it sent.
pub(crate) const FOREIGN_ORIGIN: ProblemType = ProblemType {
    slug: "foreign-origin",
    status: 403,
    title: "A page of another site had the request sent",
    explanation: "The service does not ask who its callers are, so it takes no writes that pages of other sites \
                  have a browser send: the header `Origin` must name localhost, an address in 127.0.0.0/8 \
                  or [::1], or be missing. Nothing was stored.",
};
/// No such route.
pub(crate) const ROUTE_NOT_FOUND: ProblemType = ProblemType {
    slug: "route-not-found",
    status: 404,
    title: "There is nothing at this path",
    explanation: "The service has no such path. `GET /` lists what there is, and `/openapi.json` \
                  describes it. A `/` in a stream id is written `%2F`.",
};
/// No such stream.
pub(crate) const STREAM_NOT_FOUND: ProblemType = ProblemType {
    slug: "stream-not-found",
    status: 404,
    title: "The stream has no events",
    explanation: "No event was ever appended to this stream. The first append makes it.",
};
/// No such event.
pub(crate) const EVENT_NOT_FOUND: ProblemType = ProblemType {
    slug: "event-not-found",
    status: 404,
    title: "There is no such event",
    explanation: "The stream has no event with this sequence number, or there is no such stream.",
};
/// No such processor.
pub(crate) const PROCESSOR_NOT_FOUND: ProblemType = ProblemType {
    slug: "processor-not-found",
    status: 404,
    title: "There is no such processor",
    explanation: "Nobody has started a change-feed processor of this name. `GET /lag` lists those that there are; that \
                  of a read model is called `NAME@VERSION`.",
};
/// The method is not for this path.
pub(crate) const METHOD_NOT_ALLOWED: ProblemType = ProblemType {
    slug: "method-not-allowed",
    status: 405,
    title: "The path does not take this method",
    explanation: "The header `Allow` lists the methods that the path takes.",
};
/// No representation is acceptable.
pub(crate) const NOT_ACCEPTABLE: ProblemType = ProblemType {
    slug: "not-acceptable",
    status: 406,
    title: "The answer has no form that the client accepts",
    explanation: "The header `Accept` names none of the types that this path answers with. `detail` \
                  lists them.",
};
/// The body did not arrive in time.
pub(crate) const BODY_TIME_OUT: ProblemType = ProblemType {
    slug: "body-time-out",
    status: 408,
    title: "The body did not arrive in time",
    explanation: "The request was given up because its body took too long to arrive. Send it again; \
                  nothing was stored.",
};
/// The stream is not as expected.
pub(crate) const CONFLICT: ProblemType = ProblemType {
    slug: "conflict",
    status: 409,
    title: "The stream is not at the expected version",
    explanation: "Other events are at the expected place; nothing was stored. `expected` is what the \
                  request said, `actual` is the version of the stream, and `events` are the events that \
                  won, from the expected place on (not more than 32). Look at them, decide again, and \
                  append with the new version.",
};
/// An event id is taken.
pub(crate) const EVENT_ID_REUSED: ProblemType = ProblemType {
    slug: "event-id-reused",
    status: 409,
    title: "An event id is stored as something else",
    explanation: "An id of the request, or its Idempotency-Key, was used for other events of this \
                  stream; nothing was stored. `eventId` is that id and `stored` has the stored events. \
                  Repeat a request without change, or use new ids for new events.",
};
/// A condition of a header does not hold.
pub(crate) const PRECONDITION_FAILED: ProblemType = ProblemType {
    slug: "precondition-failed",
    status: 412,
    title: "The stream is not at the version that a header requires",
    explanation: "The same as `conflict`, for a version that was given in `If-Match` or \
                  `If-None-Match`: nothing was stored, and `expected`, `actual` and `events` say what \
                  happened.",
};
/// Too many bytes.
pub(crate) const BODY_TOO_LARGE: ProblemType = ProblemType {
    slug: "body-too-large",
    status: 413,
    title: "The request is too large",
    explanation: "The body is larger than the service takes, or its events are larger than one \
                  transaction takes (about 2 MB). Append fewer events at a time; nothing was stored.",
};
/// The type of the body is not known.
pub(crate) const UNSUPPORTED_MEDIA_TYPE: ProblemType = ProblemType {
    slug: "unsupported-media-type",
    status: 415,
    title: "The type of the body is not one that the path takes",
    explanation: "The header `Content-Type` must name one of the types that `detail` lists, and the body \
                  must not be compressed.",
};
/// The request is for another site.
pub(crate) const MISDIRECTED_REQUEST: ProblemType = ProblemType {
    slug: "misdirected-request",
    status: 421,
    title: "The request is for another site",
    explanation: "A service that does not ask who its callers are answers for names of this machine only, \
                  so that no other site can pass for it in a browser: the host of the URL must be localhost, \
                  an address in 127.0.0.0/8 or [::1]. Others answer for the hosts that they were given, too. \
                  Nothing was stored.",
};
/// No throughput left.
pub(crate) const THROTTLED: ProblemType = ProblemType {
    slug: "throttled",
    status: 429,
    title: "The throughput of the store is used up",
    explanation: "The store had no throughput left for this request, and nothing was stored. Wait for \
                  the seconds that `Retry-After` says and repeat the request.",
};
/// A fault of the service.
pub(crate) const INTERNAL: ProblemType = ProblemType {
    slug: "internal",
    status: 500,
    title: "The service failed",
    explanation: "A stored document is damaged, the store gave an answer that is not understood, or the \
                  service has a fault. Its log has the cause under the id of the request.",
};
/// Whether it was stored is not known.
pub(crate) const OUTCOME_UNKNOWN: ProblemType = ProblemType {
    slug: "outcome-unknown",
    status: 503,
    title: "It is not known whether the events were stored",
    explanation: "The answer of the store was lost and could not be had in time. Repeat the request with \
                  the same event ids or the same Idempotency-Key: nothing is stored twice. Without \
                  either, read the stream first.",
};
/// The store cannot be reached.
pub(crate) const STORE_UNAVAILABLE: ProblemType = ProblemType {
    slug: "store-unavailable",
    status: 503,
    title: "The store cannot be used now",
    explanation: "The store could not be reached, did not answer in time, or denied access to the \
                  service. Nothing was stored. Repeat the request later.",
};
/// Too many requests in this process.
pub(crate) const OVERLOADED: ProblemType = ProblemType {
    slug: "overloaded",
    status: 503,
    title: "The service has too many requests in flight",
    explanation: "This process bears a bounded number of requests at a time, and of readers that wait for \
                  something new in the feed, and the request was not begun. Wait for the seconds that `Retry-After` says and repeat it.",
};
/// Tokens cannot be checked.
pub(crate) const IDENTITY_UNAVAILABLE: ProblemType = ProblemType {
    slug: "identity-unavailable",
    status: 503,
    title: "Tokens cannot be checked now",
    explanation: "The service could not fetch the keys that the token is checked with, so it does not know \
                  whether the token is good. Nothing was stored. Wait for the seconds that `Retry-After` says and \
                  repeat the request.",
};
/// Not ready for requests.
pub(crate) const NOT_READY: ProblemType = ProblemType {
    slug: "not-ready",
    status: 503,
    title: "The service is not ready",
    explanation: "The store does not answer a small read in time, or the service is about to stop.",
};
/// The stream has no room.
pub(crate) const STREAM_FULL: ProblemType = ProblemType {
    slug: "stream-full",
    status: 507,
    title: "The stream is full",
    explanation: "A stream has at most 20 GB. Nothing was stored, and nothing more can be: go on in \
                  another stream.",
};
