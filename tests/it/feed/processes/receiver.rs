//! A tiny HTTP server that takes deliveries, and answers as the test wants.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::sync::watch;

use super::{
    fleet::PATIENCE,
    ledger::{Ledger, numbers},
};

/// What a delivery is answered with, by its stream and attempt.
type Answer = dyn Fn(&str, u64) -> u16 + Send + Sync;

/// A request as it came.
struct Post {
    stream: String,
    key: String,
    first: u64,
    last: u64,
}

struct Shared {
    answer: Box<Answer>,
    posts: Mutex<Vec<Post>>,
    posted: watch::Sender<()>,
    taken: watch::Sender<Ledger>,
}

pub(crate) struct Receiver {
    shared: Arc<Shared>,
    address: String,
}

impl Receiver {
    pub(crate) fn start(answer: impl Fn(&str, u64) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            posts: Mutex::new(Vec::new()),
            posted: watch::Sender::new(()),
            taken: watch::Sender::new(Ledger::default()),
        });
        let taken_by = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&taken_by);
                std::thread::spawn(move || serve(&stream.unwrap(), &shared));
            }
        });
        Self { shared, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events?code=secret", self.address)
    }

    /// Waits until something holds of what was taken.
    pub(crate) async fn wait(&self, is_so: impl FnMut(&Ledger) -> bool) {
        let mut taken = self.shared.taken.subscribe();
        let waited = tokio::time::timeout(PATIENCE, taken.wait_for(is_so)).await;
        assert!(waited.is_ok(), "{:?}", self.shared.taken.borrow());
    }

    /// Waits until a stream was tried so many times.
    pub(crate) async fn wait_attempts(&self, stream: &str, count: usize) {
        let mut posted = self.shared.posted.subscribe();
        let is_so = |(): &()| self.attempts(stream).len() >= count;
        let waited = tokio::time::timeout(PATIENCE, posted.wait_for(is_so)).await;
        assert!(waited.is_ok(), "{stream} was tried {} times", self.attempts(stream).len());
    }

    /// What was taken.
    pub(crate) fn all_taken(&self) -> Ledger {
        self.shared.taken.borrow().clone()
    }

    /// The numbers of the events of a stream that were taken, as they came.
    pub(crate) fn taken(&self, stream: &str) -> Vec<u64> {
        self.shared.taken.borrow().of(stream)
    }

    /// The first and last event of each request of a stream.
    pub(crate) fn attempts(&self, stream: &str) -> Vec<(u64, u64)> {
        let posts = self.shared.posts.lock().unwrap();
        let of_stream = posts.iter().filter(|post| post.stream == stream);
        of_stream.map(|post| (post.first, post.last)).collect()
    }

    /// The idempotency keys of the requests of a stream.
    pub(crate) fn keys(&self, stream: &str) -> Vec<String> {
        let posts = self.shared.posts.lock().unwrap();
        let of_stream = posts.iter().filter(|post| post.stream == stream);
        of_stream.map(|post| post.key.clone()).collect()
    }
}

/// Answers the requests of one connection until it ends.
fn serve(stream: &TcpStream, shared: &Shared) {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    loop {
        let (mut length, mut key) = (0, String::new());
        let mut line = String::new();
        loop {
            line.clear();
            // The worker may be killed at any moment.
            if input.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line == "\r\n" {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "idempotency-key" => value.clone_into(&mut key),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if input.read_exact(&mut body).is_err() {
            return;
        }
        let status = take(&serde_json::from_slice(&body).unwrap(), key, shared);
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        if output.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn take(delivery: &Value, key: String, shared: &Shared) -> u16 {
    let stream = delivery["stream"].as_str().unwrap().to_owned();
    let numbers = numbers(delivery);
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let status = (shared.answer)(&stream, delivery["attempt"].as_u64().unwrap());
    shared.posts.lock().unwrap().push(Post { stream, key, first, last });
    shared.posted.send_replace(());
    if status == 200 {
        shared.taken.send_modify(|taken| taken.note("", delivery));
    }
    status
}
