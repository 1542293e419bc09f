//! Runs the binary that the test build made.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// The sample log that is shipped.
pub(crate) const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/quotes.jsonl");
/// Its events.
pub(crate) const SAMPLE_EVENTS: u64 = 330;
/// Its streams.
pub(crate) const SAMPLE_STREAMS: u64 = 40;

/// A folder with a data folder in it, and room for files.
pub(crate) struct Place {
    folder: TempDir,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A place with the sample log in it.
    pub(crate) fn with_sample() -> Self {
        let place = Self::new();
        place.run(&["import", SAMPLE]).ok();
        place
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file in the folder, with this content.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A command on the data folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(args);
        command.env("COSMOS_ES_DATA_DIR", self.data_dir());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        finish(self.command(args).stdin(Stdio::null()))
    }

    /// Runs with this on standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut running = self.spawn(args);
        running.write(input);
        running.finish()
    }

    /// Starts it and leaves it running.
    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        self.spawn_with(args, &[])
    }

    /// The same with variables.
    pub(crate) fn spawn_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        Self::start(command)
    }

    /// The same with an endpoint among the arguments, in place of the data folder.
    pub(crate) fn spawn_at_endpoint(&self, args: &[&str]) -> Running {
        let mut command = program(args);
        command.current_dir(self.folder.path());
        Self::start(command)
    }

    fn start(mut command: Command) -> Running {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Running {
            input: child.stdin.take(),
            out: BufReader::new(child.stdout.take().unwrap()),
            err: BufReader::new(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Runs with JSON output, which must be one document.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        self.run(&args).json()
    }
}

/// The binary without what the environment of the test may have set.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmos-es"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COSMOS_ES_")
            || name.to_string_lossy().starts_with("OTEL_")
        {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").args(args);
    command
}

fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// It must have gone well, without a word on standard error.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// One JSON document, whether it went well or not.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// JSON Lines.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// It must have failed with this code and one line that has this text.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{self:?}");
        let last = self.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("cosmos-es: ") && last.contains(text), "{self:?}");
    }
}

/// A process that runs, and is killed at the latest when the test ends.
pub(crate) struct Running {
    input: Option<ChildStdin>,
    out: BufReader<std::process::ChildStdout>,
    err: BufReader<std::process::ChildStderr>,
    child: Child,
}

impl Running {
    pub(crate) fn write(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// Reads standard error up to a line with this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.err.read_line(&mut line).unwrap(), 0, "{text} was never said");
        }
    }

    /// What Ctrl-C sends.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    /// What service managers send.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes standard input and waits for the end.
    pub(crate) fn finish(mut self) -> Ran {
        drop(self.input.take());
        self.wait()
    }

    /// Waits for the end, with standard input open.
    pub(crate) fn wait(mut self) -> Ran {
        let (mut out, mut err) = (String::new(), String::new());
        std::io::Read::read_to_string(&mut self.out, &mut out).unwrap();
        std::io::Read::read_to_string(&mut self.err, &mut err).unwrap();
        Ran { code: self.child.wait().unwrap().code().unwrap_or(-1), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill().is_ok();
        let _waited = self.child.wait().is_ok();
    }
}

/// A line of a log.
pub(crate) fn line(stream: &str, number: u64, data: u64) -> String {
    format!(
        "{{\"aggregateId\":\"{stream}\",\"sequenceNumber\":{number},\"type\":\"Tested\",\
         \"time\":\"2026-01-01T00:00:00Z\",\"data\":{{\"n\":{data}}}}}\n"
    )
}

/// Reads a file.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}
