//! What the errors of read models are as problems.

use crate::{
    feed::{FeedFault, StoreFault},
    http::{
        limits::READ_MODEL_RETRY_AFTER,
        problem::{Problem, ProblemType},
    },
    projection::{HistoryFault, ReadModelError, ReceiptToken, RegistryError, ViewFault},
};

/// The types of problems that only read models have.
pub(super) const PROBLEM_TYPES: &[&ProblemType] = &[
    &NO_READ_MODELS,
    &READ_MODEL_NOT_FOUND,
    &VIEW_NOT_FOUND,
    &STREAM_PARKED,
    &READ_MODEL_NOT_BUILT,
    &NOT_VISIBLE_YET,
];

/// The service has none.
static NO_READ_MODELS: ProblemType = ProblemType {
    slug: "no-read-models",
    status: 404,
    title: "The service has no read models",
    explanation: "This service was started without read models, so it answers nothing that is made from \
                  many streams. A quote, its status and its history are answered from the events.",
};
/// No projection of this name and kind.
static READ_MODEL_NOT_FOUND: ProblemType = ProblemType {
    slug: "read-model-not-found",
    status: 404,
    title: "There is no such read model",
    explanation: "The program has no projection of this name, or it has one whose views are of the other \
                  kind: views of streams are under `/views`, views over many streams under `/totals`. \
                  `GET /read-models` lists what there is.",
};
/// No view of this stream, no total of this key.
static VIEW_NOT_FOUND: ProblemType = ProblemType {
    slug: "view-not-found",
    status: 404,
    title: "The read model has no such view",
    explanation: "No event of this stream has led to a view, or no stream adds to the total with this key. \
                  A read model is behind its events by moments: a read with the receipt of an append, \
                  `after`, waits until that is visible.",
};
/// It will not be visible.
static STREAM_PARKED: ProblemType = ProblemType {
    slug: "stream-parked",
    status: 409,
    title: "The stream is parked",
    explanation: "The projection could not take an event of the stream, so it set the stream aside: neither \
                  this event nor a later one of the stream will be visible in the read model until an \
                  operator has it tried again. The write is stored. `reason` says what is wrong, `stream` \
                  and `readModel` where. Waiting does not help; the events are under `/streams/{id}`, and \
                  `fresh=true` reads a quote from them.",
};
/// Nobody builds it.
static READ_MODEL_NOT_BUILT: ProblemType = ProblemType {
    slug: "read-model-not-built",
    status: 503,
    title: "The read model is not there yet",
    explanation: "No worker has begun to build the read model. Wait for the seconds that `Retry-After` says \
                  and repeat the request; where it stays so, no process keeps read models up to date. \
                  `fresh=true` reads a quote from its events.",
};
/// Not in time.
static NOT_VISIBLE_YET: ProblemType = ProblemType {
    slug: "not-visible-yet",
    status: 504,
    title: "The append is not visible in the read model yet",
    explanation: "The read model did not have the append of the receipt in `after` within `timeout`. A \
                  receipt is given for what is stored; one of another database is never visible here. Wait for the seconds that `Retry-After` says and repeat the read, with a \
                  longer `timeout` if you like. Do not repeat the write. `fresh=true` reads a quote from its \
                  events.",
};

/// The service was started without read models.
pub(crate) fn no_read_models() -> Problem {
    Problem::new(&NO_READ_MODELS, "this service was started without read models")
}

/// There is no such view.
pub(super) fn no_view(detail: &'static str) -> Problem {
    Problem::new(&VIEW_NOT_FOUND, detail)
}

/// The append of a receipt will not be visible.
pub(super) fn parked(name: &str, receipt: &ReceiptToken, reason: String) -> Problem {
    Problem::new(
        &STREAM_PARKED,
        "the append is stored, and will not be visible until an operator acts",
    )
    .with("readModel", name)
    .with("stream", receipt.stream())
    .with("reason", reason)
}

/// The append of a receipt is not visible in time.
pub(super) fn not_visible_yet(name: &str, receipt: &ReceiptToken) -> Problem {
    Problem::new(&NOT_VISIBLE_YET, "the read model does not have the append of the receipt yet")
        .with("readModel", name)
        .with("stream", receipt.stream())
        .with("sequenceNumber", receipt.sequence_number())
        .retry_after(READ_MODEL_RETRY_AFTER)
}

/// A view that the code cannot read.
pub(crate) fn damaged(name: &str) -> Problem {
    tracing::error!(read_model = name, "a view does not have the form of its projection");
    Problem::internal()
}

/// A list that could not be read; what is wrong with a token is wrong with the parameter `page`.
pub(crate) fn of_list(error: &ReadModelError) -> Problem {
    match error {
        ReadModelError::Token(invalid) => Problem::parameter("page", invalid.to_string()),
        ReadModelError::NoField(_, field) => {
            Problem::parameter("sort", format!("the read model has no field {field:?}"))
        }
        _ => of_read(error),
    }
}

/// A read model that could not be read.
pub(crate) fn of_read(error: &ReadModelError) -> Problem {
    match error {
        ReadModelError::NoProjection(_) | ReadModelError::OtherKind(_) => {
            Problem::new(&READ_MODEL_NOT_FOUND, error.to_string())
        }
        ReadModelError::NotBuilt(_) => Problem::new(&READ_MODEL_NOT_BUILT, error.to_string())
            .retry_after(READ_MODEL_RETRY_AFTER),
        ReadModelError::Store(fault) | ReadModelError::Registry(RegistryError::Store(fault)) => {
            of_view_fault(fault)
        }
        ReadModelError::Registry(RegistryError::Contended)
        | ReadModelError::History(HistoryFault::Unavailable(_))
        | ReadModelError::Feed(FeedFault::Unavailable(_))
        | ReadModelError::Leases(StoreFault::Unavailable(_)) => {
            tracing::warn!(%error, "a read model cannot be used");
            Problem::unavailable()
        }
        _ => {
            tracing::error!(%error, "a read model cannot be read");
            Problem::internal()
        }
    }
}

fn of_view_fault(fault: &ViewFault) -> Problem {
    match fault {
        ViewFault::Unavailable(_) | ViewFault::Refused(_) => {
            tracing::warn!(error = %fault, "the read models cannot be used");
            Problem::unavailable()
        }
        ViewFault::Damaged { reason, .. } => {
            // The id has that of a stream in it, which is the key of a person at times.
            tracing::error!(reason, "a document of a read model cannot be read");
            Problem::internal()
        }
        _ => {
            tracing::error!(error = %fault, "a read of read models failed as only a write does");
            Problem::internal()
        }
    }
}
