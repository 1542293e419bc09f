//! The driver: it plays the Functions host.
//!
//! It reads the app root, starts the handler with the variables that the host sets, waits until it listens, and
//! packs inputs, reads replies and repeats as the host does. Of the delays between retries it keeps nothing.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{
    encode,
    reply::{self, Failure, Reply},
    retry::Policy,
};

/// How often the host asks whether the handler listens.
const READY_POLL: Duration = Duration::from_millis(25);
/// How long it asks.
const READY_TIME_MAX: Duration = Duration::from_secs(30);
/// After so many crashes in short order the host starts the handler no more.
const CRASHES_MAX: usize = 3;
/// How much of a request the host sends at a time.
const CHUNK: usize = 16 * 1024;
/// The most retries that the driver makes where the policy knows no end.
const ENDLESS: u64 = 40;
/// A real host waits for the delay of its policy.
const VIRTUAL_DELAY: Duration = Duration::from_millis(200);

/// The id of every invocation.
pub(super) const INVOCATION: &str = "4ac3ae5c-6b3f-4c38-8e4c-7f9b4d0a8a11";

/// A Functions host with one app.
pub(super) struct Host {
    root: PathBuf,
    app: Value,
    functions: BTreeMap<String, Value>,
    settings: BTreeMap<String, String>,
    port: u16,
    process: Mutex<Option<Process>>,
    crashes: Mutex<usize>,
    pub(super) client: reqwest::Client,
    out: Arc<Mutex<Vec<String>>>,
    err: Arc<Mutex<Vec<String>>>,
}

struct Process {
    child: Child,
    reading: Vec<JoinHandle<()>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = (self.child.kill(), self.child.wait());
        for reading in self.reading.drain(..) {
            let _joined = reading.join().is_ok();
        }
    }
}

impl Host {
    /// Reads an app root. Nothing runs yet.
    pub(super) fn of(root: &Path, settings: &[(&str, &str)]) -> Self {
        let read = |path: PathBuf| -> Value {
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap()
        };
        let app = read(root.join("host.json"));
        assert_eq!(app["version"], "2.0");
        let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
        let folders = folders.filter(|path| path.join("function.json").is_file());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let functions = folders.map(|path| (name(&path), read(path.join("function.json"))));
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            root: root.to_owned(),
            app,
            functions: functions.collect(),
            settings: settings.iter().map(owned).collect(),
            port: free,
            process: Mutex::default(),
            crashes: Mutex::default(),
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            out: Arc::default(),
            err: Arc::default(),
        }
    }

    /// Starts the handler, and waits until it listens.
    pub(super) async fn start(&self) {
        let description = &self.app["customHandler"]["description"];
        let program = description["defaultExecutablePath"].as_str().unwrap();
        let in_root = self.root.join(program);
        let program = if in_root.exists() { in_root } else { program.into() };
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("COSMOS_ES_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        for argument in description["arguments"].as_array().into_iter().flatten() {
            command.arg(self.expanded(argument.as_str().unwrap()));
        }
        let port = self.port.to_string();
        for variable in ["FUNCTIONS_CUSTOMHANDLER", "FUNCTIONS_HTTPWORKER"] {
            command
                .env(format!("{variable}_PORT"), &port)
                .env(format!("{variable}_ID"), "worker-1");
        }
        command.env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", "worker-1");
        command.env("FUNCTIONS_APP_ROOT_PATH", &self.root).envs(&self.settings);
        command.current_dir(&self.root).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = kept(child.stdout.take().unwrap(), &self.out);
        let err = kept(child.stderr.take().unwrap(), &self.err);
        let before =
            self.process.lock().unwrap().replace(Process { child, reading: vec![out, err] });
        drop(before);
        self.wait_until_it_listens().await;
    }

    async fn wait_until_it_listens(&self) {
        let begun = Instant::now();
        while self.client.get(self.url("/")).send().await.is_err() {
            assert!(begun.elapsed() < READY_TIME_MAX, "it never listens: {:?}", self.errors());
            sleep(READY_POLL).await;
        }
    }

    /// A text with the app settings that it names.
    fn expanded(&self, text: &str) -> String {
        match text.strip_prefix('%').and_then(|text| text.strip_suffix('%')) {
            Some(name) => self.settings[name].clone(),
            None => text.to_owned(),
        }
    }

    /// Changes a function before it runs, as somebody else's `function.json` may have it.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        change(self.functions.get_mut(name).unwrap());
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn function(&self, name: &str) -> &Value {
        &self.functions[name]
    }

    /// A value of the trigger of a function, with the app settings that it names.
    pub(super) fn trigger_setting(&self, function: &str, name: &str) -> String {
        self.expanded(self.function(function)["bindings"][0][name].as_str().unwrap())
    }

    /// Invokes a function once: the trigger's value is packed already.
    pub(super) async fn invoke_once(
        &self,
        function: &str,
        value: Value,
        more: Map<String, Value>,
    ) -> Result<Reply, Failure> {
        let binding = self.function(function)["bindings"][0]["name"].as_str().unwrap();
        let mut metadata = Map::from_iter([("sys".to_owned(), encode::sys(function))]);
        metadata.extend(more);
        let data = Map::from_iter([(binding.to_owned(), value)]);
        self.post(function, json!({ "Data": data, "Metadata": metadata }).to_string()).await
    }

    /// Posts the body of an invocation, in chunks.
    pub(super) async fn post(&self, function: &str, body: String) -> Result<Reply, Failure> {
        let chunks: Vec<Bytes> =
            body.into_bytes().chunks(CHUNK).map(Bytes::copy_from_slice).collect();
        let frames = chunks.into_iter().map(|chunk| Ok::<_, std::io::Error>(Frame::data(chunk)));
        let body = reqwest::Body::wrap(StreamBody::new(stream::iter(frames)));
        let request = self
            .client
            .post(self.url(&format!("/{function}")))
            .header("content-type", "application/json; charset=utf-8")
            .header("x-azure-functions-invocationid", INVOCATION)
            .header("x-azure-functions-hostversion", "4.1041.200.0")
            .header("user-agent", "Azure-Functions-Host/4.1041.200.0")
            .body(body);
        let answering = async {
            let answer = request.send().await.map_err(|_| Failure::Gone)?;
            let kind =
                answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
            let status = answer.status().as_u16();
            let body = answer.bytes().await.map_err(|_| Failure::Gone)?;
            reply::read(status, kind.as_deref().unwrap_or_default(), &body)
        };
        timeout(self.time_out(), answering).await.unwrap_or(Err(Failure::Late))
    }

    /// How long the host waits for a reply.
    fn time_out(&self) -> Duration {
        let text = self.app["functionTimeout"].as_str().unwrap();
        let parts: Vec<u64> = text.split(':').map(|part| part.parse().unwrap()).collect();
        Duration::from_secs((parts[0] * 60 + parts[1]) * 60 + parts[2])
    }

    /// Invokes a function as its policy of retries has it. A handler that has crashed is started again.
    pub(super) async fn invoke(&self, function: &str, value: Value) -> Result<Reply, Failure> {
        let policy = Policy::of(self.function(function));
        let mut retries = 0;
        let mut more = Map::new();
        loop {
            let failure = match self.invoke_once(function, value.clone(), more).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let Some(policy) = policy.filter(|policy| policy.has_more(retries)) else {
                return Err(failure);
            };
            assert!(retries < ENDLESS, "it fails for ever: {failure:?}");
            retries += 1;
            let context = policy.context(retries, &format!("{failure:?}"));
            more = Map::from_iter([("RetryContext".to_owned(), context)]);
            sleep(VIRTUAL_DELAY.min(policy.delay)).await;
            if failure == Failure::Gone && !self.mind().await {
                return Err(failure);
            }
        }
    }

    /// Starts a handler again that has crashed; says whether it runs. The third crash is the last.
    pub(super) async fn mind(&self) -> bool {
        let has_ended = match self.process.lock().unwrap().as_mut() {
            Some(process) => process.child.try_wait().unwrap().is_some(),
            None => return false,
        };
        if !has_ended {
            return true;
        }
        let crashes = {
            let mut crashes = self.crashes.lock().unwrap();
            *crashes += 1;
            *crashes
        };
        if crashes >= CRASHES_MAX {
            *self.process.lock().unwrap() = None;
            return false;
        }
        self.start().await;
        true
    }

    /// Kills the handler as nothing can prevent, and waits until it is gone.
    pub(super) fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        let child = &mut process.as_mut().unwrap().child;
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends the handler as platforms do, and waits for its end.
    pub(super) async fn stop(&self) -> ExitStatus {
        let pid = self.process.lock().unwrap().as_ref().unwrap().child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        loop {
            let ended = self.process.lock().unwrap().as_mut().unwrap().child.try_wait().unwrap();
            if let Some(status) = ended {
                *self.process.lock().unwrap() = None;
                return status;
            }
            sleep(READY_POLL).await;
        }
    }

    /// What the handler has said.
    pub(super) fn log(&self) -> Vec<String> {
        self.out.lock().unwrap().clone()
    }

    /// What the host would show as errors.
    pub(super) fn errors(&self) -> Vec<String> {
        self.err.lock().unwrap().clone()
    }
}

fn kept(
    stream: impl std::io::Read + Send + 'static,
    lines: &Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}
