//! The view that `feed.mts` builds is what is stored, whatever happened to it on the way.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Client, PAUSE, Ran, Served, TIME_MAX, TOO_LONG, URL,
    proxy::{Fate, Proxy},
    run, typescript,
};
use crate::cli::program::{Place, SAMPLE_EVENTS, SAMPLE_STREAMS};

/// How often the client is killed.
const KILLS: u64 = 4;
/// The appends of one life of the client, of which it is killed somewhere among the first.
const APPENDS: u64 = 40;

/// The client, and the file that it keeps.
struct Reader {
    client: Client,
    state: PathBuf,
    _compiled: TempDir,
    folder: TempDir,
}

impl Reader {
    async fn new() -> Option<Self> {
        let (client, compiled) = typescript("feed", "the view in TypeScript").await?;
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let state = folder.path().join("view.json");
        Some(Self { client, state, _compiled: compiled, folder })
    }

    async fn once(&self, base: &str, page: &str) -> Ran {
        let mut command = self.client.command();
        command.args(["--once", "--page", page]).arg(&self.state).env(URL, base);
        run(&mut command).await
    }

    /// What it has kept; nothing before the first page.
    fn state(&self) -> Option<Value> {
        let text = std::fs::read_to_string(&self.state).ok()?;
        Some(serde_json::from_str(&text).expect("the file is whole at every moment"))
    }

    fn events(&self) -> u64 {
        self.state().map_or(0, |state| state["events"].as_u64().unwrap())
    }

    /// Runs it until it has more events than these, and kills it at once.
    async fn kill_beyond(&self, base: &str, events: u64) {
        let mut command = self.client.command();
        // Small pages, so that it is mostly busy with its file.
        command.args(["--page", "1"]).arg(&self.state).arg(base);
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let going_on = async {
            while self.events() <= events {
                assert_eq!(child.try_wait().unwrap(), None, "it goes on");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIME_MAX, going_on).await.expect("it reads on");
        child.kill().await.unwrap();
    }

    /// The view must be what the streams have, and nothing lies about.
    async fn check(&self, served: &Served) {
        let state = self.state().unwrap();
        let (types, streams, events) = stored(served).await;
        assert_eq!(state["types"], types);
        assert_eq!(state["streams"], streams);
        assert_eq!(state["events"], events);
        let files: Vec<_> = std::fs::read_dir(self.folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
    }
}

/// What is stored, stream by stream: the events of each type, the last event of each stream, and how many
/// events there are.
async fn stored(served: &Served) -> (Value, Value, u64) {
    let mut types: BTreeMap<String, u64> = BTreeMap::new();
    let mut streams = serde_json::Map::new();
    let mut next = Some("/streams?limit=1000".to_owned());
    while let Some(path) = next {
        let list = served.get(&path).await;
        for stream in list["streams"].as_array().unwrap() {
            let path = format!("{}?limit=1000", stream["events"].as_str().unwrap());
            let page = served.get(&path).await;
            assert!(page["next"].is_null());
            let events = page["events"].as_array().unwrap();
            for event in events {
                *types.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            let last = events.last().unwrap();
            let kept = ["sequenceNumber", "eventId", "type"].map(|name| (name, &last[name]));
            let kept: BTreeMap<_, _> = kept.into_iter().collect();
            streams.insert(stream["stream"].as_str().unwrap().to_owned(), json!(kept));
        }
        next = list["next"].as_str().map(str::to_owned);
    }
    let events = types.values().sum();
    (json!(types), Value::Object(streams), events)
}

/// Appends to a few streams, one event or several at a time.
async fn append(served: &Served, appends: u64) {
    let client = reqwest::Client::new();
    for n in 0..appends {
        let stream = ["kill-a", "kill-b", "__proto__", "kill/c d"][usize::try_from(n % 4).unwrap()];
        let path = format!("/streams/{}/events", stream.replace('/', "%2F").replace(' ', "%20"));
        let event = json!({"type": format!("Type{}", n % 3), "data": n});
        let body = json!({"events": vec![event; usize::try_from(1 + n % 3).unwrap()]});
        let request = client.post(format!("{}{path}", served.base));
        let request = request.header("content-type", "application/json").body(body.to_string());
        assert_eq!(request.send().await.unwrap().status(), 201);
    }
}

#[tokio::test]
async fn the_view_is_what_is_stored_however_often_it_is_killed() {
    let Some(reader) = Reader::new().await else { return };
    let served = Served::on(Place::with_sample());
    let ran = reader.once(&served.base, "7").await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    let first = format!("{SAMPLE_EVENTS} events of {SAMPLE_STREAMS} streams\n");
    assert!(ran.out.starts_with(&first), "{}", ran.out);
    reader.check(&served).await;

    for kill in 0..KILLS {
        let before = reader.events();
        // It has seen some of these when it is killed, and cannot have seen the ones behind them.
        let killing = reader.kill_beyond(&served.base, before + kill * 5);
        tokio::join!(killing, append(&served, APPENDS));
        append(&served, APPENDS).await;
        assert!(reader.events() < stored(&served).await.2, "it was killed in the middle");
    }
    reader.once(&served.base, "100").await;
    reader.check(&served).await;
    served.running.terminate();
    assert_eq!(served.running.wait().code, 0);
}

#[tokio::test]
async fn answers_that_are_lost_do_no_harm_to_the_view() {
    let Some(reader) = Reader::new().await else { return };
    let served = Served::on(Place::with_sample());
    let fates = [Fate::Lose, Fate::Lose, Fate::Refuse(PAUSE)];
    let proxy = Proxy::start(&served.base, fates).await;
    let ran = reader.once(proxy.base(), "50").await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    reader.check(&served).await;
    let seen = proxy.end().await;
    assert_eq!(seen.lost, ["HTTP/1.1 200 OK"; 2]);
    assert!(seen.pauses[0] >= Duration::from_millis(900), "{:?}", seen.pauses);

    // A service that wants it to come back in an hour is not waited for, and the view stays.
    let proxy = Proxy::start(&served.base, [Fate::Refuse(TOO_LONG)]).await;
    let ran = reader.once(proxy.base(), "50").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.starts_with("feed.mjs: given up: 503"), "{ran:?}");
    reader.check(&served).await;

    // Another store is not taken for the one that the view is of.
    let other = Served::on(Place::with_sample());
    let ran = reader.once(&other.base, "50").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("400") && ran.err.contains("another store"), "{ran:?}");
    reader.check(&served).await;
    assert!(Path::new(&reader.state).exists());
}
