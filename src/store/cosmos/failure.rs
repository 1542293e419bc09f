//! What the SDK's errors mean.

use std::time::Duration;

use azure_data_cosmos::{CosmosError, diagnostics::DiagnosticsContext};

use crate::{
    cosmos::{ConnectError, status_of},
    store::{
        error::{StoreError, StoreErrorKind},
        usage::Usage,
    },
};

/// Sub-status of a 403: the logical partition has reached its size limit.
const PARTITION_FULL: u32 = 1014;
/// Sub-status of a 404: what contains the resource is not there.
const OWNER_NOT_FOUND: u32 = 1003;
/// Sub-statuses of the SDK for addresses and credentials that it cannot use.
const INVALID_ENDPOINT: [u32; 2] = [20_108, 20_109];

/// What an operation took, from its diagnostics.
pub(super) fn usage_of(diagnostics: &DiagnosticsContext) -> Usage {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let statuses: Vec<u16> =
        diagnostics.requests().iter().map(|one| u16::from(one.status().status_code())).collect();
    let has_failed = |status: &&u16| !(200..=299).contains(*status);
    // The last one is the answer itself, however it is.
    let before = statuses.split_last().map_or(&[][..], |(_, before)| before);
    Usage {
        request_charge: diagnostics.total_request_charge().value(),
        round_trips: number(diagnostics.request_count()),
        retries: number(before.iter().filter(has_failed).count()),
        throttles: number(statuses.iter().filter(|status| **status == 429).count()),
    }
}

/// Turns an error of the SDK into one of the store.
pub(super) fn store_error(error: CosmosError) -> StoreError {
    let (status, sub_status) = status_of(&error);
    let headers = error.response().map(|response| response.headers().clone());
    let retry_after =
        headers.as_ref().and_then(|headers| headers.retry_after_ms).map(Duration::from_millis);
    let activity_id = headers
        .and_then(|headers| headers.activity_id)
        .map(|activity_id| activity_id.as_str().to_owned());
    let usage = error.diagnostics().map(|diagnostics| usage_of(&diagnostics)).unwrap_or_default();
    StoreError::new(kind_of(status, sub_status))
        .with_status(status, sub_status)
        .with_retry_after(retry_after)
        .with_activity_id(activity_id)
        .with_usage(usage)
        .with_source(error)
}

/// Turns the failure to make a client into an error of the store.
pub(super) fn connect_error(error: ConnectError) -> StoreError {
    match error {
        ConnectError::Account(error) => store_error(error),
        ConnectError::Credential(error) => {
            StoreError::new(StoreErrorKind::Configuration).with_source(error)
        }
    }
}

/// What a status means for the caller.
pub(super) fn kind_of(status: u16, sub_status: u32) -> StoreErrorKind {
    match (status, sub_status) {
        (_, sub_status) if INVALID_ENDPOINT.contains(&sub_status) => StoreErrorKind::Configuration,
        (403, PARTITION_FULL) => StoreErrorKind::StreamFull,
        (401 | 403, _) => StoreErrorKind::Denied,
        (404, OWNER_NOT_FOUND | 0) => StoreErrorKind::NotProvisioned,
        (413, _) => StoreErrorKind::TooLarge,
        (429, _) => StoreErrorKind::Throttled,
        (404 | 408 | 410 | 449 | 500..=599, _) => StoreErrorKind::Unavailable,
        (400..=499, _) => StoreErrorKind::Rejected,
        _ => StoreErrorKind::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_say_what_the_caller_does_next() {
        for (status, sub_status, kind) in [
            (429, 3200, StoreErrorKind::Throttled),
            (401, 0, StoreErrorKind::Denied),
            (403, 5300, StoreErrorKind::Denied),
            (403, 1014, StoreErrorKind::StreamFull),
            (404, 0, StoreErrorKind::NotProvisioned),
            (404, 1003, StoreErrorKind::NotProvisioned),
            (404, 1002, StoreErrorKind::Unavailable),
            (413, 0, StoreErrorKind::TooLarge),
            (400, 0, StoreErrorKind::Rejected),
            (408, 20008, StoreErrorKind::Unavailable),
            (449, 0, StoreErrorKind::Unavailable),
            (503, 20003, StoreErrorKind::Unavailable),
            (200, 0, StoreErrorKind::Protocol),
        ] {
            assert_eq!(kind_of(status, sub_status), kind, "{status}/{sub_status}");
        }
    }
}
