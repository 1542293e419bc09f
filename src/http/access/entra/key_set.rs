//! The key set of a tenant: JSON (RFC 7517) to keys that signatures are checked with.

use std::{collections::HashMap, sync::Arc};

use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use uuid::Uuid;

use crate::http::limits::KEY_SET_KEYS_MAX;

/// What Entra ID writes in place of the tenant where a key is for all of them.
const ANY_TENANT: &str = "{tenantid}";

/// Keys by their id.
pub(super) type KeySet = HashMap<String, Arc<DecodingKey>>;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Key>,
}

/// A key as it is written. Other members, as certificates, do not count.
#[derive(Deserialize)]
struct Key {
    kty: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    /// Whose tokens it signs. A key set can have keys of other tenants.
    issuer: Option<String>,
}

/// The RSA keys for signatures of this tenant; nothing when the text is no key set, or has none of them.
pub(super) fn parse(text: &[u8], tenant: Uuid) -> Option<KeySet> {
    let document: Document = serde_json::from_slice(text).ok()?;
    let mut keys = KeySet::new();
    for key in document.keys {
        if keys.len() == KEY_SET_KEYS_MAX {
            break;
        }
        if let Some((kid, key)) = key.signing(tenant) {
            // Of two keys with one id the first counts, as for whoever looks for it from the front.
            keys.entry(kid).or_insert_with(|| Arc::new(key));
        }
    }
    (!keys.is_empty()).then_some(keys)
}

impl Key {
    fn signing(self, tenant: Uuid) -> Option<(String, DecodingKey)> {
        let is_rsa = self.kty.as_deref() == Some("RSA");
        let is_for_signatures = self.r#use.is_none_or(|it| it == "sig");
        let is_rs256 = self.alg.is_none_or(|it| it == "RS256");
        let is_ours = self.issuer.is_none_or(|issuer| is_of(&issuer, tenant));
        if !(is_rsa && is_for_signatures && is_rs256 && is_ours) {
            return None;
        }
        let kid = self.kid.filter(|kid| !kid.is_empty())?;
        // How long it is, and whether it is a key at all, shows when a signature is checked with it.
        Some((kid, DecodingKey::from_rsa_components(&self.n?, &self.e?).ok()?))
    }
}

fn is_of(issuer: &str, tenant: Uuid) -> bool {
    let tenant = tenant.to_string();
    issuer.split('/').any(|part| part == ANY_TENANT || part.eq_ignore_ascii_case(&tenant))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TENANT: Uuid = uuid::uuid!("8f5d1e06-1c2b-4a7d-9f3e-5b6c7d8e9f01");

    fn ids(keys: &Value) -> Option<Vec<String>> {
        let set = parse(json!({ "keys": keys }).to_string().as_bytes(), TENANT)?;
        let mut ids: Vec<String> = set.into_keys().collect();
        ids.sort_unstable();
        Some(ids)
    }

    fn key(kid: &str, more: &Value) -> Value {
        let mut key = json!({"kty": "RSA", "kid": kid, "n": "q83v", "e": "AQAB", "x5c": ["MII"]});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    #[test]
    fn only_signing_keys_of_the_tenant_count() {
        let of = |tenant: &str| json!({"issuer": format!("https://login.example/{tenant}/v2.0")});
        let keys = json!([
            key("a", &json!({})),
            key("b", &json!({"use": "sig", "alg": "RS256"})),
            key("c", &of("{tenantid}")),
            key("d", &of(&TENANT.to_string())),
            key("e", &of("9188040d-6c67-4c5b-b112-36a304b66dad")),
            key("f", &json!({"use": "enc"})),
            key("g", &json!({"alg": "RS512"})),
            key("h", &json!({"kty": "oct", "k": "AQAB"})),
            key("i", &json!({"n": "not base64 !"})),
            key("", &json!({})),
            {"kty": "RSA", "kid": "j"},
            {"kty": "EC", "kid": "k", "crv": "P-256"},
        ]);
        assert_eq!(ids(&keys).unwrap(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_text_without_a_key_is_no_key_set() {
        for text in ["", "{}", "[]", "<html>", "{\"keys\":[]}", "{\"keys\":[1]}"] {
            assert!(parse(text.as_bytes(), TENANT).is_none(), "{text}");
        }
        assert_eq!(ids(&json!([key("f", &json!({"use": "enc"}))])), None);
    }

    #[test]
    fn keys_are_bounded() {
        let many: Vec<Value> =
            (0..=KEY_SET_KEYS_MAX).map(|n| key(&n.to_string(), &json!({}))).collect();
        assert_eq!(ids(&json!(many)).unwrap().len(), KEY_SET_KEYS_MAX);
    }
}
