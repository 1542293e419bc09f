//! The key set of the tenant: when it is fetched, what happens when it changes, and when it cannot be had.

use std::time::Duration;

use cosmos_event_store::http::{
    access::Access,
    limits::{
        KEY_SET_BYTES_MAX, KEY_SET_FRESH, KEY_SET_PAUSE, KEY_SET_RETRY_AFTER, KEY_SET_USABLE_MAX,
    },
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{
    super::service::{Answer, Served, until},
    Guarded, NOT_ACCEPTED, NOW, assert_unknown, bearer,
    tenant::{Answering, Tenant, key_set},
    token::{SigningKey, Token},
};
use crate::fixture::manual_clock;

/// It cannot be checked now, which is no fault of the caller.
#[track_caller]
fn assert_unavailable(answer: &Answer) {
    answer.problem(503, "identity-unavailable");
    assert_eq!(answer.header("retry-after"), KEY_SET_RETRY_AFTER.as_secs().to_string());
    assert_eq!(answer.header("www-authenticate"), "");
}

#[tokio::test]
async fn it_is_fetched_with_the_first_token_and_kept() {
    let guarded = Guarded::new().await;
    guarded.served.get("/healthz").await.ok(200);
    guarded.served.get("/streams").await.problem(401, "unauthenticated");
    assert_eq!(guarded.tenant.asked(), 0);
    for _ in 0..3 {
        guarded.read(&guarded.token().signed()).await.ok(200);
    }
    assert_eq!(guarded.tenant.asked(), 1);
    guarded.clock.advance(KEY_SET_FRESH);
    for _ in 0..3 {
        guarded.read(&guarded.token().signed()).await.ok(200);
    }
    assert_eq!(guarded.tenant.asked(), 2);
}

#[tokio::test]
async fn a_new_key_is_accepted_at_once_and_an_old_one_not_for_long() {
    let guarded = Guarded::new().await;
    let old = || guarded.token().signed();
    let new = || guarded.token().header("kid", json!("k-2")).key(SigningKey::second()).signed();
    guarded.read(&old()).await.ok(200);
    guarded.clock.advance(KEY_SET_PAUSE);
    // Both at first, as tenants do it.
    guarded.tenant.rotate(&[("k-1", SigningKey::first()), ("k-2", SigningKey::second())]);
    guarded.read(&new()).await.ok(200);
    guarded.read(&old()).await.ok(200);
    assert_eq!(guarded.tenant.asked(), 2);
    guarded.tenant.rotate(&[("k-2", SigningKey::second())]);
    guarded.read(&old()).await.ok(200);
    guarded.clock.advance(KEY_SET_FRESH);
    assert_unknown(&guarded.read(&old()).await, NOT_ACCEPTED);
    guarded.read(&new()).await.ok(200);
    assert_eq!(guarded.tenant.asked(), 3);
    // The same id stands for another key.
    guarded.tenant.rotate(&[("k-2", SigningKey::first())]);
    guarded.clock.advance(KEY_SET_FRESH);
    assert_unknown(&guarded.read(&new()).await, NOT_ACCEPTED);
}

#[tokio::test]
async fn keys_that_nobody_has_do_not_have_it_fetched_again_and_again() {
    let guarded = Guarded::new().await;
    guarded.read(&guarded.token().signed()).await.ok(200);
    for n in 0..5 {
        let made_up = guarded.token().header("kid", json!(format!("x-{n}"))).signed();
        assert_unknown(&guarded.read(&made_up).await, NOT_ACCEPTED);
    }
    assert_eq!(guarded.tenant.asked(), 1);
    guarded.clock.advance(KEY_SET_PAUSE);
    for n in 0..5 {
        let made_up = guarded.token().header("kid", json!(format!("y-{n}"))).signed();
        assert_unknown(&guarded.read(&made_up).await, NOT_ACCEPTED);
    }
    assert_eq!(guarded.tenant.asked(), 2);
    guarded.read(&guarded.token().signed()).await.ok(200);
}

#[tokio::test]
async fn without_it_nobody_is_refused_and_nobody_let_in() {
    let guarded = Guarded::new().await;
    guarded.tenant.answer(Answering::With(500, String::new()));
    let token = guarded.token().signed();
    assert_unavailable(&guarded.read(&token).await);
    assert_unavailable(&guarded.read(&token).await);
    assert_eq!(guarded.tenant.asked(), 1);
    // What says of itself that it is no token of ours is refused without it.
    assert_unknown(
        &guarded.read(&guarded.token().header("alg", json!("HS256")).signed()).await,
        NOT_ACCEPTED,
    );
    guarded.tenant.rotate(&[("k-1", SigningKey::first())]);
    guarded.clock.advance(KEY_SET_RETRY_AFTER);
    guarded.read(&token).await.ok(200);
    assert_eq!(guarded.tenant.asked(), 2);
}

#[tokio::test]
async fn the_last_one_is_used_while_it_cannot_be_had_but_not_for_ever() {
    let guarded = Guarded::new().await;
    guarded.read(&guarded.token().signed()).await.ok(200);
    guarded.tenant.answer(Answering::With(503, String::new()));
    guarded.clock.advance(KEY_SET_FRESH);
    for _ in 0..3 {
        guarded.read(&guarded.token().signed()).await.ok(200);
    }
    assert_eq!(guarded.tenant.asked(), 2);
    // Whether there is a new key, nobody knows.
    assert_unavailable(&guarded.read(&guarded.token().header("kid", json!("k-2")).signed()).await);
    guarded.clock.advance(KEY_SET_PAUSE);
    guarded.read(&guarded.token().signed()).await.ok(200);
    assert_eq!(guarded.tenant.asked(), 3);
    let left = KEY_SET_USABLE_MAX.checked_sub(KEY_SET_FRESH + KEY_SET_PAUSE).unwrap();
    guarded.clock.advance(left);
    assert_unavailable(&guarded.read(&guarded.token().signed()).await);
    guarded.tenant.rotate(&[("k-1", SigningKey::first())]);
    guarded.clock.advance(KEY_SET_RETRY_AFTER);
    guarded.read(&guarded.token().signed()).await.ok(200);
}

#[tokio::test]
async fn what_is_no_key_set_changes_nothing() {
    let guarded = Guarded::new().await;
    guarded.read(&guarded.token().signed()).await.ok(200);
    let good = key_set(&[("k-2", SigningKey::second())]);
    let huge = format!("{good}{}", " ".repeat(KEY_SET_BYTES_MAX));
    // It would be taken if it were followed.
    let elsewhere = Tenant::with(&[("k-2", SigningKey::second())]).await;
    let place = elsewhere.options().keys_url().to_owned();
    let mut asked = 1;
    for answering in [
        Answering::With(200, "<html>".to_owned()),
        Answering::With(200, String::new()),
        Answering::With(200, "{\"keys\":[]}".to_owned()),
        Answering::With(200, huge),
        Answering::With(404, good.clone()),
        Answering::Elsewhere(place),
    ] {
        guarded.tenant.answer(answering);
        guarded.clock.advance(KEY_SET_FRESH / 4);
        let new = guarded.token().header("kid", json!("k-2")).key(SigningKey::second()).signed();
        assert_unavailable(&guarded.read(&new).await);
        asked += 1;
        assert_eq!(guarded.tenant.asked(), asked);
        guarded.read(&guarded.token().signed()).await.ok(200);
        asked = guarded.tenant.asked();
    }
    assert_eq!(elsewhere.asked(), 0);
    guarded.tenant.answer(Answering::With(200, good));
    guarded.clock.advance(KEY_SET_PAUSE);
    let new = guarded.token().header("kid", json!("k-2")).key(SigningKey::second()).signed();
    guarded.read(&new).await.ok(200);
}

#[tokio::test]
async fn many_wait_for_one_request() {
    let guarded = Guarded::of(Access::none(), |service| service.with_requests_max(8)).await;
    guarded.tenant.answer(Answering::Held(key_set(&[("k-1", SigningKey::first())])));
    let token = guarded.token().signed();
    let waiting = join_all((0..8).map(|_| guarded.read(&token)));
    let release = async {
        // There is no room for another one when all of them wait.
        until(async || guarded.served.get("/streams").await.status == 503).await;
        guarded.tenant.release();
    };
    let (answers, ()) = futures::future::join(waiting, release).await;
    for answer in answers {
        answer.ok(200);
    }
    assert_eq!(guarded.tenant.asked(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_request() {
    let guarded = Guarded::of(Access::none(), |service| service.with_requests_max(1)).await;
    guarded.tenant.answer(Answering::Held(key_set(&[("k-1", SigningKey::first())])));
    let token = guarded.token().signed();
    let asked = until(async || guarded.tenant.asked() == 1);
    futures::future::select(Box::pin(guarded.read(&token)), Box::pin(asked)).await;
    // It has its place no more.
    until(async || guarded.served.get("/streams").await.status == 401).await;
    guarded.tenant.release();
    guarded.read(&token).await.ok(200);
    assert_eq!(guarded.tenant.asked(), 1);
}

#[tokio::test]
async fn it_is_not_waited_for_without_end() {
    let tenant = Tenant::with(&[("k-1", SigningKey::first())]).await;
    tenant.answer(Answering::Held(String::new()));
    let clock = manual_clock(NOW);
    let entra = tenant.options().with_clock(clock.clone());
    let entra = entra.with_keys_time_max(Duration::from_millis(100));
    let access = Access::none().with_entra(entra).unwrap();
    let served = Served::with(|store| store, |service| service.with_access(access)).await;
    let token = Token::of(SigningKey::first(), "k-1").at(&clock).signed();
    let read = || bearer(&served, Method::GET, "/streams", &token);
    assert_unavailable(&read().await);
    // Nobody listens there any more.
    drop(tenant);
    clock.advance(KEY_SET_RETRY_AFTER);
    assert_unavailable(&read().await);
}
