//! The binary of this build, as a child that never outlives its test.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;

/// Between two looks whether a program has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A running binary; it is killed and waited for, also when the test fails.
pub(super) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmos-es"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COSMOS_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).args(["--output", "json"]).env("COSMOS_ES_DATA_DIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs a command to its good end and gives its lines.
pub(super) fn run(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = command(folder, arguments).stderr(Stdio::piped()).output().unwrap();
    let (printed, complaint) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{arguments:?}: {}: {printed}{complaint}", output.status);
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Program {
    pub(super) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self(command(folder, arguments).spawn().unwrap())
    }

    /// The endpoint on its own, on free ports; new containers get two partitions.
    pub(super) fn endpoint(folder: &Path) -> Self {
        Self::start(folder, &["local", "--port", "0", "--partitions", "2"])
    }

    /// Waits until the endpoint is ready and gives its address.
    pub(super) fn ready(&mut self) -> String {
        self.ready_at("endpoint")
    }

    /// Waits until it is ready and gives one of its addresses.
    pub(super) fn ready_at(&mut self, name: &str) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("it is ready");
        ready[name].as_str().unwrap().to_owned()
    }

    /// Kills it (`kill -9`, on Unix), if it has not ended by itself.
    pub(super) fn kill(&mut self) {
        let _ended = (self.0.kill(), self.0.wait());
    }

    /// Waits until it ends by itself.
    pub(super) async fn end(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
