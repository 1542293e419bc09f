//! That each procedure of the page is carried out by a test that the page names, or says that none is.

use std::collections::BTreeSet;

use super::procedure::{page, section};
use crate::readme::document::steps;

/// How the page names a test.
const REHEARSED: &str = "rehearsed by `tests/it/operations/";
/// What the page says of what could not be tried.
const NEVER_RUN: &str = "never run against azure";

/// The sources of these tests.
fn sources() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/operations");
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// The headings of the page, the first one left out.
fn headings(page: &str) -> Vec<String> {
    let mut is_code = false;
    let mut headings = Vec::new();
    for line in page.lines() {
        is_code ^= line.starts_with("```");
        if !is_code && line.starts_with("##") {
            headings.push(line.trim_start_matches('#').trim().to_owned());
        }
    }
    headings
}

#[test]
fn every_block_of_commands_is_run_by_a_test() {
    let (page, sources) = (page(), sources());
    for heading in headings(&page) {
        if !steps(&section(&page, &heading)).is_empty() {
            let is_run = sources.contains(&format!("Procedure::of({heading:?})"));
            assert!(is_run, "no test carries out {heading:?}");
            let says = section(&page, &heading).to_lowercase();
            assert!(says.contains(REHEARSED), "{heading:?} does not say where it is rehearsed");
        }
    }
}

#[test]
fn the_tests_that_the_page_names_are_there() {
    let (page, sources) = (page(), sources());
    let mut named = BTreeSet::new();
    for mention in page.split("`tests/it/operations/").skip(1) {
        let (path, _) = mention.split_once('`').unwrap();
        let (file, name) = path.split_once("::").unwrap_or((path, ""));
        let file = format!("{}/tests/it/operations/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("no {file}"));
        assert!(name.is_empty() || source.contains(&format!("fn {name}(")), "no test {path}");
        named.insert(name.to_owned());
    }
    assert!(named.len() >= 10, "{named:?}");
    assert!(!sources.is_empty());
}

/// Every block for a shell has something that only exists in Azure, and says so.
#[test]
fn what_was_never_run_is_marked() {
    let page = page();
    for heading in headings(&page) {
        let text = section(&page, &heading);
        if text.contains("```sh") {
            assert!(text.to_lowercase().contains(NEVER_RUN), "{heading:?} has commands nobody ran");
        }
    }
}
