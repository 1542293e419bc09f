//! Something on this machine that answers every request in the same way, for programs that ask what is not an endpoint
//! of ours.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// It answers until it is dropped, and keeps the heads of what it was asked.
pub(super) struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    answering: Option<JoinHandle<()>>,
}

impl Stub {
    /// `head` has what stands before the usual headers: the status, and more of them where they are needed.
    pub(super) fn new(head: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stopped, asking) = (Arc::clone(&stop), Arc::clone(&asked));
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {head}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: \
             close\r\n\r\n{body}"
        );
        let answering = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
                asking.lock().unwrap().push(lines.collect::<Vec<_>>().join("\n"));
                // Whoever has asked may have gone away.
                let _answered = stream.write_all(answer.as_bytes()).is_ok();
            }
        });
        Self { address, asked, stop, answering: Some(answering) }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// First lines and headers, a request behind the other, in small letters.
    pub(super) fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n\n").to_lowercase()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(answering) = self.answering.take() {
            answering.join().unwrap();
        }
    }
}
