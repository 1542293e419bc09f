//! The clients in `examples/clients` do what they say, against the real binary.
//!
//! Each of the three that do the same runs three times: with nothing in its way; with its first answer lost and the next one a refusal,
//! so that it must repeat an append that was stored; and against a service that wants it to come back in
//! an hour, which it must not wait for. What is stored in the end tells whether all of it was done once.

mod feed;
mod proxy;

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use self::proxy::{Fate, Proxy};
use crate::{
    cli::program::{Place, Running},
    tools,
};

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clients");
/// Where the address of the service is, unless it is an argument.
const URL: &str = "COSMOS_ES_URL";
/// Far above what a client takes, also on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(2);
/// How long the refusal asks a client to wait: longer than it would wait by itself at that time.
const PAUSE: Duration = Duration::from_secs(1);
/// Timers of some languages end a little early.
const PAUSE_MIN: Duration = Duration::from_millis(900);
/// More than any client waits.
const TOO_LONG: Duration = Duration::from_hours(1);

/// A client, as a program and its arguments.
struct Client {
    words: Vec<String>,
    /// Whether it says how often it has tried.
    counts_attempts: bool,
}

impl Client {
    fn new(words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { words, counts_attempts: true }
    }

    /// A run of it, without settings from outside.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).env_remove(URL).env("NO_PROXY", "*").env("no_proxy", "*");
        // Old versions of Node.js call `fetch` an experiment.
        command.env("NODE_NO_WARNINGS", "1").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// What it prints when it goes well. `outcome` is what became of its first append.
    fn expected(&self, outcome: &str, attempts: u32) -> Vec<String> {
        let counted =
            if self.counts_attempts { format!(", attempts {attempts}") } else { String::new() };
        [
            "1. append to TOUR",
            &format!("   {outcome}: events 1 to 2{counted}"),
            "   the same once more: repeated, events 1 to 2",
            "2. read",
            "   1 TourPlanned ...",
            "   2 PlacesBooked ...",
            "3. two want the last places",
            "   conflict: the tour is at version 3, 1 places are free; decide again",
            "   booked: 1",
            "4. QUOTE from its first page to its approval",
            "   approved at version 6",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

/// How a run ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn run(command: &mut Command) -> Ran {
    let output = timeout(TIME_MAX, command.output()).await.expect("the client ends").unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// It must have gone well and printed this; gives the ids of the tour and the quote.
    #[track_caller]
    fn check(&self, expected: &[String]) -> (String, String) {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        let id = |begin: &str| {
            let mut words = self.out.split_whitespace();
            words.find(|word| word.starts_with(begin)).expect("its id is printed").to_owned()
        };
        let (tour, quote) = (id("tour-"), id("quote-"));
        let printed = self.out.replace(&tour, "TOUR").replace(&quote, "QUOTE");
        let printed: Vec<&str> = printed.lines().collect();
        let fits = |(printed, expected): (&&str, &String)| match expected.strip_suffix("...") {
            Some(begin) => printed.starts_with(begin),
            None => printed == expected,
        };
        let fit = printed.len() == expected.len() && printed.iter().zip(expected).all(fits);
        assert!(fit, "{printed:#?}\nand not\n{expected:#?}");
        (tour, quote)
    }
}

/// The real binary, serving.
struct Served {
    /// What the process runs in, and the process, which ends before it.
    running: Running,
    base: String,
    _place: Place,
}

impl Served {
    fn new() -> Self {
        Self::on(Place::new())
    }

    fn on(place: Place) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0", "--store-port", "0", "--output", "json"];
        let mut running = place.spawn(&args);
        let ready: Value = serde_json::from_str(&running.line()).expect("it is ready");
        Self { running, base: ready["http"].as_str().unwrap().to_owned(), _place: place }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}{path}", self.base)).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// The tour must have all bookings, once, and not more of them than places; the quote is approved.
    async fn check(&self, tour: &str, quote: &str) {
        let page = self.get(&format!("/streams/{tour}/events")).await;
        let events = page["events"].as_array().unwrap();
        let stored: Vec<_> = events.iter().map(|event| (&event["type"], &event["data"])).collect();
        let booked = json!("PlacesBooked");
        let expected = [
            (&json!("TourPlanned"), &json!({"places": 5})),
            (&booked, &json!({"by": "Asha", "places": 1})),
            (&booked, &json!({"by": "Ben", "places": 3})),
            (&booked, &json!({"by": "Chen", "places": 1})),
        ];
        assert_eq!(stored, expected);
        let stored = self.get(&format!("/quotes/{quote}")).await;
        assert_eq!((&stored["status"], &stored["version"]), (&json!("approved"), &json!(6)));
        assert_eq!(stored["policyNumber"], "P-100042");
    }

    /// How many streams there are.
    async fn streams(&self) -> usize {
        let (mut count, mut next) = (0, Some("/streams".to_owned()));
        while let Some(path) = next {
            let page = self.get(&path).await;
            count += page["streams"].as_array().unwrap().len();
            next = page["next"].as_str().map(str::to_owned);
        }
        count
    }
}

async fn check(client: &Client) {
    let served = Served::new();

    let ran = run(client.command().arg(&served.base)).await;
    let (tour, quote) = ran.check(&client.expected("appended", 1));
    served.check(&tour, &quote).await;

    let proxy = Proxy::start(&served.base, [Fate::Lose, Fate::Refuse(PAUSE)]).await;
    let ran = run(client.command().env(URL, proxy.base())).await;
    let (tour, quote) = ran.check(&client.expected("repeated", 3));
    served.check(&tour, &quote).await;
    let seen = proxy.end().await;
    assert_eq!(seen.lost, ["HTTP/1.1 201 Created"], "what was lost was stored");
    assert!(seen.pauses[0] >= PAUSE_MIN, "it came back after {:?}", seen.pauses);

    let proxy = Proxy::start(&served.base, [Fate::Refuse(TOO_LONG)]).await;
    let ran = run(client.command().env(URL, proxy.base())).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.starts_with("client.") && ran.err.contains("503"), "{ran:?}");
    assert!(proxy.end().await.pauses.is_empty(), "it came back, and not in an hour");

    assert_eq!(served.streams().await, 4);
    served.running.terminate();
    assert_eq!(served.running.wait().code, 0);
}

#[tokio::test]
async fn the_client_in_bash_does_what_it_says() {
    if !tools::are_there(&["bash", "curl"], "the client in bash") {
        return;
    }
    let client = Client::new(&["bash", &format!("{CLIENTS}/curl/client.sh")]);
    check(&Client { counts_attempts: false, ..client }).await;
}

#[tokio::test]
async fn the_client_in_python_does_what_it_says() {
    if !tools::are_there(&["python3"], "the client in Python") {
        return;
    }
    // Without -B it may leave compiled files beside the source.
    check(&Client::new(&["python3", "-B", &format!("{CLIENTS}/python/client.py")])).await;
}

/// A client in TypeScript, compiled into a folder that it lives in; nothing where that cannot be done.
async fn typescript(name: &str, what: &str) -> Option<(Client, TempDir)> {
    let folder = format!("{CLIENTS}/typescript");
    let compiler = format!("{folder}/node_modules/typescript/bin/tsc");
    let needed = "the compiler (`npm ci` in examples/clients/typescript)";
    if !tools::are_there(&["node"], what)
        || !tools::is_there(Path::new(&compiler).exists(), needed, what)
    {
        return None;
    }
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let out = place.path().to_str().unwrap();
    let mut compile = Command::new("node");
    compile.args([&compiler, "--project", &folder, "--outDir", out]).kill_on_drop(true);
    let ran = run(compile.stdin(Stdio::null())).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
    Some((Client::new(&["node", &format!("{out}/{name}.mjs")]), place))
}

#[tokio::test]
async fn the_client_in_typescript_does_what_it_says() {
    if let Some((client, _place)) = typescript("client", "the client in TypeScript").await {
        check(&client).await;
    }
}
