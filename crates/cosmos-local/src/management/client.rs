//! Asks another process's management port whether it is well.
//!
//! One request on one connection, so this needs no HTTP client.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A healthy endpoint on the same machine answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The answer is a small JSON object.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The answer to `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    /// Always `ok`; an endpoint that is not does not answer.
    pub status: String,
    /// The process that answers.
    pub pid: u32,
    /// Version of the program.
    pub version: String,
    /// Address of the endpoint.
    pub endpoint: String,
    /// The data folder; nothing for one in memory.
    pub data_dir: Option<String>,
    /// `strict` or `lenient`.
    pub mode: String,
}

/// Asks the management port at `url` (as endpoints publish it).
pub(crate) async fn health(url: &str) -> io::Result<Health> {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        parse(&answer)
    };
    timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn parse(answer: &[u8]) -> io::Result<Health> {
    let invalid = |reason| io::Error::new(io::ErrorKind::InvalidData, reason);
    let text = std::str::from_utf8(answer).map_err(|_| invalid("the answer is not text"))?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| invalid("it is not HTTP"))?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(invalid("the status is not 200"));
    }
    serde_json::from_str(body).map_err(|_| invalid("the body is not a health report"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_parsed() {
        let health = Health {
            status: "ok".to_owned(),
            pid: 7,
            version: "0.1.0".to_owned(),
            endpoint: "http://127.0.0.1:1/".to_owned(),
            data_dir: None,
            mode: "strict".to_owned(),
        };
        let body = serde_json::to_string(&health).unwrap();
        let answer = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\na: b\r\n\r\n{body}");
        assert_eq!(parse(answer("200 OK", &body).as_bytes()).unwrap(), health);
        assert!(parse(answer("500 No", &body).as_bytes()).is_err());
        assert!(parse(answer("200 OK", "{}").as_bytes()).is_err());
        assert!(parse(b"\xFF").is_err() && parse(b"").is_err());
    }
}
