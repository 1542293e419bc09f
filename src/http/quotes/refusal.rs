//! What becomes of commands that are refused: rules, races and histories as problems.

use crate::{
    aggregate::{CommandError, EncodeError, LoadError},
    event::BadInput,
    http::{
        limits::CONTENTION_RETRY_AFTER,
        problem::{
            BadPlace, PRECONDITION_FAILED, Problem, ProblemType, bodies, of_append, of_input,
        },
        streams::read_problem,
    },
    quotes::{QuoteRejection, ValidationError},
    store::{SessionToken, Usage},
};

/// The types of problems that only quotes have.
pub(super) const PROBLEM_TYPES: &[&ProblemType] =
    &[&QUOTE_NOT_FOUND, &RULE_BROKEN, &IDEMPOTENCY_KEY_REUSED, &NOT_A_QUOTE, &CONTENDED];

/// No such quote.
static QUOTE_NOT_FOUND: ProblemType = ProblemType {
    slug: "quote-not-found",
    status: 404,
    title: "There is no such quote",
    explanation: "No quote was initiated under this id. `POST /quotes` initiates one. A read that comes right \
                  behind it passes its receipt on, as `after`, or is `fresh`.",
};
/// A rule of the domain.
static RULE_BROKEN: ProblemType = ProblemType {
    slug: "rule-broken",
    status: 409,
    title: "The quote does not permit it",
    explanation: "The quote is in a state in which it does not do what the request asks for; nothing \
                  was stored. `rule` is the stable name of the rule: already-initiated, \
                  details-missing (`missing` lists the sections), finalized-cannot-be-edited, \
                  already-finalized, not-finalized, already-decided (`decided` says what was decided) \
                  or not-yet-expired. `GET /quotes/{id}/status` says what is possible.",
};
/// A key that was used for another request.
static IDEMPOTENCY_KEY_REUSED: ProblemType = ProblemType {
    slug: "idempotency-key-reused",
    status: 422,
    title: "The Idempotency-Key was used for another request",
    explanation: "A request with this Idempotency-Key was done on this quote, and asked for something \
                  else; nothing was stored. Repeat a request without change, and use a new key for a \
                  new one.",
};
/// A history that is not a quote's.
static NOT_A_QUOTE: ProblemType = ProblemType {
    slug: "not-a-quote",
    status: 409,
    title: "The stream is not a quote",
    explanation: "The stream with this id has an event that is not one of a quote, or that a newer \
                  version of this program has written. Its events can be read under `/streams/{id}`. \
                  `sequenceNumber` and `eventType` say which event it is.",
};
/// Too many others.
static CONTENDED: ProblemType = ProblemType {
    slug: "contended",
    status: 503,
    title: "Too many requests change the quote at the same time",
    explanation: "Others changed the quote each time before this request could; nothing was stored. \
                  Wait for the seconds that `Retry-After` says and repeat it.",
};

/// There is no quote.
pub(super) fn not_found(usage: Usage) -> Problem {
    Problem::new(&QUOTE_NOT_FOUND, "no quote was initiated under this id").with_usage(usage)
}

/// The read model has no such quote.
pub(super) fn absent() -> Problem {
    Problem::new(&QUOTE_NOT_FOUND, "the read model has no quote with this id")
}

/// Input with fields that break rules.
pub(super) fn of_validation(invalid: &ValidationError) -> Problem {
    Problem::fields(invalid.problems.iter().map(|field| {
        let detail = format!("{} ({})", field.detail, field.rule);
        (field.pointer.clone(), detail)
    }))
}

/// A state that could not be loaded, with the session token that the request has.
pub(super) fn of_load(error: &LoadError, token: Option<&SessionToken>) -> Problem {
    match error {
        LoadError::Read(error) => read_problem(error, token),
        LoadError::Decode(error) => {
            // The client can read the event, so where it is and how it is called is no secret.
            Problem::new(&NOT_A_QUOTE, error.problem.to_string())
                .with("sequenceNumber", error.sequence_number)
                .with("eventType", error.event_type.clone())
                .with("schemaVersion", error.schema_version)
        }
    }
}

/// A command that was refused. `required` is the version that a header requires, and `token` the session
/// token that one has.
pub(super) fn of_command(
    error: CommandError<QuoteRejection>,
    required: Option<u64>,
    token: Option<&SessionToken>,
) -> Problem {
    let usage = error.usage();
    let problem = match error {
        CommandError::Rejected { rejection, .. } => of_rejection(&rejection),
        CommandError::VersionMismatch { expected, actual, events, .. } => {
            let detail = format!("the quote is at version {actual}, not at {expected}");
            Problem::new(&PRECONDITION_FAILED, detail)
                .with("expected", expected)
                .with("actual", actual)
                .with("events", bodies(&events))
        }
        CommandError::CommandIdReused { .. } => {
            Problem::new(&IDEMPOTENCY_KEY_REUSED, "the key was used for another request")
        }
        CommandError::Contended { conflicts, .. } => {
            Problem::new(&CONTENDED, format!("others were first {conflicts} times"))
                .retry_after(CONTENTION_RETRY_AFTER)
        }
        CommandError::Load { error, .. } => of_load(&error, token),
        CommandError::Encode { error: EncodeError::BadInput(input), .. } => {
            of_input(&input, &WholeBody)
        }
        CommandError::Encode { error, .. } => {
            tracing::error!(%error, "an event of a quote cannot be stored");
            Problem::internal()
        }
        CommandError::Append { error, .. } => of_append(error, required.is_some(), &WholeBody),
    };
    problem.with_usage(usage)
}

fn of_rejection(rejection: &QuoteRejection) -> Problem {
    let detail = rejection.to_string();
    let problem = match rejection {
        QuoteRejection::NotInitiated => return Problem::new(&QUOTE_NOT_FOUND, detail),
        QuoteRejection::DetailsMissing { missing } => {
            let missing: Vec<_> = missing.iter().map(|section| section.as_str()).collect();
            Problem::new(&RULE_BROKEN, detail).with("missing", missing)
        }
        QuoteRejection::AlreadyDecided { status } => {
            Problem::new(&RULE_BROKEN, detail).with("decided", status.as_str())
        }
        _ => Problem::new(&RULE_BROKEN, detail),
    };
    problem.with("rule", rejection.rule())
}

/// An event is made from the whole body.
struct WholeBody;

impl BadPlace for WholeBody {
    fn pointer(&self, _: &BadInput) -> String {
        String::new()
    }
}
