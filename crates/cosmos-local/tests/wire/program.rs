//! The binary: what it prints, how it is joined, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cosmos_local::{EMULATOR_KEY, LocalCosmos};
use reqwest::Method;
use serde_json::Value;

use crate::management::manage;

/// A running binary; it is killed when the test fails.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = (self.0.kill(), self.0.wait());
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmos-local"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts the binary and reads its line of JSON.
fn start(arguments: &[&str]) -> (Program, Value) {
    let mut program = Program(command(arguments).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(program.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (program, serde_json::from_str(&line).unwrap())
}

fn folder_arguments(folder: &Path) -> [&str; 5] {
    ["--data-dir", folder.to_str().unwrap(), "--port", "0", "--json"]
}

#[tokio::test]
async fn it_says_where_it_is_and_stops_when_told() {
    let (mut program, ready) = start(&["--ephemeral", "--port", "0"]);
    assert_eq!(ready["key"], EMULATOR_KEY);
    assert!(ready["endpoint"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let management = ready["managementEndpoint"].as_str().unwrap();
    let (status, health) = manage(management, Method::GET, "health", &Value::Null).await;
    assert_eq!((status, &health["mode"]), (200, &Value::from("lenient")));
    assert_eq!(manage(management, Method::POST, "shutdown", &Value::Null).await.0, 202);
    assert!(program.0.wait().unwrap().success());
}

#[test]
#[cfg(unix)]
fn the_signal_to_terminate_ends_it_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, _) = start(&folder_arguments(folder.path()));
    let pid = program.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(program.0.wait().unwrap().success());
    assert!(!folder.path().join("endpoint.json").exists());
}

#[tokio::test]
async fn its_folder_is_joined_until_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (program, ready) = start(&folder_arguments(folder.path()));
    let joined = LocalCosmos::attach(folder.path()).await.unwrap().unwrap();
    assert_eq!(ready["endpoint"], joined.endpoint.as_str());
    assert_eq!(joined.pid, program.0.id());

    let second = command(&folder_arguments(folder.path())).output().unwrap();
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && second.stdout.is_empty());
    assert!(message.contains("is in use") && message.contains(&joined.endpoint), "{message}");
    assert_eq!(message.lines().count(), 1);

    drop(program);
    assert_eq!(LocalCosmos::attach(folder.path()).await.unwrap(), None);
    let (_again, _) = start(&folder_arguments(folder.path()));
}

#[test]
fn people_get_everything_they_need_to_connect() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut program = Program(command(&["--data-dir", path, "--port", "0"]).spawn().unwrap());
    let mut text = String::new();
    let mut out = BufReader::new(program.0.stdout.take().unwrap());
    while !text.contains("Ctrl-C") {
        assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
    }
    for part in ["endpoint", "management", EMULATOR_KEY, "AccountEndpoint=http://127.0.0.1:", path]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn mistakes_are_one_line_on_standard_error() {
    let mut program =
        Program(command(&["--ephemeral", "--port", "0", "--key", "?"]).spawn().unwrap());
    assert_eq!(program.0.wait().unwrap().code(), Some(1));
    let mut message = String::new();
    program.0.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!(message, "cosmos-local: the account key is not valid base64\n");
}
