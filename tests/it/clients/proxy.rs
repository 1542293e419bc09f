//! A proxy that stands between a client and the service, and does harm to the first connections.

use std::time::Duration;

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// What happens to a connection. Those that have no fate of their own are passed on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Its request reaches the service, and the answer is lost.
    Lose,
    /// It is answered 503 with this `Retry-After`, and does not reach the service.
    Refuse(Duration),
}

/// What the proxy has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The first lines of the answers that were lost.
    pub(super) lost: Vec<String>,
    /// The times from each refusal to the next connection.
    pub(super) pauses: Vec<Duration>,
}

pub(super) struct Proxy {
    base: String,
    stop: CancellationToken,
    working: JoinHandle<Seen>,
}

impl Proxy {
    pub(super) async fn start<const N: usize>(service: &str, fates: [Fate; N]) -> Self {
        let service = service.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let working = tokio::spawn(work(listener, service, fates.to_vec(), stop.clone()));
        Self { base, stop, working }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn end(self) -> Seen {
        self.stop.cancel();
        self.working.await.unwrap()
    }
}

async fn work(
    listener: TcpListener,
    service: String,
    fates: Vec<Fate>,
    stop: CancellationToken,
) -> Seen {
    let mut seen = Seen::default();
    let mut refused: Option<Instant> = None;
    let mut fates = fates.into_iter();
    // Dropped with this function, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (client, _) = accepted.unwrap();
        seen.pauses.extend(refused.take().map(|at| at.elapsed()));
        match fates.next() {
            Some(Fate::Lose) => seen.lost.push(lose(client, &service).await),
            Some(Fate::Refuse(pause)) => {
                refused = Some(Instant::now());
                refuse(client, pause).await;
            }
            None => {
                connections.spawn(pass_on(client, service.clone()));
            }
        }
    }
    seen
}

/// Passes on what the client sends until the service answers, and says how that begins.
async fn lose(mut client: TcpStream, service: &str) -> String {
    let mut service = TcpStream::connect(service).await.unwrap();
    let (mut from_client, _to_client) = client.split();
    let (mut from_service, mut to_service) = service.split();
    let mut answer = Vec::new();
    let answering = async {
        while !answer.contains(&b'\r') {
            assert_ne!(from_service.read_buf(&mut answer).await.unwrap(), 0, "no answer to lose");
        }
    };
    tokio::select! {
        () = answering => {}
        sent = io::copy(&mut from_client, &mut to_service) => {
            panic!("the client went away first: {sent:?}");
        }
    }
    String::from_utf8(answer).unwrap().lines().next().unwrap().to_owned()
}

async fn refuse(mut client: TcpStream, pause: Duration) {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {}\r\nconnection: close\r\n\
         content-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{{}}",
        pause.as_secs()
    );
    client.write_all(answer.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    // A connection that is closed with something unread takes the answer with it. A client that has its
    // answer may close it in any way.
    let _read = io::copy(&mut client, &mut io::sink()).await;
}

async fn pass_on(mut client: TcpStream, service: String) {
    let mut service = TcpStream::connect(service).await.unwrap();
    // Either side may end a connection at any time; what was lost on it is for the other side to see.
    let _passed = io::copy_bidirectional(&mut client, &mut service).await;
}
