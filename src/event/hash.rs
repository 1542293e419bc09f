//! The content hash: what tells a repeated event from another one under the same id.

use std::{fmt, str::FromStr};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::canonical::{write_infallibly, write_string, write_value};

/// The derivation of today. A keyed one will have a prefix of its own.
const HASH_PREFIX: &str = "v1:";

/// `v1:` and the SHA-256 of the canonical JSON (RFC 8785) of an event's type, schema version and
/// data. Metadata, times and ids are left out, so an append can be repeated with new metadata.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentHash(String);

impl ContentHash {
    /// The stored form, for example `v1:44136fa3...` with 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .strip_prefix(HASH_PREFIX)
            .ok_or_else(|| format!("a content hash starts with {HASH_PREFIX}"))?;
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.len() == 64 && digits.bytes().all(lower_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a content hash has 64 lower-case hexadecimal digits".to_owned())
        }
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", self.0)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hashes an event's content. `scratch` holds the canonical JSON in between; a caller with many
/// events passes the same one.
pub(crate) fn content_hash(
    scratch: &mut String,
    event_type: &str,
    schema_version: u32,
    data: &Value,
) -> ContentHash {
    scratch.clear();
    // The three keys in their canonical order.
    scratch.push_str("{\"data\":");
    write_value(scratch, data);
    write_infallibly(scratch, format_args!(",\"schemaVersion\":{schema_version},\"type\":"));
    write_string(scratch, event_type);
    scratch.push('}');
    let digest = Sha256::digest(scratch.as_bytes());
    let mut text = String::with_capacity(HASH_PREFIX.len().saturating_add(64));
    text.push_str(HASH_PREFIX);
    for byte in digest {
        text.push(hex_digit(byte >> 4));
        text.push(hex_digit(byte & 0x0f));
    }
    ContentHash(text)
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn hash(event_type: &str, schema_version: u32, data: &Value) -> String {
        content_hash(&mut String::new(), event_type, schema_version, data).to_string()
    }

    /// Frozen: a change of any of these breaks the recognition of repeats in every store.
    /// Each can be checked with `printf '%s' '<canonical JSON>' | sha256sum`.
    #[test]
    fn golden_hashes() {
        // {"data":{},"schemaVersion":1,"type":"Opened"}
        assert_eq!(
            hash("Opened", 1, &json!({})),
            "v1:0b72e7605cc9f893ef24943439862c058e9e8a3c279036725d4a301fc1d3b06f"
        );
        // {"data":{"a":[1,0.1,null],"b":"x\n"},"schemaVersion":2,"type":"Saved"}
        assert_eq!(
            hash("Saved", 2, &json!({"b": "x\n", "a": [1.0, 0.1, null]})),
            "v1:87d646dcef63feb269e1af78a46903770039f54618085eee1287936253cd2820"
        );
    }

    #[test]
    fn the_stored_form_is_read_strictly() {
        let text = hash("Opened", 1, &json!(null));
        assert_eq!(text.parse::<ContentHash>().unwrap().as_str(), text);
        assert!(text.to_uppercase().parse::<ContentHash>().is_err());
        assert!("v2:00".parse::<ContentHash>().is_err());
        assert!("v1:00".parse::<ContentHash>().is_err());
    }

    #[test]
    fn type_version_and_data_all_count() {
        let base = hash("Opened", 1, &json!({"a": 1}));
        assert_ne!(base, hash("Closed", 1, &json!({"a": 1})));
        assert_ne!(base, hash("Opened", 2, &json!({"a": 1})));
        assert_ne!(base, hash("Opened", 1, &json!({"a": 2})));
    }

    proptest! {
        #[test]
        fn the_order_of_keys_does_not_matter(keys in proptest::collection::btree_set("[a-z\u{e0}-\u{ff}]{1,4}", 0..8)) {
            let forwards: serde_json::Map<String, Value> =
                keys.iter().map(|key| (key.clone(), json!(key.len()))).collect();
            let backwards: serde_json::Map<String, Value> =
                keys.iter().rev().map(|key| (key.clone(), json!(key.len()))).collect();
            prop_assert_eq!(
                hash("T", 1, &Value::Object(forwards)),
                hash("T", 1, &Value::Object(backwards))
            );
        }
    }
}
