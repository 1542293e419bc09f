//! Tokens that are good, and all the ways in which one is not.

use std::time::Duration;

use cosmos_event_store::http::access::Access;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Guarded, NOT_ACCEPTED, OBJECT_ID, assert_unknown, bearer, key, keys,
    tenant::issuer,
    token::{SigningKey, Token},
};

/// Each of these is refused, and the good token is not.
async fn assert_refused(guarded: &Guarded, tokens: Vec<(&str, String)>) {
    let mut accepted = Vec::new();
    for (what, token) in tokens {
        let answer = guarded.read(&token).await;
        if answer.status == 401 {
            assert_unknown(&answer, NOT_ACCEPTED);
        } else {
            accepted.push((what, answer.status));
        }
    }
    assert!(accepted.is_empty(), "not refused: {accepted:?}");
    guarded.read(&guarded.token().signed()).await.ok(200);
}

#[tokio::test]
async fn a_token_of_the_tenant_is_accepted() {
    let guarded = Guarded::new().await;
    guarded.read(&guarded.token().signed()).await.ok(200);
    let write = guarded.token().roles(&["EventStore.Write"]).signed();
    bearer(&guarded.served, Method::POST, "/streams/s-1/events", &write).await.ok(201);
    let event = &guarded.served.fixture.events("s-1").await[0];
    assert_eq!(event.metadata().actor.as_deref(), Some(OBJECT_ID));
    // Of version 1, without the object id, and with a list of audiences.
    let old = guarded.token().claim("azp", Value::Null).claim("appid", json!("app-1"));
    let old = old.claim("oid", Value::Null).roles(&["EventStore.Write"]);
    bearer(&guarded.served, Method::POST, "/streams/s-2/events", &old.signed()).await.ok(201);
    let event = &guarded.served.fixture.events("s-2").await[0];
    assert_eq!(event.metadata().actor.as_deref(), Some("app-1"));
    assert_eq!(guarded.tenant.asked(), 1);
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let guarded = Guarded::new().await;
    let good = guarded.token().signed();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    assert_refused(
        &guarded,
        vec![
            ("two parts", format!("{header}.{claims}")),
            ("four parts", format!("{good}.{signature}")),
            ("empty parts", "..".to_owned()),
            ("no signature", format!("{header}.{claims}.")),
            ("no JSON", "eA.eA.eA".to_owned()),
            ("no base64", format!("!{header}.{claims}.{signature}")),
            ("a cut signature", good[..good.len() - 8].to_owned()),
            ("other claims", format!("{header}.{}.{signature}", claims.to_uppercase())),
            ("a key", key("reader")),
        ],
    )
    .await;
    let in_the_other_header = guarded.served.get_with("/streams", &[("api-key", &good)]).await;
    assert_unknown(&in_the_other_header, NOT_ACCEPTED);
}

#[tokio::test]
async fn claims_of_others_are_refused() {
    let guarded = Guarded::new().await;
    let with = |name: &str, value: Value| guarded.token().claim(name, value).signed();
    let issuer = issuer();
    let other_tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let mut tokens = vec![
        ("another issuer", with("iss", json!("https://login.example/other/v2.0"))),
        ("almost the issuer", with("iss", json!(format!("{issuer}/")))),
        ("a list of issuers", with("iss", json!([issuer, "https://login.example/other"]))),
        ("another audience", with("aud", json!("00000003-0000-0000-c000-000000000000"))),
        ("an empty audience", with("aud", json!(""))),
        ("no audience in a list", with("aud", json!([]))),
        ("another tenant", with("tid", json!(other_tenant))),
        ("a sign-in", with("azp", Value::Null)),
        ("an application without a name", with("azp", json!(""))),
        ("a name that does not fit into a log", with("oid", json!("a\nb"))),
        ("a name that is too long", with("oid", json!("a".repeat(129)))),
        ("a text as time", with("exp", json!("9999999999"))),
        ("a negative time", with("exp", json!(-1))),
        ("roles that are none", with("roles", json!({"EventStore.Read": true}))),
    ];
    for name in ["iss", "aud", "exp", "nbf", "tid"] {
        tokens.push((name, with(name, Value::Null)));
    }
    assert_refused(&guarded, tokens).await;
}

#[tokio::test]
async fn signatures_of_others_are_refused() {
    let guarded = Guarded::new().await;
    let good = guarded.token();
    let nothing = |algorithm: &str| {
        format!("{}.", guarded.token().header("alg", json!(algorithm)).unsigned())
    };
    let long = good.clone().header("alg", json!("RS512")).signed();
    let claimed = good.clone().signed();
    let mut tokens = vec![
        ("another key under the same id", good.clone().key(SigningKey::second()).signed()),
        ("an id that nobody has", good.clone().header("kid", json!("k-9")).signed()),
        ("no id", good.clone().header("kid", Value::Null).signed()),
        ("another algorithm of the same key", long),
        (
            "RS512 signed as RS256",
            claimed.replacen(
                claimed.split('.').next().unwrap(),
                nothing("RS512").split('.').next().unwrap(),
                1,
            ),
        ),
        (
            "an extension that must be understood",
            good.clone().header("crit", json!(["b64"])).signed(),
        ),
        ("its own key", {
            let own = SigningKey::second().public("k-9");
            good.clone()
                .key(SigningKey::second())
                .header("kid", json!("k-9"))
                .header("jwk", own)
                .signed()
        }),
        ("a key that it says where to find", {
            let place = json!("https://login.example/keys");
            good.clone()
                .key(SigningKey::second())
                .header("kid", json!("k-9"))
                .header("jku", place)
                .signed()
        }),
    ];
    for algorithm in ["none", "None", "NONE", "nOnE", "", "RS256", "HS256"] {
        tokens.push(("no signature", nothing(algorithm)));
        let with_one = guarded.token().header("alg", json!(algorithm)).signed_by_secret(b"");
        tokens.push(("an empty secret", with_one));
    }
    for secret in SigningKey::first().public_forms() {
        for algorithm in ["HS256", "RS256"] {
            let token = guarded.token().header("alg", json!(algorithm));
            tokens.push(("the public key as a secret", token.signed_by_secret(&secret)));
        }
    }
    assert_refused(&guarded, tokens).await;
}

#[tokio::test]
async fn a_token_is_good_from_its_begin_to_its_end() {
    let guarded = Guarded::new().await;
    let token = guarded.token().signed();
    let minute = Duration::from_mins(1);
    let good = async |guarded: &Guarded| guarded.read(&token).await.status == 200;
    assert!(good(&guarded).await);
    // The clocks may differ by a minute.
    guarded.clock.set("2026-11-20T09:59:00Z".parse().unwrap());
    assert!(good(&guarded).await);
    guarded.clock.set("2026-11-20T09:58:59Z".parse().unwrap());
    assert_unknown(&guarded.read(&token).await, NOT_ACCEPTED);
    guarded.clock.set("2026-11-20T11:00:59Z".parse().unwrap());
    assert!(good(&guarded).await);
    guarded.clock.advance(Duration::from_secs(1));
    assert_unknown(&guarded.read(&token).await, "the token has expired");
    // Who did not sign it does not learn even that.
    let forged = Token::of(SigningKey::second(), "k-1");
    let forged = forged.claim("nbf", json!(0)).claim("exp", json!(1)).signed();
    assert_unknown(&guarded.read(&forged).await, NOT_ACCEPTED);
    guarded.clock.advance(minute);
    guarded.read(&guarded.token().signed()).await.ok(200);
}

#[tokio::test]
async fn roles_and_consents_become_scopes() {
    let guarded = Guarded::new().await;
    let may = async |token: &Token| {
        let token = token.signed();
        let read = bearer(&guarded.served, Method::GET, "/streams", &token).await;
        let write = bearer(&guarded.served, Method::POST, "/streams/s-1/events", &token).await;
        let admin = bearer(&guarded.served, Method::GET, "/metrics", &token).await;
        let mut may = String::new();
        for (answer, name, scope) in
            [(read, 'r', "read"), (write, 'w', "write"), (admin, 'a', "admin")]
        {
            if answer.status == 403 {
                assert_eq!(answer.problem(403, "forbidden")["scope"], scope);
            } else {
                assert!([200, 201].contains(&answer.status), "{answer:?}");
                may.push(name);
            }
        }
        may
    };
    let no_roles = guarded.token().claim("roles", Value::Null);
    assert_eq!(may(&no_roles).await, "");
    for (roles, expected) in [
        (&[][..], ""),
        (&["EventStore.Other", "eventstore.read", "EventStore"], ""),
        (&["EventStore.Read"], "r"),
        (&["EventStore.Write"], "w"),
        (&["EventStore.Admin"], "a"),
        (&["EventStore.Read", "EventStore.Write", "EventStore.Admin"], "rwa"),
    ] {
        assert_eq!(may(&guarded.token().roles(roles)).await, expected, "{roles:?}");
    }
    let consent = |scp: &str| guarded.token().claim("roles", Value::Null).claim("scp", json!(scp));
    assert_eq!(may(&consent("EventStore.Write EventStore.Read")).await, "rw");
    assert_eq!(may(&consent("User.Read EventStore.ReadAll")).await, "");
    // What an application may do for a user is bounded by what the user may do, and the other way round.
    let both =
        consent("EventStore.Read EventStore.Write").roles(&["EventStore.Read", "EventStore.Admin"]);
    assert_eq!(may(&both).await, "r");
}

#[tokio::test]
async fn keys_and_tokens_are_accepted_side_by_side() {
    let guarded = Guarded::with(Access::none().with_keys(keys())).await;
    guarded.read(&guarded.token().signed()).await.ok(200);
    guarded.read(&key("reader")).await.ok(200);
    guarded.served.get_with("/streams", &[("api-key", &key("reader"))]).await.ok(200);
    let missing = guarded.read(&key("writer")).await.problem(403, "forbidden");
    assert_eq!(missing["scope"], "read");
    for wrong in ["a.b.c", "x"] {
        assert_unknown(&guarded.read(wrong).await, NOT_ACCEPTED);
    }
    assert_eq!(guarded.tenant.asked(), 1);
}
