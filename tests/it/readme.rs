//! The commands in `README.md` do what stands there.
//!
//! A block marked `console` has commands (lines that begin with `$ `, and go on after a backslash at
//! their end), each followed by what it prints. The commands of the event store run one after the
//! other in one temporary folder, which has a copy of `samples`, by the binary of this build. Each
//! must succeed, and its standard output must match. Where the expected output has a line that begins
//! with `cosmos-es: `, as errors do, the command must fail instead, and standard error must match.
//! In the expected output `...` stands for any text within a line, and alone on a line for any number
//! of lines, none included.

use std::{fs, path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// How a command of the event store begins.
const RUN: [&str; 2] = ["cosmos-es ", "cargo run --release -- "];
/// How commands begin that are not run here: they build, test, or run until they are stopped.
const NOT_RUN: [&str; 4] =
    ["git clone ", "cargo test ", "cargo install ", "cargo run --release -p cosmos-local"];
/// How an error begins.
const ERROR: &str = "cosmos-es: ";
/// Any text.
const WILDCARD: &str = "...";
/// Far above what a command takes, also on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(2);

/// A command and what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// The line of the document, from 1.
    line: usize,
    command: String,
    expected: Vec<String>,
}

/// The commands of all `console` blocks of a document.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    let mut goes_on = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with("```") {
            in_block = text == "```console";
            goes_on = false;
        } else if let (true, Some(step)) = (goes_on, steps.last_mut()) {
            goes_on = push_command(&mut step.command, text.trim_start());
        } else if let (true, Some(text)) = (in_block, text.strip_prefix("$ ")) {
            let mut command = String::new();
            goes_on = push_command(&mut command, text);
            steps.push(Step { line, command, expected: Vec::new() });
        } else if in_block {
            let step = steps.last_mut();
            step.expect("a block begins with a command").expected.push(text.to_owned());
        }
    }
    for step in &mut steps {
        // Blank lines before the next command are for the eye.
        let printed = step.expected.iter().rposition(|line| !line.trim().is_empty());
        step.expected.truncate(printed.map_or(0, |last| last + 1));
    }
    steps
}

/// Adds a line to a command and says whether it goes on.
fn push_command(command: &mut String, line: &str) -> bool {
    // Comments are for the reader.
    let line = line.split("  # ").next().unwrap().trim_end();
    let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
    command.push_str(line);
    goes_on
}

/// The arguments of a command as a shell would cut them: by spaces, except between quotes.
fn arguments(text: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut quote = None;
    for character in text.chars() {
        match (character, quote) {
            (end, Some(open)) if end == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(character);
                current.get_or_insert_default();
            }
            (' ', None) => arguments.extend(current.take()),
            (other, _) => current.get_or_insert_default().push(other),
        }
    }
    assert!(quote.is_none(), "an open quote in {text:?}");
    arguments.extend(current);
    arguments
}

/// Whether printed lines are the expected ones.
fn matches(expected: &[&str], printed: &[&str]) -> bool {
    match (expected, printed) {
        ([], []) => true,
        ([WILDCARD, rest @ ..], _) => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        ([line, expected @ ..], [found, printed @ ..]) => {
            matches_line(line.trim_end(), found.trim_end()) && matches(expected, printed)
        }
        _ => false,
    }
}

fn matches_line(expected: &str, found: &str) -> bool {
    let Some((begin, mut rest)) = expected.split_once(WILDCARD) else { return expected == found };
    let Some(mut found) = found.strip_prefix(begin) else { return false };
    while let Some((middle, after)) = rest.split_once(WILDCARD) {
        let Some(at) = found.find(middle) else { return false };
        found = &found[at + middle.len()..];
        rest = after;
    }
    found.ends_with(rest)
}

/// Runs a command in a folder; gives what it printed, if it ended as it should.
async fn run(folder: &Path, arguments: &[String], must_fail: bool) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmos-es"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COSMOS_") {
            command.env_remove(name);
        }
    }
    let output = match timeout(TIME_MAX, command.output()).await {
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

/// The arguments of a command that is run here; nothing for one that is not.
fn own_arguments(step: &Step) -> Option<Vec<String>> {
    if let Some(text) = RUN.iter().find_map(|begin| step.command.strip_prefix(begin)) {
        return Some(arguments(text));
    }
    let is_known = NOT_RUN.iter().any(|begin| step.command.starts_with(begin));
    assert!(is_known, "README.md:{}: what is {:?}?", step.line, step.command);
    None
}

fn copy_samples(folder: &Path) {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    fs::create_dir(folder.join("samples")).unwrap();
    for sample in fs::read_dir(samples).unwrap() {
        let sample = sample.unwrap();
        fs::copy(sample.path(), folder.join("samples").join(sample.file_name())).unwrap();
    }
}

#[tokio::test]
async fn the_commands_do_what_stands_there() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    copy_samples(folder.path());
    let mut count = 0;
    for step in steps(&text) {
        let Some(arguments) = own_arguments(&step) else { continue };
        let Step { line, command, expected } = &step;
        let must_fail = expected.iter().any(|line| line.starts_with(ERROR));
        let printed = match run(folder.path(), &arguments, must_fail).await {
            Ok(printed) => printed,
            Err(problem) => panic!("README.md:{line}: `{command}` ended with {problem}"),
        };
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            matches(&expected, &lines),
            "README.md:{line}: `{command}` prints\n{printed}\nand not\n{}\n",
            expected.join("\n")
        );
        count += 1;
    }
    assert!(count >= 5, "the tour has {count} commands");
}

#[test]
fn commands_are_found_with_their_output() {
    let text = "\
$ not this
```console
$ cosmos-es a  # why
one
  two

$ cosmos-es b \\
    c
$ cosmos-es d
```
```json
$ nor this
```
";
    let step = |line, command: &str, expected: &[&str]| Step {
        line,
        command: command.to_owned(),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
    };
    let expected = [
        step(3, "cosmos-es a", &["one", "  two"]),
        step(7, "cosmos-es b c", &[]),
        step(9, "cosmos-es d", &[]),
    ];
    assert_eq!(steps(text), expected);
}

#[test]
fn commands_are_cut_like_in_a_shell() {
    assert_eq!(arguments("a  --b 'c \"d\"' \"\" e\"f g\"h"), ["a", "--b", "c \"d\"", "", "ef gh"]);
}

#[test]
fn output_is_compared_with_placeholders() {
    let check = |expected: &str, printed: &str| {
        let (expected, printed): (Vec<_>, Vec<_>) =
            (expected.lines().collect(), printed.lines().collect());
        matches(&expected, &printed)
    };
    for (expected, printed) in [
        ("a\nb", "a\nb"),
        ("a  ", "a"),
        ("a ... c", "a b c"),
        ("a...", "a"),
        ("...a...b...", "xaxbx"),
        ("a\n...\nb", "a\nb"),
        ("a\n...\nb", "a\nx\ny\nb"),
        ("...", ""),
    ] {
        assert!(check(expected, printed), "{expected:?} {printed:?}");
    }
    for (expected, printed) in [
        ("a", "b"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("a ... c", "a b d"),
        ("ab...b", "ab"),
        ("a\n...\nb", "a\nx"),
    ] {
        assert!(!check(expected, printed), "{expected:?} {printed:?}");
    }
}
