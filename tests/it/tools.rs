//! Programs that some tests need besides the Rust toolchain.
//!
//! Where one of them is missing, the test says so and passes: a newcomer needs nothing but Rust. Where
//! `TEST_CLIENTS` is `required`, as in `.ci/run`, it fails.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// What makes a missing program a failure.
const VARIABLE: &str = "TEST_CLIENTS";

/// Whether all of these programs can be run. `what` is not tested otherwise.
pub(crate) fn are_there(programs: &[&str], what: &str) -> bool {
    programs.iter().all(|program| is_there(runs(program), program, what))
}

/// The same for something else that is needed.
pub(crate) fn is_there(found: bool, name: &str, what: &str) -> bool {
    if !found {
        let is_required = std::env::var_os(VARIABLE).is_some_and(|value| value == "required");
        assert!(!is_required, "{name} is missing, and {VARIABLE}=required: {what} is not tested");
        // Straight to standard error: the test harness keeps to itself what a passing test prints.
        let said = writeln!(std::io::stderr(), "skipped: {name} is missing, {what} is not tested");
        said.expect("standard error takes a line");
    }
    found
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
