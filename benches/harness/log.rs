//! The log that is read: the real one, when the machine has it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::account::{Endpoint, cosmos_es};

/// Where it is, below one of the folders that this one is in.
const LOG: &str = "shared/data/loan-applications.jsonl.gz";
/// About as many events as the real log has.
const QUOTES: &str = "8000";

/// Imports the log so many times, with a suffix of its own each time. Gives the events.
pub(crate) fn import(endpoint: &Endpoint, folder: &Path, times: usize) -> u64 {
    let log = log_file(folder);
    (0..times).map(|number| import_once(endpoint, &log, &format!("~{number}"))).sum()
}

fn import_once(endpoint: &Endpoint, log: &Path, suffix: &str) -> u64 {
    let mut command = cosmos_es();
    command.arg("import").arg(log).args(["--stream-suffix", suffix, "--output", "json"]);
    command.args(["--database", "bench", "--endpoint", &endpoint.address]);
    let output = command.env("COSMOS_ES_KEY", &endpoint.key).output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["failed"], 0, "{result}");
    result["appended"].as_u64().unwrap()
}

fn log_file(folder: &Path) -> PathBuf {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    if let Some(real) = folders.map(|folder| folder.join(LOG)).find(|log| log.exists()) {
        return real;
    }
    println!("a generated log of {QUOTES} quotes stands in for the real one");
    let generated = folder.join("quotes.jsonl");
    let out = fs::File::create(&generated).unwrap();
    let status = cosmos_es().args(["sample", "--quotes", QUOTES]).stdout(out).status().unwrap();
    assert!(status.success());
    generated
}
