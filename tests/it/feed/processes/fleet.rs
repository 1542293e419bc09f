//! An endpoint and workers, each a process of its own.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    ops::RangeInclusive,
    process::{Child, ChildStdout, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use cosmos_event_store::{
    Credential, StoreOptions,
    feed::{Control, CosmosLeases, Overview, documents::Parked},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::ledger::Ledger;
use crate::cli::program::{Place, Running, line};

/// A test that waits longer than this has failed. It is less than the minute after which workers look at
/// everything by themselves: what they are told must not wait for that.
pub(super) const PATIENCE: Duration = Duration::from_secs(55);
/// Between two looks at what only can be asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A worker, and the thread that reads what it prints.
struct Worker {
    child: Child,
    reading: Option<JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = (self.child.kill(), self.child.wait());
    }
}

/// An import that runs.
pub(super) struct Import {
    child: Child,
}

impl Import {
    /// Waits until all is stored.
    pub(super) fn done(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

pub(super) struct Fleet {
    place: Place,
    workers: BTreeMap<String, Worker>,
    ledger: watch::Sender<Ledger>,
    endpoint: String,
    management: String,
    control: Control,
    imports: std::cell::Cell<u32>,
    _local: Running,
}

impl Fleet {
    /// Starts the endpoint, strict as the service is, and makes the database ready.
    pub(super) async fn start(partitions: u32) -> Self {
        let place = Place::new();
        let partitions = partitions.to_string();
        let arguments = ["--port", "0", "--partitions", &partitions, "--output", "json"];
        let mut local = place.spawn(&[&["local"][..], &arguments].concat());
        let ready: Value = serde_json::from_str(&local.line()).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let (endpoint, management) = (text("endpoint"), text("managementEndpoint"));
        place.run(&["provision"]).ok();
        let options = StoreOptions::new(&endpoint, Credential::key(text("key")), "event-store");
        let leases = CosmosLeases::open(&options, "leases", "default").await.unwrap();
        let control = Control::new(std::sync::Arc::new(leases));
        Self {
            place,
            workers: BTreeMap::new(),
            ledger: watch::Sender::new(Ledger::default()),
            endpoint,
            management,
            control,
            imports: std::cell::Cell::new(0),
            _local: local,
        }
    }

    /// Starts workers, and waits until each of them has a range.
    pub(super) async fn join_all(&mut self, names: &[&str]) {
        for name in names {
            self.join(name);
        }
        self.wait_owners(names).await;
    }

    /// Starts a worker that prints, and waits until it says that it works.
    pub(super) fn join(&mut self, name: &str) {
        let mut out = self.spawn(name, "stdout");
        let (worker, ledger) = (name.to_owned(), self.ledger.clone());
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            while out.read_line(&mut text).unwrap() > 0 {
                // A line that ends with its process is not whole.
                if text.ends_with('\n') {
                    let delivery = serde_json::from_str(&text).unwrap();
                    ledger.send_modify(|ledger| ledger.note(&worker, &delivery));
                }
                text.clear();
            }
        });
        self.workers.get_mut(name).unwrap().reading = Some(reading);
    }

    /// Starts a worker that posts.
    pub(super) fn join_posting(&mut self, name: &str, url: &str) {
        drop(self.spawn(name, url));
    }

    fn spawn(&mut self, name: &str, to: &str) -> BufReader<ChildStdout> {
        let arguments = ["worker", "--instance", name, "--to", to, "--output", "json"];
        let mut command = self.place.command(&arguments);
        command.env_remove("COSMOS_ES_DATA_DIR").env("COSMOS_ES_ENDPOINT", &self.endpoint);
        let complaints = File::create(self.place.path(&format!("{name}.err"))).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(complaints);
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        self.workers.insert(name.to_owned(), Worker { child, reading: None });
        let mut ready = String::new();
        out.read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!((&ready["processor"], &ready["instance"]), (&"default".into(), &name.into()));
        out
    }

    /// Kills a worker as `kill -9` does.
    pub(super) fn kill(&mut self, name: &str) {
        self.workers.get_mut(name).unwrap().child.kill().unwrap();
        self.end(name);
    }

    /// Stops a worker as Ctrl-C does, and gives its exit code.
    pub(super) fn stop(&mut self, name: &str) -> i32 {
        self.signal(name, "-INT");
        self.end(name)
    }

    /// Lets a worker stand still, as the pause of a virtual machine does.
    pub(super) fn freeze(&self, name: &str) {
        self.signal(name, "-STOP");
    }

    /// Lets it go on.
    pub(super) fn thaw(&self, name: &str) {
        self.signal(name, "-CONT");
    }

    fn signal(&self, name: &str, signal: &str) {
        let pid = self.workers[name].child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for the end of a worker and of what it has printed.
    fn end(&mut self, name: &str) -> i32 {
        let mut worker = self.workers.remove(name).unwrap();
        let status = worker.child.wait().unwrap();
        if let Some(reading) = worker.reading.take() {
            reading.join().unwrap();
        }
        status.code().unwrap_or(-1)
    }

    /// Begins to store events of these numbers in so many streams, turn by turn.
    pub(super) fn import(&self, streams: u64, numbers: RangeInclusive<u64>) -> Import {
        let lines: String = numbers
            .flat_map(|number| (1..=streams).map(move |s| line(&format!("s-{s}"), number, number)))
            .collect();
        self.imports.set(self.imports.get() + 1);
        let file = self.place.file(&format!("import-{}.jsonl", self.imports.get()), &lines);
        let mut command = self.place.command(&["import", &file]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        Import { child: command.spawn().unwrap() }
    }

    /// Runs a command to its good end.
    pub(super) fn run(&self, args: &[&str]) -> String {
        self.place.run(args).ok()
    }

    /// Runs a command to its good end, for what it tells programs.
    pub(super) fn json(&self, args: &[&str]) -> Value {
        self.place.json(args)
    }

    /// Runs a command that fails.
    #[track_caller]
    pub(super) fn fails(&self, args: &[&str], text: &str) {
        self.place.run(args).failed(1, text);
    }

    /// Makes a file.
    pub(super) fn file(&self, name: &str, content: &str) -> String {
        self.place.file(name, content)
    }

    /// Tells the management port something.
    pub(super) fn manage(&self, path: &str, body: &Value) {
        let address = self.management.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).unwrap();
        let body = body.to_string();
        let length = body.len();
        let request = format!(
            "POST /{path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }

    /// Has all that hosts ask of the leases refused for so many seconds.
    pub(super) fn throttle_leases(&self, seconds: u64) {
        let asked = json!({"container": "leases", "kinds": ["batch", "query_items"]});
        let answer =
            json!({"type": "status", "status": 429, "substatus": 3200, "retryAfterMs": 100});
        self.manage("faults", &json!({"match": asked, "seconds": seconds, "action": answer}));
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.ledger.borrow().clone()
    }

    /// Waits until something holds of what was delivered.
    pub(super) async fn wait(&self, what: &str, is_so: impl FnMut(&Ledger) -> bool) {
        let mut ledger = self.ledger.subscribe();
        let waiting = tokio::time::timeout(PATIENCE, ledger.wait_for(is_so));
        assert!(waiting.await.is_ok(), "never: {what}\n{}", self.complaints());
    }

    /// Waits until so many streams have all their events up to a number.
    pub(super) async fn wait_complete(&self, streams: usize, last: u64) {
        let mut ledger = self.ledger.subscribe();
        let is_complete = |ledger: &Ledger| ledger.is_complete_of(streams, last);
        let waiting = tokio::time::timeout(PATIENCE, ledger.wait_for(is_complete));
        let is_done = waiting.await.is_ok();
        let found = self.ledger();
        assert!(is_done, "missing: {:?}\n{}", found.missing(last), self.complaints());
    }

    /// All of the processor that is stored.
    pub(super) async fn overview(&self) -> Overview {
        self.control.overview().await.unwrap()
    }

    /// Waits until each host that is a member has beaten so many times more.
    pub(super) async fn wait_beats(&self, more: u64) {
        let beats = |overview: &Overview| -> BTreeMap<String, u64> {
            let hosts = overview.hosts.iter();
            hosts.map(|host| (host.incarnation.clone(), host.beat)).collect()
        };
        let before = beats(&self.overview().await);
        assert_eq!(before.len(), self.workers.len());
        let look = async || {
            let now = beats(&self.overview().await);
            before.iter().all(|(host, beat)| now.get(host).is_some_and(|now| *now >= beat + more))
        };
        self.look_until("all have beaten", look).await;
    }

    /// What `cosmos-es lag` says of each range.
    pub(super) fn lag(&self) -> Vec<Value> {
        self.place.json(&["lag"]).as_array().unwrap().clone()
    }

    /// Waits until something holds of the ranges.
    pub(super) async fn wait_lag(&self, what: &str, is_so: impl Fn(&[Value]) -> bool) {
        let seen = std::cell::RefCell::new(Vec::new());
        let look = async || {
            let ran = self.place.run(&["lag", "--output", "json"]);
            // Before the first worker has made it, there is no processor.
            let found = if ran.code == 0 { ran.json() } else { Value::Array(Vec::new()) };
            let found = found.as_array().unwrap().clone();
            let is_so = is_so(&found);
            *seen.borrow_mut() = found;
            is_so
        };
        self.look_until(what, look).await;
    }

    /// Waits until exactly these workers have ranges, and every range has one of them.
    pub(super) async fn wait_owners(&self, names: &[&str]) {
        let is_so = |ranges: &[Value]| {
            let owners = ranges.iter().map(|range| range["owner"].as_str().unwrap_or_default());
            let owners: std::collections::BTreeSet<&str> = owners.collect();
            owners == names.iter().copied().collect()
        };
        self.wait_lag(&format!("owners {names:?}"), is_so).await;
    }

    /// Waits until these streams are parked and no others, and nobody tries one again; gives what is said
    /// of them.
    pub(super) async fn wait_parked(&self, streams: &[&str]) -> Vec<Value> {
        let is_so = |parked: &Parked, stream: &&str| parked.key == *stream && !parked.redrive;
        let look = async || {
            let parked = self.overview().await.parked;
            parked.len() == streams.len()
                && parked.iter().zip(streams).all(|(parked, stream)| is_so(parked, stream))
        };
        self.look_until(&format!("parked {streams:?}"), look).await;
        self.json(&["parked"]).as_array().unwrap().clone()
    }

    /// Waits until all that was done is durable.
    pub(super) async fn wait_durable(&self) {
        let is_so = |ranges: &[Value]| {
            ranges.iter().all(|range| range["state"] == "idle" && range["lagTransactions"] == 0)
        };
        self.wait_lag("all is durable", |ranges| !ranges.is_empty() && is_so(ranges)).await;
    }

    async fn look_until(&self, what: &str, look: impl AsyncFn() -> bool) {
        let looking = async {
            while !look().await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let looked = tokio::time::timeout(PATIENCE, looking);
        assert!(looked.await.is_ok(), "never: {what}\n{}", self.complaints());
    }

    /// What the workers said on standard error.
    fn complaints(&self) -> String {
        let of = |name: &&str| {
            let text = std::fs::read_to_string(self.place.path(&format!("{name}.err")));
            text.map(|text| format!("{name}:\n{text}")).unwrap_or_default()
        };
        ["a", "b", "c"].iter().map(of).collect()
    }
}
