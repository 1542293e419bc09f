//! Metadata: what is known about an event besides what happened.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BadInput, JsonProblem, Part, json};

/// The names of the fields.
const FIELDS: [&str; 6] =
    ["correlationId", "causationId", "traceparent", "tracestate", "actor", "custom"];

/// What is known about an event besides what happened. All of it is optional, and none of it
/// counts when the store compares a repeated event with the stored one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Metadata {
    /// What all events of one business transaction share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The command or event that caused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The W3C trace context's `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The W3C trace context's `tracestate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Whatever else the application wants to keep.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub custom: Map<String, Value>,
}

impl Metadata {
    /// Sets what all events of one business transaction share.
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Sets the command or event that caused this one.
    #[must_use]
    pub fn with_causation_id(mut self, id: impl Into<String>) -> Self {
        self.causation_id = Some(id.into());
        self
    }

    /// Sets the W3C trace context.
    #[must_use]
    pub fn with_trace(
        mut self,
        traceparent: impl Into<String>,
        tracestate: Option<String>,
    ) -> Self {
        self.traceparent = Some(traceparent.into());
        self.tracestate = tracestate;
        self
    }

    /// Sets who did it.
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Adds a value of the application's own.
    #[must_use]
    pub fn with_custom(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.custom.insert(key.into(), value.into());
        self
    }

    /// Reads metadata from JSON text of the stored form, for example from an export.
    ///
    /// # Errors
    ///
    /// [`BadInput::Json`] when it is not JSON, has a number that cannot be stored, or is not of the
    /// stored form. A field of another name is refused, so that it does not get lost: fields of the
    /// application's own belong under `custom`.
    pub fn from_json(text: &str) -> Result<Self, BadInput> {
        let invalid = |pointer: String, reason: &str| BadInput::Json {
            part: Part::Metadata,
            pointer,
            problem: JsonProblem::Invalid(reason.to_owned()),
        };
        let value = json::parse(Part::Metadata, text)?;
        let Some(fields) = value.as_object() else {
            return Err(invalid(String::new(), "metadata is an object"));
        };
        if let Some(key) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            let key = key.replace('~', "~0").replace('/', "~1");
            return Err(invalid(format!("/{key}"), "not a field of metadata, put it under custom"));
        }
        serde_json::from_value(value)
            .map_err(|_| invalid(String::new(), "not metadata: a field has another type"))
    }

    /// Checks what can hold numbers.
    pub(crate) fn check(&self) -> Result<(), BadInput> {
        for (key, value) in &self.custom {
            json::check(Part::Metadata, value).map_err(|problem| below_custom(key, problem))?;
        }
        Ok(())
    }
}

fn below_custom(key: &str, problem: BadInput) -> BadInput {
    match problem {
        BadInput::Json { part, pointer, problem } => {
            let key = key.replace('~', "~0").replace('/', "~1");
            BadInput::Json { part, pointer: format!("/custom/{key}{pointer}"), problem }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_fields_are_not_written() {
        assert_eq!(serde_json::to_value(Metadata::default()).unwrap(), json!({}));
        let metadata = Metadata::default().with_actor("api").with_custom("n", 1);
        let text = serde_json::to_string(&metadata).unwrap();
        assert_eq!(text, r#"{"actor":"api","custom":{"n":1}}"#);
        assert_eq!(Metadata::from_json(&text).unwrap(), metadata);
    }

    #[test]
    fn numbers_are_checked_with_their_place() {
        let metadata = Metadata::default().with_custom("a/b", json!([u64::MAX]));
        assert_eq!(
            metadata.check(),
            Err(BadInput::Json {
                part: Part::Metadata,
                pointer: "/custom/a~1b/0".to_owned(),
                problem: JsonProblem::InexactInteger { token: u64::MAX.to_string() },
            })
        );
        assert!(matches!(
            Metadata::from_json(r#"{"actor":"api","user":"me"}"#),
            Err(BadInput::Json { pointer, problem: JsonProblem::Invalid(_), .. })
                if pointer == "/user"
        ));
        assert!(Metadata::from_json("[]").is_err());
        assert!(matches!(
            Metadata::from_json(r#"{"custom":{"a":1,"a":2}}"#),
            Err(BadInput::Json { pointer, problem: JsonProblem::DuplicateKey, .. })
                if pointer == "/custom/a"
        ));
    }
}
