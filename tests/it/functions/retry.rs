//! Policies of retries, without the waits: the host keeps the count in memory.

use std::time::Duration;

use serde_json::{Value, json};

/// The `retry` of a `function.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    /// Nothing is for ever.
    pub(super) retries_max: Option<u64>,
    pub(super) delay: Duration,
}

impl Policy {
    /// Reads the policy of a function; none is one that does not repeat.
    pub(super) fn of(function: &Value) -> Option<Self> {
        let retry = function.get("retry")?;
        assert_eq!(retry["strategy"], "fixedDelay", "{retry}");
        let count = retry["maxRetryCount"].as_i64().unwrap();
        assert!(count >= -1, "{retry}");
        let delay: Vec<u64> = retry["delayInterval"]
            .as_str()
            .unwrap()
            .split(':')
            .map(|part| part.parse().unwrap())
            .collect();
        let delay = Duration::from_secs((delay[0] * 60 + delay[1]) * 60 + delay[2]);
        assert!(delay > Duration::ZERO, "{retry}");
        Some(Self { retries_max: u64::try_from(count).ok(), delay })
    }

    pub(super) fn has_more(&self, retries: u64) -> bool {
        self.retries_max.is_none_or(|max| retries < max)
    }

    /// `Metadata.RetryContext`.
    pub(super) fn context(&self, retries: u64, failure: &str) -> Value {
        let max = self.retries_max.map_or(-1, |max| i64::try_from(max).unwrap());
        json!({"RetryCount": retries, "MaxRetryCount": max, "Exception": {"Message": failure}})
    }
}

#[test]
fn policies_are_read_as_they_stand() {
    let policy = |count: i64| {
        let function = json!({"retry": {"strategy": "fixedDelay", "maxRetryCount": count,
                                        "delayInterval": "00:01:10"}});
        Policy::of(&function).unwrap()
    };
    assert_eq!(policy(2), Policy { retries_max: Some(2), delay: Duration::from_secs(70) });
    assert!(policy(2).has_more(1) && !policy(2).has_more(2) && policy(-1).has_more(u64::MAX));
    assert_eq!(Policy::of(&json!({})), None);
}
