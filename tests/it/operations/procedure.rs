//! One procedure of the page, command by command.

use std::{collections::VecDeque, process::Stdio, time::Duration};

use crate::{
    cli::program::Place,
    readme::document::{Step, arguments, matches, steps},
};

/// The page.
pub(super) const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
/// How a command begins.
const RUN: &str = "cosmos-es ";
/// How an error begins.
const ERROR: &str = "cosmos-es: ";
/// Far above what a command takes, also on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(1);

/// The commands of a section that were not run yet.
pub(super) struct Procedure {
    title: String,
    steps: VecDeque<Step>,
}

/// The text of the page.
pub(super) fn page() -> String {
    std::fs::read_to_string(PAGE).unwrap()
}

/// The lines under a heading up to the next one, at their places: all others are empty.
pub(super) fn section(page: &str, title: &str) -> String {
    let mut is_inside = false;
    let mut is_code = false;
    let mut section = String::new();
    for line in page.lines() {
        is_code ^= line.starts_with("```");
        if !is_code && line.starts_with('#') {
            is_inside = line.trim_start_matches('#').trim() == title;
        } else if is_inside {
            section.push_str(line);
        }
        section.push('\n');
    }
    section
}

impl Procedure {
    /// The commands under this heading.
    pub(super) fn of(title: &str) -> Self {
        let steps = VecDeque::from(steps(&section(&page(), title)));
        assert!(!steps.is_empty(), "docs/operations.md has no commands under {title:?}");
        Self { title: title.to_owned(), steps }
    }

    /// Runs the next command, which must be one of these words, in a place; what it says must be what stands
    /// in the page.
    pub(super) async fn run(&mut self, place: &Place, words: &str) -> String {
        let step = self.steps.pop_front();
        let Some(Step { line, command, expected }) = step else {
            panic!("{:?} has no more commands", self.title);
        };
        let begins = command.strip_prefix(RUN).is_some_and(|rest| rest.starts_with(words));
        assert!(begins, "docs/operations.md:{line}: {command:?} and not {words:?}");
        let mut arguments = arguments(&command[RUN.len()..]);
        // The shell's part: standard output into a file.
        let file = arguments.iter().position(|word| word.starts_with('>'));
        let file = file.map(|at| arguments.remove(at)[1..].to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut program = tokio::process::Command::from(place.command(&arguments));
        program.current_dir(place.path("")).stdin(Stdio::null()).kill_on_drop(true);
        let ran = tokio::time::timeout(TIME_MAX, program.output()).await;
        let ran = ran.unwrap_or_else(|_| panic!("docs/operations.md:{line}: it does not end"));
        let ran = ran.unwrap();
        let mut printed = String::from_utf8(ran.stdout).unwrap();
        if let Some(file) = file {
            std::fs::write(place.path(&file), std::mem::take(&mut printed)).unwrap();
        }
        printed.push_str(&String::from_utf8(ran.stderr).unwrap());
        let must_fail = expected.iter().any(|line| line.starts_with(ERROR));
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            ran.status.success() != must_fail && matches(&expected, &lines),
            "docs/operations.md:{line}: `{command}` ends with {} and says\n{printed}\nand not\n{}\n",
            ran.status,
            expected.join("\n")
        );
        printed
    }

    /// There must be nothing left to do.
    pub(super) fn end(self) {
        assert!(self.steps.is_empty(), "{:?} is not carried out: {:?}", self.title, self.steps);
    }
}
