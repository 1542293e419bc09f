//! A client with as little in it as possible: one connection, one request at a time.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::DATA;

/// A connection that is kept.
pub(crate) struct Connection {
    address: SocketAddr,
    socket: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, socket: None, buffer: Vec::new() }
    }

    /// Appends one event and reads the answer to its end.
    pub(crate) async fn append(&mut self, stream: &str, version: u64) {
        if self.socket.is_none() {
            let socket = TcpStream::connect(self.address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            self.socket = Some(socket);
        }
        let socket = self.socket.as_mut().unwrap();
        let body = format!(
            r#"{{"expectedVersion":{version},"events":[{{"type":"ContactDetailsSet","data":{DATA}}}]}}"#
        );
        let request = format!(
            "POST /streams/{stream}/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: \
             application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        self.buffer.clear();
        let end = loop {
            assert!(socket.read_buf(&mut self.buffer).await.unwrap() > 0, "the connection ended");
            if let Some(end) = end(&self.buffer) {
                break end;
            }
        };
        while self.buffer.len() < end {
            assert!(socket.read_buf(&mut self.buffer).await.unwrap() > 0, "the connection ended");
        }
        let status = String::from_utf8_lossy(&self.buffer[..12]);
        assert_eq!(status, "HTTP/1.1 201", "{}", String::from_utf8_lossy(&self.buffer));
    }
}

/// Where an answer ends, as soon as its header is there.
fn end(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]);
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    Some(head + length.parse::<usize>().unwrap())
}
