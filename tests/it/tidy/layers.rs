//! Which module may import which, and where foreign crates may be imported.
//!
//! The order of the modules is that of the tables in `ARCHITECTURE.md`, so the page cannot differ
//! from the code.

use super::{
    Findings, assert_found, assert_none,
    markdown::{code_words, table},
    tokens::{Token, tokens},
    tree::{self, File},
};

/// Modules that every other may use, and that use none but each other.
const FOR_ALL: [&str; 3] = ["clock", "telemetry", "config"];

/// The sources of binaries, which put the parts together.
const BINARIES: [&str; 4] = [
    "src/bin/",
    "crates/bicep-check/src/main.rs",
    "crates/cosmos-local/src/main.rs",
    "crates/cosmos-local/src/command.rs",
];

/// Which folders and files may import a crate: prefixes of paths.
const IMPORTS: [(&[&str], &[&str], &str); 10] = [
    (
        &["azure_data_cosmos", "azure_core", "azure_identity"],
        &[
            "src/cosmos",
            "src/store/cosmos",
            "src/feed/cosmos",
            "src/projection/cosmos",
            "tests/",
            "benches/",
        ],
        "go through a module named `cosmos`",
    ),
    (
        &["azure_data_cosmos_driver"],
        &["crates/cosmos-local/tests/", "crates/cosmos-local/src/json/binary/tests"],
        "the endpoint knows no SDK",
    ),
    (
        &["cosmos_local"],
        &["src/cli", "src/bin/", "crates/cosmos-local/", "tests/", "benches/"],
        "the library takes any endpoint and starts none",
    ),
    (&["axum", "utoipa"], &["src/http", "tests/", "benches/"], "HTTP is the business of `http`"),
    (
        &["clap"],
        &[
            "src/cli",
            "src/bin/",
            "crates/cosmos-local/src/command.rs",
            "crates/cosmos-local/src/main.rs",
        ],
        "arguments are the business of `cli` and the binaries",
    ),
    (
        &["hyper", "hyper_util", "http_body_util"],
        &[
            "src/http",
            "crates/cosmos-local/src/server",
            "crates/cosmos-local/src/management",
            "crates/cosmos-local/tests/",
            "tests/",
            "benches/",
        ],
        "HTTP is the business of `http`, and of `server` and `management` of the endpoint",
    ),
    (
        &["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "tracing_opentelemetry"],
        &["src/telemetry/otlp"],
        "exporting is the business of `telemetry`, behind a feature",
    ),
    (&["redb"], &["crates/cosmos-local/src/storage"], "the file is the business of `storage`"),
    (&["bicep_check"], &["crates/bicep-check/", "tests/"], "it is a tool for the tests"),
    (
        &["tree_sitter", "tree_sitter_bicep"],
        &["crates/bicep-check/src/parse"],
        "the grammar is the business of `parse`",
    ),
];

/// One import: the line, and the module below the root of the crate.
#[derive(Debug, PartialEq, Eq)]
struct Import<'t> {
    line: usize,
    module: &'t str,
}

/// What a source names below the root of its crate, by `crate::` or by enough `super::`.
///
/// `depth` is the number of modules around the source: 0 for `lib.rs`, 1 for `store.rs`.
fn imports(text: &str, depth: usize) -> Vec<Import<'_>> {
    let tokens = tokens(text);
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut found = Vec::new();
    let mut braces = Vec::new();
    for at in 0..tokens.len() {
        let is_path_start = at == 0 || word(at - 1) != "::";
        match word(at) {
            "{" => braces.push(at >= 2 && word(at - 2) == "mod"),
            "}" => {
                braces.pop();
            }
            "crate" if word(at + 1) == "::" => below_root(&tokens, at + 2, &mut found),
            "super" if is_path_start => {
                let mut end = at;
                while word(end + 1) == "::" && word(end + 2) == "super" {
                    end += 2;
                }
                let climbed = (end - at) / 2 + 1;
                let inline = braces.iter().filter(|is_module| **is_module).count();
                if climbed >= depth + inline && word(end + 1) == "::" {
                    below_root(&tokens, end + 2, &mut found);
                }
            }
            _ => {}
        }
    }
    found
}

/// The names at `at`, behind the `::` of the root: one, or the first of each path of a group.
fn below_root<'t>(tokens: &[Token<'t>], at: usize, found: &mut Vec<Import<'t>>) {
    let Some(first) = tokens.get(at) else { return };
    if first.text != "{" {
        found.push(Import { line: first.line, module: first.text });
        return;
    }
    let mut depth = 0;
    let mut at_start = false;
    for token in &tokens[at..] {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && at_start => {
                found.push(Import { line: token.line, module: token.text });
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
        at_start = depth == 1 && matches!(token.text, "{" | ",");
    }
}

/// The top module that a source belongs to and its depth; nothing for the root and the binaries.
fn place<'f>(file: &'f File, sources: &str) -> Option<(&'f str, usize)> {
    if BINARIES.iter().any(|binary| file.path.starts_with(binary)) {
        return None;
    }
    let path = file.path.strip_prefix(sources)?.strip_suffix(".rs")?;
    let (top, depth) = (path.split('/').next()?, path.split('/').count());
    (top != "lib").then_some((top, depth))
}

/// `may(from, to)` says whether the import is allowed; nothing when `to` is no module.
fn check_imports(file: &File, sources: &str, may: impl Fn(&str, &str) -> Option<bool>) -> Findings {
    let Some((from, depth)) = place(file, sources) else { return Vec::new() };
    let is_test = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    let mut findings = Vec::new();
    for Import { line, module } in imports(&file.text, depth) {
        // A test may use what the crate exports, as a caller does.
        let is_exported = module.starts_with(|first: char| first.is_ascii_uppercase());
        if module == from || (is_test && is_exported) {
            continue;
        }
        let path = &file.path;
        match may(from, module) {
            Some(true) => {}
            Some(false) => findings.push(format!(
                "{path}:{line}: `{from}` must not use `{module}`: see the modules in \
                 ARCHITECTURE.md; move the code, or pass in what is needed"
            )),
            None => findings.push(format!(
                "{path}:{line}: `{module}` is no module of ARCHITECTURE.md: import from the \
                 module that defines it, or add the module to the table"
            )),
        }
    }
    findings
}

/// Upwards in the list only, except for what all may use.
fn may_upwards(order: &[&str], from: &str, to: &str) -> Option<bool> {
    let place = |name: &str| order.iter().position(|module| *module == name);
    let (from_place, to_place) = (place(from)?, place(to)?);
    Some(if FOR_ALL.contains(&to) {
        true
    } else {
        !FOR_ALL.contains(&from) && to_place < from_place
    })
}

fn check_crates(file: &File) -> Findings {
    let mut findings = Vec::new();
    let tokens = tokens(&file.text);
    for (names, places, instead) in IMPORTS {
        let allowed = places.iter().any(|place| file.path.starts_with(place));
        // `hyper` is as good a name for something else; what counts is a path or an import.
        let is_crate = |window: &[Token<'_>]| {
            names.contains(&window[0].text) && matches!(window[1].text, "::" | ";")
        };
        for window in tokens.windows(2).filter(|window| !allowed && is_crate(window)) {
            let (path, line, name) = (&file.path, window[0].line, window[0].text);
            findings.push(format!("{path}:{line}: `{name}` must not be imported here: {instead}"));
        }
    }
    findings
}

fn modules_of(sources: &str) -> Vec<&'static str> {
    let mut modules: Vec<_> =
        tree::rust().filter_map(|file| Some(place(file, sources)?.0)).collect();
    modules.sort_unstable();
    modules.dedup();
    modules
}

fn first_cells(rows: &[Vec<&'static str>]) -> Vec<&'static str> {
    rows.iter().flat_map(|row| code_words(row[0])).collect()
}

fn root_rows() -> Vec<Vec<&'static str>> {
    table(tree::file("ARCHITECTURE.md"), "## Modules of `src`")
}

fn local_rows() -> Vec<Vec<&'static str>> {
    table(tree::file("ARCHITECTURE.md"), "## Modules of `crates/cosmos-local/src`")
}

fn check_rows() -> Vec<Vec<&'static str>> {
    table(tree::file("ARCHITECTURE.md"), "## Modules of `crates/bicep-check/src`")
}

const ROOT: &str = "src/";
const CHECK: &str = "crates/bicep-check/src/";
const LOCAL: &str = "crates/cosmos-local/src/";

#[test]
fn the_map_has_every_module() {
    for (sources, rows) in [(ROOT, root_rows()), (LOCAL, local_rows()), (CHECK, check_rows())] {
        let mut mapped = first_cells(&rows);
        mapped.sort_unstable();
        assert_eq!(mapped, modules_of(sources), "ARCHITECTURE.md and {sources} differ");
    }
}

#[test]
fn modules_use_what_stands_above_them() {
    let order = first_cells(&root_rows());
    let may = |from: &str, to: &str| may_upwards(&order, from, to);
    let findings = tree::rust().flat_map(|file| check_imports(file, ROOT, may)).collect();
    assert_none("an import goes the wrong way", &findings);
}

#[test]
fn modules_of_other_packages_use_what_the_map_says() {
    for (sources, rows) in [(LOCAL, local_rows()), (CHECK, check_rows())] {
        let may = |from: &str, to: &str| {
            let row =
                |name: &str| rows.iter().find(|row| code_words(row[0]).any(|one| one == name));
            row(to).and(row(from)).map(|row| code_words(row[2]).any(|used| used == to))
        };
        let findings = tree::rust().flat_map(|file| check_imports(file, sources, may)).collect();
        assert_none("an import is not in the map", &findings);
    }
}

#[test]
fn imports_the_wrong_way_are_found() {
    let order = ["event", "stream", "store", "http", "config", "clock"];
    let check = |path: &str, text: &str| {
        check_imports(&File::new(path, text), ROOT, |from, to| may_upwards(&order, from, to))
    };
    let down = "use crate::{clock::Clock, store::{event::X, Y}};";
    assert_found(&check("src/event/id.rs", down), &["src/event/id.rs:1", "`event`", "`store`"]);
    assert_found(
        &check("src/event.rs", "fn f() {\n crate::http::g() }"),
        &["event.rs:2", "`http`"],
    );
    assert_found(&check("src/event/id.rs", "use super::super::store::X;"), &["`store`"]);
    let inline = "mod tests { use super::super::super::store::X; use super::super::Id; }";
    assert_found(&check("src/event/id.rs", inline), &["`store`"]);
    assert_found(&check("src/config.rs", "use crate::event::Id;"), &["`config`", "`event`"]);
    assert_found(&check("src/store.rs", "use crate::EventId;"), &["`EventId` is no module"]);
    for (path, fine) in [
        ("src/store/read.rs", "use crate::{event::Id, store::error::E, config::Options};"),
        ("src/store.rs", "use self::read::Read; mod tests { use super::*; }"),
        ("src/store/read.rs", "use super::error::E; pub(in crate::store) fn f() {}"),
        ("src/bin/cosmos-es.rs", "use crate::anything;"),
        ("src/store/tests.rs", "use crate::EventId;"),
        ("src/event.rs", "// crate::store\nfn f(s: &str) { g(\"crate::store\") }"),
        ("crates/other/src/event.rs", "use crate::store::X;"),
    ] {
        assert_eq!(check(path, fine), Findings::new(), "{fine}");
    }
}

#[test]
fn foreign_crates_are_imported_in_their_place() {
    let findings = tree::rust().flat_map(check_crates).collect();
    assert_none("a crate is imported in the wrong place", &findings);
}

#[test]
fn foreign_crates_in_the_wrong_place_are_found() {
    let check = |path: &str, text: &str| check_crates(&File::new(path, text));
    let sdk = "use azure_data_cosmos::CosmosClient;";
    assert_found(&check("src/store/read.rs", sdk), &["src/store/read.rs:1", "`cosmos`"]);
    assert_found(&check("src/event.rs", "fn f(e: azure_core::Error) {}"), &["azure_core"]);
    assert_found(&check("src/store.rs", "use axum::Router;"), &["`http`"]);
    assert_found(&check("src/config.rs", "use clap::Parser;"), &["`cli`"]);
    assert_found(&check("crates/cosmos-local/src/query.rs", "use hyper;"), &["`server`"]);
    assert_found(&check("src/cli.rs", "use bicep_check::check;"), &["tests"]);
    let exporter = "use opentelemetry::trace::SpanContext;";
    assert_found(&check("src/telemetry/spans.rs", exporter), &["behind a feature"]);
    assert_eq!(check("src/telemetry/otlp/context.rs", exporter), Findings::new());
    let grammar = "fn f(node: tree_sitter::Node<'_>) {}";
    assert_found(&check("crates/bicep-check/src/names.rs", grammar), &["`parse`"]);
    assert_eq!(check("src/store/cosmos/query.rs", sdk), Findings::new());
    assert_eq!(check("src/cli/read.rs", "use clap::Args;"), Findings::new());
    assert_eq!(check("src/event.rs", "let clap = 1; f(clap)"), Findings::new());
}
