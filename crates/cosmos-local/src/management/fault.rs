//! Faults as callers describe them: which requests they hit, what happens, and for how long.

use serde::{Deserialize, Serialize};

/// A fault to inject.
///
/// ```
/// use cosmos_local::{Fault, FaultAction};
///
/// // The next batch is applied, but its answer never arrives.
/// let fault = Fault::new(FaultAction::DropAfter).on_kind("batch").times(1);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Fault {
    /// Which requests it hits; everything that is left out matches.
    #[serde(rename = "match", default, skip_serializing_if = "FaultMatch::is_any")]
    pub matches: FaultMatch,
    /// What happens to them.
    pub action: FaultAction,
    /// Matching requests that pass before the first is hit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skip: u64,
    /// Requests that are hit before the fault is over; without end when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Seconds after which the fault is over; without end when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// Which requests a fault hits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FaultMatch {
    /// Kinds of request, as they are counted; any when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// HTTP method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Id of the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Id of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Value of the partition key, as in the request's header but without the brackets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<serde_json::Value>,
}

impl FaultMatch {
    fn is_any(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum FaultAction {
    /// It is answered with an error and not applied.
    Status {
        /// HTTP status, 400 to 599.
        status: u16,
        /// Value of `x-ms-substatus`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        substatus: Option<u32>,
        /// Value of `x-ms-retry-after-ms`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// It is handled later than it arrived.
    Delay {
        /// How much later.
        ms: u64,
    },
    /// Its connection is closed, and it is not applied.
    DropBefore,
    /// It is applied, then its connection is closed without an answer: the ambiguous time-out.
    DropAfter,
    /// It is answered with 429/3200 when there are too many.
    Throttle(Throttle),
}

/// How many requests are too many; exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Throttle {
    /// Requests that pass in each second; the others are to come back when the second is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Share of the requests that are refused, 0 to 1, spread evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// What refused requests are told to wait under a ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Throttle {
    /// Lets `requests` pass in each second.
    pub fn per_second(requests: f64) -> Self {
        Self { requests_per_second: Some(requests), ..Self::default() }
    }

    /// Refuses this share of the requests.
    pub fn ratio(ratio: f64) -> Self {
        Self { ratio: Some(ratio), ..Self::default() }
    }
}

impl Fault {
    /// A fault that hits every request until it is removed.
    pub fn new(action: FaultAction) -> Self {
        Self { matches: FaultMatch::default(), action, skip: 0, count: None, seconds: None }
    }

    /// Hits requests of this kind; call it again for further kinds.
    #[must_use]
    pub fn on_kind(mut self, kind: impl Into<String>) -> Self {
        self.matches.kinds.push(kind.into());
        self
    }

    /// Hits requests to this container only.
    #[must_use]
    pub fn in_container(mut self, container: impl Into<String>) -> Self {
        self.matches.container = Some(container.into());
        self
    }

    /// Hits requests with this partition key only.
    #[must_use]
    pub fn with_partition_key(mut self, key: impl Into<serde_json::Value>) -> Self {
        self.matches.partition_key = Some(key.into());
        self
    }

    /// Lets this many matching requests pass first.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Ends after this many hits.
    #[must_use]
    pub fn times(mut self, hits: u64) -> Self {
        self.count = Some(hits);
        self
    }

    /// Ends after this many seconds.
    #[must_use]
    pub fn for_seconds(mut self, seconds: f64) -> Self {
        self.seconds = Some(seconds);
        self
    }
}

/// A fault that is in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActiveFault {
    /// Names the fault until the process ends.
    pub id: u64,
    /// Requests that it has hit.
    pub hits: u64,
    /// The fault as it was given.
    #[serde(flatten)]
    pub fault: Fault,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
