//! The feed as server-sent events, read message by message.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Streams, append, note, page, text};
use crate::{
    fixture::{DATABASE, events},
    http::service::{PATIENCE, Served, send, until},
};

/// The pages of 4 MB that the buffers of a connection on this machine may have in them: a few.
const PAGES_HELD_MAX: u64 = 6;
const ACCEPT: (&str, &str) = ("accept", "text/event-stream");

/// A connection with server-sent events.
struct Source {
    answer: Response,
    buffer: String,
    last_id: Option<String>,
}

/// One message.
#[derive(Debug, Default)]
struct Message {
    id: Option<String>,
    data: Option<String>,
    retry: Option<u64>,
    is_comment: bool,
}

impl Source {
    async fn open(served: &Served, path: &str, last_id: Option<&str>) -> Self {
        let mut request = served.request(Method::GET, path).header(ACCEPT.0, ACCEPT.1);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut source = Self { answer, buffer: String::new(), last_id: None };
        let hello = source.message().await.expect("it says hello");
        assert_eq!(hello.retry, Some(1000));
        source
    }

    /// The next message or comment; nothing when the stream has ended as it should.
    async fn message(&mut self) -> Option<Message> {
        let text = loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let rest = self.buffer.split_off(end + 2);
                break std::mem::replace(&mut self.buffer, rest);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk()).await;
            let chunk = chunk.expect("something comes").expect("the stream ends as it should");
            let Some(chunk) = chunk else {
                assert_eq!(self.buffer, "", "it ends between messages");
                return None;
            };
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        };
        let mut message = Message::default();
        for line in text.trim_end().lines() {
            let (name, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                "id" => message.id = Some(value),
                "data" => assert_eq!(message.data.replace(value), None),
                "retry" => message.retry = Some(value.parse().unwrap()),
                "" => message.is_comment = true,
                other => panic!("{other}"),
            }
        }
        if message.id.is_some() {
            self.last_id.clone_from(&message.id);
        }
        Some(message)
    }

    /// The next event.
    async fn event(&mut self) -> Value {
        loop {
            let message = self.message().await.expect("there is more");
            if let Some(data) = message.data {
                assert!(message.id.is_some(), "every event has an id");
                return serde_json::from_str(&data).unwrap();
            }
        }
    }

    async fn events(&mut self, read: &mut Streams, all: &Streams) {
        while read != all {
            note(read, &self.event().await);
        }
    }
}

#[tokio::test]
async fn events_come_as_they_are_stored() {
    let served = Served::new().await;
    let (mut all, mut read) = (Streams::new(), Streams::new());
    append(&served, &mut all).await;
    let mut source = Source::open(&served, "/feed", None).await;
    source.events(&mut read, &all).await;
    append(&served, &mut all).await;
    source.events(&mut read, &all).await;
    served.control().split(DATABASE, "events", Some(0), None).await.unwrap();
    append(&served, &mut all).await;
    source.events(&mut read, &all).await;
    let seen = page(&served, "/feed?after=now").await;
    let mut other =
        Source::open(&served, &format!("/feed?after={}", text(&seen, "after")), None).await;
    served.fixture.given("last", &events(1)).await;
    for source in [&mut source, &mut other] {
        assert_eq!(source.event().await["stream"], "last");
    }
}

#[tokio::test]
async fn a_reader_that_comes_back_with_the_last_id_sees_each_event_once() {
    let served = Served::new().await;
    let (mut all, mut read) = (Streams::new(), Streams::new());
    append(&served, &mut all).await;
    let mut last: Option<String> = None;
    let mut connections = 0;
    while read != all {
        let mut source = Source::open(&served, "/feed", last.as_deref()).await;
        for _ in 0..3 {
            if read != all {
                note(&mut read, &source.event().await);
            }
        }
        last = source.last_id;
        connections += 1;
        if connections == 2 {
            served.control().split(DATABASE, "events", Some(0), None).await.unwrap();
            append(&served, &mut all).await;
        }
    }
    assert!(connections > 5);
}

#[tokio::test]
async fn a_reader_that_has_seen_nothing_has_an_id_to_come_back_with() {
    let served = Served::new().await;
    append(&served, &mut Streams::new()).await;
    let source = Source::open(&served, "/feed?after=now", None).await;
    let last = source.last_id.clone().unwrap();
    drop(source);
    served.fixture.given("meanwhile", &events(1)).await;
    let mut source = Source::open(&served, "/feed?after=now", Some(&last)).await;
    assert_eq!(source.event().await["stream"], "meanwhile");
}

#[tokio::test]
async fn ids_that_cannot_be_used_are_refused() {
    let served = Served::new().await;
    for bad in ["", "x", "\u{e9}"] {
        let answer = served.get_with("/feed", &[ACCEPT, ("last-event-id", bad)]).await;
        let problem = answer.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["header"], "last-event-id");
    }
    let answer = served.get_with("/feed?after=x", &[ACCEPT]).await;
    assert_eq!(answer.problem(400, "invalid-parameter")["errors"][0]["parameter"], "after");
}

#[tokio::test]
async fn a_silent_connection_says_that_it_is_alive() {
    let served = Served::with(
        |store| store,
        // Shorter than a connection may be idle, and that shorter than the test.
        |service| {
            let beat = Duration::from_millis(50);
            service.with_feed_beat(beat).with_idle_time_max(Duration::from_millis(200))
        },
    )
    .await;
    let mut source = Source::open(&served, "/feed", None).await;
    for _ in 0..8 {
        let message = source.message().await.unwrap();
        assert!(message.is_comment && message.data.is_none(), "{message:?}");
    }
    served.fixture.given("s", &events(1)).await;
    assert_eq!(source.event().await["stream"], "s");
}

#[tokio::test]
async fn readers_are_bounded_and_do_not_count_as_requests() {
    let served =
        Served::with(|store| store, |service| service.with_feeds_max(2).with_requests_max(1)).await;
    let first = Source::open(&served, "/feed", None).await;
    let _second = Source::open(&served, "/feed", None).await;
    let answer = served.get_with("/feed", &[ACCEPT]).await;
    answer.problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    served.get("/streams").await.ok(200);
    // A place is free as soon as a reader is gone.
    drop(first);
    until(async || {
        let request = served.request(Method::HEAD, "/feed").header(ACCEPT.0, ACCEPT.1);
        send(request).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_service_ends_the_stream_and_nothing_is_cut() {
    let served = Served::new().await;
    let mut all = Streams::new();
    append(&served, &mut all).await;
    let mut waiting = Source::open(&served, "/feed?after=now", None).await;
    served.stop.cancel();
    while waiting.message().await.is_some() {}
    served.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_waited_for() {
    let served = Served::new().await;
    let large = "x".repeat(100_000);
    let count = 300_u64;
    for n in 0..count {
        let event =
            serde_json::json!({"events": [{"type": "Large", "data": {"n": n, "x": large}}]});
        served.post("large", &event).await.ok(201);
    }
    let mut socket = served.socket().await;
    let ask = "GET /feed HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    socket.write_all(ask.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    // What fits into the buffers of the connection is read from the store, and nothing more, while others
    // are served: a page has 4 MB, and all of them are more than buffers hold.
    let others = 20;
    for _ in 0..others {
        let other = page(&served, "/feed?limit=1000").await;
        assert_eq!(other["caughtUp"], false);
    }
    let pages = served.control().counts().of("change_feed") - others;
    assert!((1..=PAGES_HELD_MAX).contains(&pages), "{pages}");
    // Then it reads on, and all of it is there.
    let mut buffer = vec![0; 1 << 20];
    let mut seen = 0;
    let mut tail = String::new();
    while seen < count {
        let read = tokio::time::timeout(PATIENCE, socket.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(read, 0);
        tail.push_str(&String::from_utf8_lossy(&buffer[..read]));
        seen += u64::try_from(tail.matches("\ndata: {").count()).unwrap();
        tail = tail.split_off(tail.len().saturating_sub(7));
    }
    assert_eq!(seen, count);
}
