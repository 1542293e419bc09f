//! Running the commands of a document, one after the other.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::document::{Step, arguments, matches};

/// How a command of the event store begins.
const RUN: [&str; 2] = ["cosmos-es ", "cargo run --release -- "];
/// How a request begins.
const CURL: &str = "curl ";
/// How a command begins whose output is kept in a variable of the shell.
const KEPT: &str = "receipt=$(curl ";
/// How later commands have it.
const VARIABLE: &str = "$receipt";
/// How commands begin that are not run here: they build, test, or run until they are stopped.
const NOT_RUN: [&str; 4] =
    ["git clone ", "cargo test ", "cargo install ", "cargo run --release -p cosmos-local"];
/// How an error begins.
const ERROR: &str = "cosmos-es: ";
/// Where the service is, as documents have it.
const HTTP: [&str; 2] = ["localhost:8080", "127.0.0.1:8080"];
/// Where its store is, as documents have it.
const STORE: &str = "127.0.0.1:8081";
/// Where the service's standard error goes.
const COMPLAINTS: &str = "serve.err";
/// Far above what a command takes, also on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(2);

/// The commands that were run so far, and the service that runs since one of them.
pub(super) struct Tour {
    folder: PathBuf,
    service: Option<Service>,
    /// What the variable of the shell has.
    kept: String,
    count: usize,
}

/// A running service.
struct Service {
    child: Child,
    out: BufReader<ChildStdout>,
    http: String,
    store: String,
}

impl Tour {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), service: None, kept: String::new(), count: 0 }
    }

    /// How many commands were run.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether a service was started.
    pub(super) fn served(&self) -> bool {
        self.service.is_some()
    }

    /// Runs a command, if it is one to be run, and compares what it prints.
    pub(super) async fn go(&mut self, step: &Step) {
        let Step { line, command, expected } = step;
        let command = self.with_addresses(command).replace(VARIABLE, &self.kept);
        let printed = if command.starts_with(KEPT) {
            let script = format!("{command}; printf %s \"{VARIABLE}\"");
            let kept = run(self.shell(), &["-c".to_owned(), script], false).await;
            kept.map(|kept| {
                assert!(!kept.is_empty(), "README.md:{line}: nothing is kept");
                self.kept = kept;
                String::new()
            })
        } else if let Some(text) = command.strip_prefix(CURL) {
            assert!(self.served(), "README.md:{line}: nothing is served yet");
            run(self.curl(), &arguments(text), false).await
        } else if let Some(text) = RUN.iter().find_map(|begin| command.strip_prefix(begin)) {
            let arguments = arguments(text);
            if arguments.first().is_some_and(|name| name == "serve") {
                assert!(!self.served(), "README.md:{line}: a second service");
                self.serve(&arguments, expected.len()).await
            } else {
                let must_fail = expected.iter().any(|line| line.starts_with(ERROR));
                run(self.program(), &arguments, must_fail).await
            }
        } else {
            let is_known = NOT_RUN.iter().any(|begin| command.starts_with(begin));
            assert!(is_known, "README.md:{line}: what is {command:?}?");
            return;
        };
        let printed = match printed {
            Ok(printed) => printed,
            Err(problem) => panic!("README.md:{line}: `{command}` ended with {problem}"),
        };
        let expected: Vec<String> = expected.iter().map(|line| self.with_addresses(line)).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            matches(&expected, &lines),
            "README.md:{line}: `{command}` prints\n{printed}\nand not\n{}\n",
            expected.join("\n")
        );
        self.count += 1;
    }

    /// Stops the service as service managers do; it must end well and have nothing to say.
    pub(super) async fn end(self) {
        let Some(Service { mut child, mut out, .. }) = self.service else { return };
        let pid = child.id().expect("the service runs to the end of the tour").to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        let ending = async {
            out.read_to_string(&mut rest).await.unwrap();
            child.wait().await.unwrap()
        };
        let status = timeout(TIME_MAX, ending).await.expect("the service stops");
        let complaints = std::fs::read_to_string(self.folder.join(COMPLAINTS)).unwrap();
        assert_eq!((status.code(), rest.as_str(), complaints.as_str()), (Some(0), "", ""));
    }

    /// Starts the service and gives its first lines.
    async fn serve(&mut self, arguments: &[String], lines: usize) -> Result<String, String> {
        let mut command = self.program();
        command.env("COSMOS_ES_LISTEN", "127.0.0.1:0").env("COSMOS_ES_STORE_PORT", "0");
        let complaints = std::fs::File::create(self.folder.join(COMPLAINTS)).unwrap();
        command.args(arguments).stdout(Stdio::piped()).stderr(complaints);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        let reading = async {
            for _ in 0..lines {
                out.read_line(&mut printed).await.unwrap();
            }
        };
        let read = timeout(TIME_MAX, reading).await;
        read.map_err(|_| format!("less than {lines} lines:\n{printed}"))?;
        let address = |name: &str| {
            let line = printed.lines().find(|line| line.trim_start().starts_with(name));
            let rest = line.and_then(|line| line.split_once("http://")).map(|(_, rest)| rest);
            rest.and_then(|rest| rest.split(' ').next()).map(str::to_owned)
        };
        let (Some(http), Some(store)) = (address("http "), address("store ")) else {
            return Err(format!("{printed}: where is it?"));
        };
        self.service = Some(Service { child, out, http, store });
        Ok(printed)
    }

    /// A text with the addresses of the service that runs.
    fn with_addresses(&self, text: &str) -> String {
        let Some(Service { http, store, .. }) = &self.service else { return text.to_owned() };
        HTTP.iter().fold(text.replace(STORE, store), |text, known| text.replace(known, http))
    }

    /// The binary of this build, without settings from outside.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cosmos-es"));
        command.current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("COSMOS_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// A shell whose requests go nowhere else.
    fn shell(&self) -> Command {
        let mut command = Command::new("sh");
        command.current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        command.env("no_proxy", "*").env("NO_PROXY", "*");
        command
    }

    /// curl, without settings from outside.
    fn curl(&self) -> Command {
        let mut command = Command::new("curl");
        command.current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        command.args(["--disable", "--noproxy", "*"]);
        command
    }
}

/// Runs a command; gives what it printed, if it ended as it should.
async fn run(
    mut command: Command,
    arguments: &[String],
    must_fail: bool,
) -> Result<String, String> {
    let output = match timeout(TIME_MAX, command.args(arguments).output()).await {
        Ok(output) => output.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("it does not end within {TIME_MAX:?}")),
    };
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    match (output.status.success(), must_fail) {
        (true, false) => Ok(printed),
        (false, true) => Ok(complaint),
        _ => Err(format!("{}:\n{printed}{complaint}", output.status)),
    }
}
