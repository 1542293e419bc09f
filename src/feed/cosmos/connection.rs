//! One container of an account, and what its failures mean to a processor.

use std::{fmt::Display, time::Duration};

use azure_data_cosmos::{
    ContainerClient, CosmosError,
    options::{ContentResponseOnWrite, OperationOptions},
};

use futures::Stream;

use crate::{
    config::StoreOptions,
    cosmos::{TimeLimits, Unanswered, operation_options, status_of},
};

/// How long one request for changes or partitions may take, with the SDK's own retries. A page is large,
/// and nobody but its own range waits for it.
const FEED_TIMES: TimeLimits =
    TimeLimits { time_max: Duration::from_secs(10), throttle_wait_max: Duration::from_secs(5) };
/// How long one request to the leases container may take, with the SDK's own retries. A host that gets no
/// answer must know in time to stop its work before others take it over: two of these fit into the
/// 9 seconds after which it counts as dead.
const LEASES_TIMES: TimeLimits =
    TimeLimits { time_max: Duration::from_secs(3), throttle_wait_max: Duration::from_secs(1) };
/// What a failure means, in the few kinds that both sides of a processor tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It may work later.
    Unavailable(String),
    /// The partition is gone.
    Gone(String),
    /// The request is not one that the service takes.
    BadRequest(String),
    /// The SDK cannot read an answer, or a place that it was given.
    Unreadable(String),
    /// It will not work later.
    Refused(String),
}

impl Fault {
    /// What a failure of the SDK means.
    pub(super) fn of(error: &CosmosError) -> Self {
        let (status, sub_status) = status_of(error);
        // The text of the SDK's error may have parts of documents and addresses in it; its status has not.
        Self::of_status(status, sub_status, error.status())
    }

    /// What a status means.
    pub(super) fn of_status(status: u16, sub_status: u32, text: impl Display) -> Self {
        let text = text.to_string();
        match (status, sub_status) {
            // The container, or what contains it, is not there. Other 404s are about sessions.
            (404, 0 | 1003) => Self::Refused(format!("{text}: the container is not there")),
            (410, _) => Self::Gone(text),
            (400, _) => Self::BadRequest(text),
            (500, 20_020 | 20_203..=20_205 | 20_213) => Self::Unreadable(text),
            (404 | 408 | 429 | 449 | 500..=599, _) => Self::Unavailable(text),
            _ => Self::Refused(text),
        }
    }
}

impl From<Unanswered> for Fault {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Failed(error) => Self::of(&error),
            Unanswered::Credential => Self::Refused("the credential cannot be used".to_owned()),
            Unanswered::Late => Self::Unavailable("no answer in time".to_owned()),
        }
    }
}

/// What each kind of requests may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reading changes.
    Feed,
    /// Keeping leases.
    Leases,
}

impl Purpose {
    fn limits(self) -> TimeLimits {
        match self {
            Self::Feed => FEED_TIMES,
            Self::Leases => LEASES_TIMES,
        }
    }

    /// After how long one request is cut off.
    pub(super) fn time_max(self) -> Duration {
        self.limits().cut_off()
    }

    /// The options of its requests. Leases want their documents back, for the time in them.
    pub(super) fn options(self) -> OperationOptions {
        let content = match self {
            Self::Feed => ContentResponseOnWrite::Disabled,
            Self::Leases => ContentResponseOnWrite::Enabled,
        };
        operation_options(self.limits(), content)
    }

    /// Waits for something that the SDK does, but not for ever.
    pub(super) async fn within<T>(
        self,
        work: impl Future<Output = Result<T, CosmosError>> + Send,
    ) -> Result<T, Fault> {
        Ok(self.limits().within(work).await?)
    }

    /// The next page of the SDK; nothing behind the last one.
    pub(super) async fn next<T>(
        self,
        pages: &mut (impl Stream<Item = Result<T, CosmosError>> + Unpin),
    ) -> Result<Option<T>, Fault> {
        Ok(self.limits().next(pages).await?)
    }
}

/// Opens a container, with a connection of its own: beats do not wait behind pages of changes.
pub(super) async fn open(
    options: &StoreOptions,
    container: &str,
    purpose: Purpose,
) -> Result<ContainerClient, Fault> {
    Ok(purpose.limits().open(options, container).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_say_what_the_processor_does_next() {
        let kind = |status, sub_status| Fault::of_status(status, sub_status, "s");
        for (status, sub_status) in
            [(404, 1002), (408, 20_008), (429, 3200), (449, 0), (500, 0), (503, 20_003)]
        {
            let expected = Fault::Unavailable("s".to_owned());
            assert_eq!(kind(status, sub_status), expected, "{status}/{sub_status}");
        }
        for (status, sub_status) in [(401, 0), (403, 5300), (404, 0), (404, 1003), (413, 0)] {
            let found = kind(status, sub_status);
            assert!(matches!(found, Fault::Refused(_)), "{status}/{sub_status}: {found:?}");
        }
        assert_eq!(kind(410, 1002), Fault::Gone("s".to_owned()));
        assert_eq!(kind(400, 0), Fault::BadRequest("s".to_owned()));
        assert_eq!(kind(500, 20_020), Fault::Unreadable("s".to_owned()));
    }
}
