//! What only whole processes show: the import of a log, its memory, and how soon an endpoint is ready.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::load::Load;
use crate::null_server::NullServer;
use crate::{Scale, median, scratch, store_on};

/// The real event log, when the machine has it.
const LOG: &str = "../shared/data/loan-applications.jsonl.gz";
/// How often the memory of a process is looked at; the peak that the system keeps only rises.
const MEMORY_INTERVAL: Duration = Duration::from_millis(20);
/// Starts of each kind; the median is reported.
const STARTS: usize = 5;
/// How long appends run before the endpoint is killed.
const LOAD_BEFORE_KILL: Duration = Duration::from_millis(1500);

fn cosmos_es() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmos-es"));
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// Imports a log into a fresh folder, then starts the endpoint on that folder after a clean stop and after
/// `kill -9`.
pub(crate) async fn import_and_start(scale: &Scale) {
    let folder = scratch();
    let data = folder.path().join("data");
    let log = log_file(folder.path(), scale.quick);
    let null_server = NullServer::start().await;
    let reference = import(&log, &["--endpoint", null_server.endpoint()]).await;
    null_server.stop().await;
    let ours = import(&log, &["--data-dir", data.to_str().unwrap()]).await;
    println!(
        "import of {} into {} streams took {:.2} s",
        log.display(),
        ours.streams,
        ours.seconds
    );
    println!(
        "figure import_events_per_second = {:.0} events/s (reference: do-nothing server = {:.0} events/s)",
        ours.rate(),
        reference.rate()
    );
    println!(
        "figure import_peak_memory = {:.0} MB (reference: do-nothing server = {:.0} MB)",
        ours.peak_mb, reference.peak_mb
    );
    let bytes: u64 =
        fs::read_dir(&data).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!(
        "starts on that folder of {:.0} MB; reference: the start of a process that prints its version",
        bytes as f64 / 1e6
    );
    report("ready_after_clean_stop_ms", (0..STARTS).map(|_| clean_start(&data)).collect());
    let mut warm = Vec::new();
    for _ in 0..STARTS {
        kill_under_load(&data).await;
        warm.push(clean_start(&data));
    }
    report("ready_after_kill_ms", warm);
    let mut cold = Vec::new();
    for _ in 0..STARTS {
        kill_under_load(&data).await;
        if let Err(error) = fs::write("/proc/sys/vm/drop_caches", "3") {
            println!("the page cache cannot be dropped here ({error}): no figure for a cold start");
            return;
        }
        cold.push(clean_start(&data));
    }
    report("ready_after_kill_cold_ms", cold);
}

fn report(name: &str, mut times: Vec<f64>) {
    let version = || {
        let started = Instant::now();
        assert!(cosmos_es().arg("--version").stdout(Stdio::null()).status().unwrap().success());
        milliseconds(started)
    };
    let mut reference: Vec<_> = (0..STARTS).map(|_| version()).collect();
    let reference = median(&mut reference);
    println!(
        "  {name}: {}",
        times.iter().map(|time| format!("{time:.0}")).collect::<Vec<_>>().join(" ")
    );
    println!(
        "figure {name} = {:.0} ms (reference: start of a process = {reference:.0} ms)",
        median(&mut times)
    );
}

fn log_file(folder: &Path, quick: bool) -> PathBuf {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join(LOG);
    if real.exists() && !quick {
        return real;
    }
    let quotes = if quick { "500" } else { "8000" };
    println!("a generated log of {quotes} quotes stands in for the real one");
    let generated = folder.join("quotes.jsonl");
    let out = fs::File::create(&generated).unwrap();
    let status = cosmos_es().args(["sample", "--quotes", quotes]).stdout(out).status().unwrap();
    assert!(status.success());
    generated
}

struct Import {
    events: f64,
    streams: u64,
    seconds: f64,
    peak_mb: f64,
}

impl Import {
    fn rate(&self) -> f64 {
        self.events / self.seconds
    }
}

async fn import(log: &Path, target: &[&str]) -> Import {
    let mut command = cosmos_es();
    command.arg("import").arg(log).args(target).args(["--output", "json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut peak_mb = 0.0_f64;
    while child.try_wait().unwrap().is_none() {
        peak_mb = peak_memory_mb(child.id()).unwrap_or(0.0).max(peak_mb);
        tokio::time::sleep(MEMORY_INTERVAL).await;
    }
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["failed"], 0, "{result}");
    Import {
        events: result["appended"].as_f64().unwrap(),
        streams: result["streams"].as_u64().unwrap(),
        seconds: result["seconds"].as_f64().unwrap(),
        peak_mb,
    }
}

/// The system's own record of the peak; nothing where there is none.
fn peak_memory_mb(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// An endpoint in a process of its own; it is killed when it is dropped.
struct Endpoint {
    process: Child,
    ready: Value,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.process.kill().is_err();
        self.process.wait().unwrap();
    }
}

fn start(data: &Path) -> (Endpoint, f64) {
    let started = Instant::now();
    let mut command = cosmos_es();
    command.args(["local", "--port", "0", "--output", "json", "--data-dir"]).arg(data);
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let elapsed = milliseconds(started);
    let ready = serde_json::from_str(&line).unwrap();
    (Endpoint { process, ready }, elapsed)
}

/// Starts and stops cleanly; returns how soon it was ready.
fn clean_start(data: &Path) -> f64 {
    let (mut endpoint, elapsed) = start(data);
    let process = endpoint.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    assert!(endpoint.process.wait().unwrap().success());
    elapsed
}

/// Kills an endpoint in the middle of appends.
async fn kill_under_load(data: &Path) {
    let (endpoint, _) = start(data);
    let text = |name: &str| endpoint.ready[name].as_str().unwrap().to_owned();
    let store = store_on(&text("endpoint"), &text("key")).await;
    let name = format!("killed{}", endpoint.process.id());
    Load::new(store, &name).run_until_killed(LOAD_BEFORE_KILL, move || drop(endpoint)).await;
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
