//! Tokens as a tenant makes them, and as it does not.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer as _,
    encoding::PublicKeyX509Der,
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use cosmos_event_store::clock::{Clock, ManualClock};
use serde_json::{Value, json};

use super::{
    OBJECT_ID,
    tenant::{TENANT, issuer},
};

/// The audience of the service.
pub(super) const AUDIENCE: &str = "2b0c7a3e-4d5f-4c6b-8a9e-0f1e2d3c4b5a";

/// A key that signs. Made when it is needed, once for all tests.
pub(super) struct SigningKey(KeyPair);

static FIRST: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
static SECOND: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);

impl SigningKey {
    fn generate() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(super) fn first() -> &'static Self {
        &FIRST
    }

    pub(super) fn second() -> &'static Self {
        &SECOND
    }

    /// Its entry in a key set.
    pub(super) fn public(&self, kid: &str) -> Value {
        let key = self.0.public_key();
        json!({
            "kty": "RSA",
            "use": "sig",
            "kid": kid,
            "n": URL_SAFE_NO_PAD.encode(self.modulus()),
            "e": URL_SAFE_NO_PAD.encode(key.exponent().big_endian_without_leading_zero()),
        })
    }

    /// What is public of it, in the forms that a service may have taken for a secret.
    pub(super) fn public_forms(&self) -> Vec<Vec<u8>> {
        let der = self.0.public_key().as_der().unwrap();
        let der: &PublicKeyX509Der<'_> = &der;
        let base64 = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        let modulus = self.modulus();
        vec![
            pem.trim_end().as_bytes().to_vec(),
            pem.into_bytes(),
            der.as_ref().to_vec(),
            self.0.public_key().as_ref().to_vec(),
            URL_SAFE_NO_PAD.encode(&modulus).into_bytes(),
            modulus,
        ]
    }

    fn modulus(&self) -> Vec<u8> {
        self.0.public_key().modulus().big_endian_without_leading_zero().to_vec()
    }

    fn sign(&self, text: &str, algorithm: &str) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let padding = if algorithm == "RS512" { &RSA_PKCS1_SHA512 } else { &RSA_PKCS1_SHA256 };
        self.0.sign(padding, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        signature
    }
}

/// A token that is about to be signed.
#[derive(Clone)]
pub(super) struct Token {
    header: Value,
    claims: Value,
    key: &'static SigningKey,
}

impl Token {
    /// One of a tenant, for an application that may read.
    pub(super) fn of(key: &'static SigningKey, kid: &str) -> Self {
        Self {
            header: json!({"typ": "JWT", "alg": "RS256", "kid": kid}),
            claims: json!({
                "aud": AUDIENCE,
                "iss": issuer(),
                "tid": TENANT,
                "oid": OBJECT_ID,
                "sub": OBJECT_ID,
                "azp": "6d3c2b1a-0000-4000-8000-00000000000b",
                "roles": ["EventStore.Read"],
                "name": "Some Body",
                "preferred_username": "somebody@contoso.example",
                "ver": "2.0",
            }),
            key,
        }
    }

    /// Good from now on for an hour.
    pub(super) fn at(self, clock: &ManualClock) -> Self {
        let now = clock.now().as_second();
        self.claim("nbf", json!(now)).claim("exp", json!(now + 3600))
    }

    /// With another claim; without it where that is `null`.
    pub(super) fn claim(mut self, name: &str, value: Value) -> Self {
        set(&mut self.claims, name, value);
        self
    }

    pub(super) fn header(mut self, name: &str, value: Value) -> Self {
        set(&mut self.header, name, value);
        self
    }

    /// Signed by another key than the header says.
    pub(super) fn key(mut self, key: &'static SigningKey) -> Self {
        self.key = key;
        self
    }

    pub(super) fn roles(self, roles: &[&str]) -> Self {
        self.claim("roles", json!(roles))
    }

    /// Both parts that are signed.
    pub(super) fn unsigned(&self) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }

    /// Signed with RSA, as the header says.
    pub(super) fn signed(&self) -> String {
        let text = self.unsigned();
        let algorithm = self.header["alg"].as_str().unwrap_or_default();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(&text, algorithm)))
    }

    /// Signed with a secret.
    pub(super) fn signed_by_secret(&self, secret: &[u8]) -> String {
        let text = self.unsigned();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signature = hmac::sign(&key, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().unwrap();
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
}
