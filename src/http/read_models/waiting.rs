//! Reads that see an append: `after` is its receipt, and the read waits until the read model has it.

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue},
    response::Response,
};

use super::refusal;
use crate::{
    http::{
        limits::{WAIT_TIME_DEFAULT, WAIT_TIME_MAX},
        parameters::{Parameters, whole_number},
        problem::Problem,
        shared::Inner,
    },
    projection::{ReadModelError, ReadModels, ReceiptToken, Waited},
    store::SessionToken,
};

/// The header that says what waiting came to.
const READ_MODEL: HeaderName = HeaderName::from_static("read-model");

/// What a read waits for, and how long.
#[derive(Debug)]
pub(crate) struct Waiting {
    after: Option<ReceiptToken>,
    time_max: Duration,
}

/// What an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// What there was: nothing was waited for.
    Anything,
    /// The append of the receipt.
    Applied,
    /// The append of the receipt does not concern the read model.
    Irrelevant,
}

impl Seen {
    /// Says so in the answer.
    pub(crate) fn mark(self, answer: &mut Response) {
        let seen = match self {
            Self::Anything => return,
            Self::Applied => "applied",
            Self::Irrelevant => "irrelevant",
        };
        answer.headers_mut().insert(READ_MODEL, HeaderValue::from_static(seen));
    }
}

impl Waiting {
    /// The parameters, which every read of a read model takes.
    pub(crate) const PARAMETERS: [&'static str; 2] = ["after", "timeout"];

    pub(crate) fn of(parameters: &Parameters) -> Result<Self, Problem> {
        let after = parameters.text("after").map(ReceiptToken::parse).transpose();
        let after = after.map_err(|_| foreign_receipt())?;
        let time_max = parameters.text("timeout").map(time).transpose()?;
        Ok(Self { after, time_max: time_max.unwrap_or(WAIT_TIME_DEFAULT) })
    }

    /// Whether there is something to wait for.
    pub(crate) fn is_asked(&self) -> bool {
        self.after.is_some()
    }

    /// What makes the append visible to a read of the events.
    pub(crate) fn session_token(&self) -> Option<&SessionToken> {
        self.after.as_ref()?.session_token()
    }

    /// Waits, and then reads; both together take no longer than a request may.
    pub(crate) async fn then<T>(
        &self,
        shared: &Inner,
        read_models: &ReadModels,
        name: &str,
        read: impl Future<Output = Result<T, ReadModelError>>,
    ) -> Result<(Result<T, ReadModelError>, Seen), Problem> {
        let both = async {
            let seen = self.wait(shared, read_models, name).await?;
            Ok((read.await, seen))
        };
        shared.read(Box::pin(both)).await?
    }

    async fn wait(
        &self,
        shared: &Inner,
        read_models: &ReadModels,
        name: &str,
    ) -> Result<Seen, Problem> {
        let Some(receipt) = &self.after else { return Ok(Seen::Anything) };
        let waited = tokio::select! {
            biased;
            waited = read_models.wait_for(name, receipt, self.time_max) => waited,
            // A service that stops lets nobody wait for what this process may be the one to do.
            () = shared.stopping.cancelled() => Ok(Waited::TimedOut),
        };
        match waited.map_err(|error| of_wait(&error))? {
            Waited::Applied => Ok(Seen::Applied),
            Waited::Irrelevant => Ok(Seen::Irrelevant),
            Waited::Parked { reason } => Err(refusal::parked(name, receipt, reason)),
            Waited::TimedOut => Err(refusal::not_visible_yet(name, receipt)),
        }
    }
}

fn of_wait(error: &ReadModelError) -> Problem {
    match error {
        ReadModelError::Token(_) => foreign_receipt(),
        _ => refusal::of_read(error),
    }
}

/// The receipt is none of this service.
pub(crate) fn foreign_receipt() -> Problem {
    Problem::parameter("after", "not a receipt that an append or a command was answered with")
}

/// A time: `500ms`, `2s`, or whole seconds.
fn time(text: &str) -> Result<Duration, Problem> {
    let (digits, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1000),
        (None, None) => (text, 1000),
    };
    let form = || {
        let seconds = WAIT_TIME_MAX.as_secs();
        Problem::parameter("timeout", format!("such as 500ms, 2s or 2; at most {seconds}s"))
    };
    let number = whole_number("timeout", digits).map_err(|_| form())?;
    let time = Duration::from_millis(number.saturating_mul(unit));
    if time <= WAIT_TIME_MAX { Ok(time) } else { Err(form()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_forms() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("2s", 2000),
            ("2", 2000),
            ("0", 0),
            ("30", 30_000),
            ("30000ms", 30_000),
        ] {
            assert_eq!(time(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for wrong in [
            "",
            "s",
            "ms",
            "-1",
            "+1",
            "1.5s",
            "2 s",
            "1m",
            "31",
            "30001ms",
            "99999999999999999999",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
