//! Rules that the compiler does not know: layout of the sources, who may import whom, and that the
//! documents say what is true.
//!
//! Every check has a test over the tree and one over a sample that breaks its rule. A message names
//! the file, the line and what to do.

mod documents;
mod functions;
mod layers;
mod leases;
mod manifests;
pub(crate) mod markdown;
mod service;
mod sources;
mod telemetry;
mod tokens;
pub(crate) mod tree;

/// What a check found: one line for each place, empty when all is well.
type Findings = Vec<String>;

/// Fails with all findings at once.
fn assert_none(rule: &str, findings: &Findings) {
    assert!(findings.is_empty(), "{rule}:\n  {}\n", findings.join("\n  "));
}

/// Fails unless there is exactly one finding and it has these words.
fn assert_found(findings: &Findings, words: &[&str]) {
    assert_eq!(findings.len(), 1, "{findings:?}");
    for word in words {
        assert!(findings[0].contains(word), "{findings:?} lacks {word:?}");
    }
}
