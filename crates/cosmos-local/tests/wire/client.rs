//! An endpoint of its own for each test, and a client that says what it means.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cosmos_local::{LocalCosmos, LocalCosmosBuilder, Mode};
use reqwest::Method;
use serde_json::{Value, json};

/// Items of the container `c` of most tests.
pub(crate) const DOCS: &str = "dbs/d/colls/c/docs";

/// An endpoint and a client of it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) endpoint: LocalCosmos,
    http: reqwest::Client,
    authorization: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: reqwest::header::HeaderMap,
    /// The body, null when there is none.
    pub(crate) body: Value,
}

impl Answer {
    /// A header's text, empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status with the sub-status, which is 0 when it is missing.
    pub(crate) fn outcome(&self) -> (u16, u32) {
        (self.status, self.header("x-ms-substatus").parse().unwrap_or(0))
    }

    /// The results of a query or feed.
    pub(crate) fn documents(&self) -> &[Value] {
        self.body["Documents"].as_array().map_or(&[], Vec::as_slice)
    }

    /// One property of each result.
    pub(crate) fn column(&self, name: &str) -> Vec<Value> {
        self.documents().iter().map(|document| document[name].clone()).collect()
    }

    /// The error message.
    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

impl Wire {
    /// A lenient endpoint in memory.
    pub(crate) async fn lenient() -> Self {
        Self::start(LocalCosmos::builder().mode(Mode::Lenient)).await
    }

    /// A strict endpoint in memory.
    pub(crate) async fn strict() -> Self {
        Self::start(LocalCosmos::builder().mode(Mode::Strict)).await
    }

    pub(crate) async fn start(builder: LocalCosmosBuilder) -> Self {
        let endpoint = builder.start().await.unwrap();
        // The emulator's credential: the key in the place of a token's signature.
        let key = URL_SAFE_NO_PAD.encode(endpoint.key());
        let authorization = format!("type=aad&ver=1.0&sig=e30.e30.{key}");
        let http = reqwest::Client::builder().build().unwrap();
        Self { endpoint, http, authorization }
    }

    /// The same endpoint with another client.
    pub(crate) fn with_http(mut self, http: reqwest::Client) -> Self {
        self.http = http;
        self
    }

    /// Makes database `d` and container `c` with the key `/pk`.
    pub(crate) async fn with_container(self) -> Self {
        self.with_definition(json!({})).await
    }

    /// The same with more of a definition.
    pub(crate) async fn with_definition(self, more: Value) -> Self {
        let mut definition = json!({
            "id": "c", "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2}
        });
        let members = definition.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        let answer = self.send(Method::POST, "dbs", &[], &json!({"id": "d"})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let answer = self.send(Method::POST, "dbs/d/colls", &[], &definition).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        self
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.try_send(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.endpoint.endpoint()))
            .header("authorization", &self.authorization)
            .header("x-ms-date", "Fri, 20 Nov 2026 10:00:00 GMT")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, &Value::Null).await
    }

    /// Creates an item in `c`; its key is its `pk`.
    pub(crate) async fn create(&self, item: Value) -> Answer {
        let answer = self
            .send(Method::POST, DOCS, &[("x-ms-documentdb-partitionkey", &key(&item["pk"]))], &item)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// Runs a batch on the key `pk`.
    pub(crate) async fn batch(&self, pk: &str, operations: Value) -> Answer {
        let headers = [
            ("x-ms-documentdb-partitionkey", key(&json!(pk))),
            ("x-ms-cosmos-is-batch-request", "True".to_owned()),
            ("x-ms-cosmos-batch-atomic", "True".to_owned()),
        ];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send(Method::POST, DOCS, &headers, &operations).await
    }

    /// Runs a query over `c`.
    pub(crate) async fn query(&self, text: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all =
            vec![("x-ms-documentdb-isquery", "True"), ("content-type", "application/query+json")];
        all.extend_from_slice(headers);
        self.send(Method::POST, DOCS, &all, &json!({"query": text})).await
    }

    /// Reads a page of the change feed of `c`.
    pub(crate) async fn feed(&self, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("a-im", "Incremental Feed")];
        all.extend_from_slice(headers);
        self.get(DOCS, &all).await
    }
}

/// The partition key header for a value.
pub(crate) fn key(value: &Value) -> String {
    json!([value]).to_string()
}

/// The header of the partition key `a`.
pub(crate) const KEY_A: (&str, &str) = ("x-ms-documentdb-partitionkey", "[\"a\"]");
