//! What the descriptions of reads of read models share.
#![allow(dead_code, reason = "descriptions of what is read by hand")]

use std::collections::BTreeMap;

use utoipa::{
    IntoParams, IntoResponses,
    openapi::{RefOr, response::Response},
};

use crate::http::openapi;

/// What a read waits for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitParameters {
    /// The receipt of an append or a command: the answer shows at least that, or says why not
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    after: Option<String>,
    /// How long to wait for it: `500ms`, `2s` or whole seconds; 2 s unless it is given, and at most 30 s
    #[param(pattern = "^([0-9]{1,4}ms|[12]?[0-9]s?|30s?)$")]
    timeout: Option<String>,
}

/// The read model of the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ReadModelName {
    /// The read model
    #[param(min_length = 1, max_length = 64, pattern = "^[a-z0-9-]+$", example = "stream-summary")]
    name: String,
}

/// How long a page is, and where it begins.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParameters {
    /// The most entries of the page, 100 unless it is given
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From the link of the page before
    page: Option<String>,
}

/// The problems of a read that may wait.
pub(crate) struct ReadModelProblems;

impl IntoResponses for ReadModelProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut problems = openapi::problems(&[400, 404, 406, 421, 500, 503, 504]);
        let parked = openapi::problem("The stream of the receipt is parked", &[]);
        problems.insert("409".to_owned(), parked);
        problems
    }
}

/// The problems of a read that does not wait.
pub(super) struct ReadModelListProblems;

impl IntoResponses for ReadModelListProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        openapi::problems(&[400, 404, 406, 421, 500, 503])
    }
}
