//! What the statuses of the SDK say, and whether a request was carried out.

use azure_data_cosmos::{CosmosError, diagnostics::DiagnosticsContext};

/// Sub-statuses from here on are the SDK's own.
const SDK_SUB_STATUS_MIN: u32 = 20_000;

/// The HTTP status and the sub-status.
pub(crate) fn status_of(error: &CosmosError) -> (u16, u32) {
    let status = error.status();
    let sub_status = status.sub_status().map_or(0, |sub_status| u32::from(sub_status.value()));
    (u16::from(status.status_code()), sub_status)
}

/// Whether an operation that ended with this error may have been carried out: whether one of its
/// requests may have reached the service without a definite refusal.
pub(crate) fn may_be_carried_out(error: &CosmosError) -> bool {
    match error.diagnostics() {
        Some(diagnostics) => any_request(&diagnostics, |_| true),
        // Without diagnostics there is only the status; what the SDK refuses itself is a 4xx.
        None => matches!(status_of(error).0, 408 | 500..=599),
    }
}

/// Whether an operation that was answered in the end was repeated after a request whose answer was lost:
/// that request may have been carried out, and the answer is then about its own traces.
pub(crate) fn answer_was_lost(diagnostics: &DiagnosticsContext) -> bool {
    any_request(diagnostics, |status| !(200..=299).contains(&status))
}

/// Whether a request may have reached the service without a definite refusal and has such a status.
fn any_request(diagnostics: &DiagnosticsContext, has_status: impl Fn(u16) -> bool) -> bool {
    diagnostics.compaction().is_some()
        || diagnostics.requests().iter().any(|request| {
            let status = request.status();
            let sub_status = status.sub_status().map_or(0, |code| u32::from(code.value()));
            let status = u16::from(status.status_code());
            request.request_sent().may_have_been_sent()
                && has_status(status)
                && !is_definite_refusal(status, sub_status)
        })
}

/// Whether a status says that the request was not carried out. A time-out and an error of the server
/// say nothing of the kind.
pub(crate) fn is_definite_refusal(status: u16, sub_status: u32) -> bool {
    (400..=499).contains(&status) && status != 408 && sub_status < SDK_SUB_STATUS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_by_the_service_is_definite() {
        for (status, sub_status, definite) in [
            (429, 3200, true),
            (403, 0, true),
            (410, 1002, true),
            (449, 0, true),
            (408, 0, false),
            (408, 20008, false),
            (500, 0, false),
            (503, 0, false),
            (503, 20003, false),
            (400, 20_001, false),
            (200, 0, false),
        ] {
            assert_eq!(is_definite_refusal(status, sub_status), definite, "{status}/{sub_status}");
        }
    }
}
