//! What every Rust source must be, and what must not be in one.
//!
//! The length of functions is Clippy's business (`clippy.toml`).

use super::{
    Findings, assert_found, assert_none,
    tokens::{Token, tokens},
    tree::{self, File},
};

/// The most lines of a source; about 300 read well.
const LINES_MAX: usize = 500;
/// Names that say nothing about what is inside, and the older form of a module's file.
const NAMES_BANNED: [&str; 5] = ["utils", "helpers", "common", "misc", "mod"];

/// What must not be in a source, as a run of tokens, and what to do instead.
const BANNED: [(&[&str], &str); 5] = [
    (&["todo", "!"], "finish it, or return an error that says what is missing"),
    (&["unimplemented", "!"], "finish it, or return an error that says what is missing"),
    (&["#", "[", "ignore"], "make the test run, or remove it"),
    (&["thread", "::", "sleep"], "wait for what should happen, with a deadline"),
    (&["Timestamp", "::", "now"], "take a Clock"),
];
/// The one source that reads the clocks.
const CLOCK: &str = "src/clock.rs";

fn check_length(file: &File) -> Findings {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines, at most {LINES_MAX}: cut it by purpose", file.path)]
}

fn check_first_line(file: &File) -> Findings {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![format!("{}:1: begin with `//!` and what the file is for", file.path)]
}

fn check_ascii(file: &File) -> Findings {
    let is_foreign = |character: &char| !character.is_ascii();
    let lines = file.text.lines().zip(1..);
    lines
        .filter_map(|(line, number)| line.chars().find(is_foreign).map(|found| (found, number)))
        .map(|(found, number)| {
            let code = u32::from(found);
            format!("{}:{number}: {found:?} is not ASCII: write \\u{{{code:x}}}", file.path)
        })
        .collect()
}

fn check_name(file: &File) -> Findings {
    let mut parts = file.path.split('/').chain([file.stem()]);
    let banned = parts.find(|part| NAMES_BANNED.contains(part));
    banned
        .map(|name| match name {
            "mod" => format!("{}: name it after its module, beside the folder", file.path),
            name => format!("{}: `{name}` says nothing; name it after its purpose", file.path),
        })
        .into_iter()
        .collect()
}

fn check_banned(file: &File) -> Findings {
    let tokens = tokens(&file.text);
    let mut findings = Vec::new();
    for (words, instead) in BANNED {
        if words[0] == "Timestamp" && file.path == CLOCK {
            continue;
        }
        let is_here = |window: &&[Token<'_>]| window.iter().map(|one| one.text).eq(words.to_vec());
        for window in tokens.windows(words.len()).filter(is_here) {
            let found = words.concat();
            findings.push(format!("{}:{}: `{found}`: {instead}", file.path, window[0].line));
        }
    }
    findings
}

fn over_the_tree(check: fn(&File) -> Findings) -> Findings {
    tree::rust().flat_map(check).collect()
}

#[test]
fn sources_are_short() {
    assert_none("a source is too long", &over_the_tree(check_length));
}

#[test]
fn a_long_source_is_found() {
    let file = File::new("src/a.rs", &"//! a\n".repeat(LINES_MAX + 1));
    assert_found(&check_length(&file), &["src/a.rs", "501 lines"]);
}

#[test]
fn sources_say_what_they_are_for() {
    assert_none("a source does not say what it is for", &over_the_tree(check_first_line));
}

#[test]
fn a_source_without_purpose_is_found() {
    let file = File::new("src/a.rs", "use std::fmt;\n//! late\n");
    assert_found(&check_first_line(&file), &["src/a.rs:1"]);
}

#[test]
fn sources_are_ascii() {
    assert_none("a source has other characters than ASCII", &over_the_tree(check_ascii));
}

#[test]
fn other_characters_are_found() {
    let file = File::new("src/a.rs", "//! a\n// caf\u{e9}\n");
    assert_found(&check_ascii(&file), &["src/a.rs:2", "\\u{e9}"]);
}

#[test]
fn names_of_sources_say_something() {
    assert_none("a source has an empty name", &over_the_tree(check_name));
}

#[test]
fn empty_names_are_found() {
    for path in ["src/utils.rs", "src/helpers/a.rs", "crates/a/src/common.rs"] {
        assert_found(&check_name(&File::new(path, "")), &[path, "purpose"]);
    }
    assert_found(&check_name(&File::new("src/a/mod.rs", "")), &["beside the folder"]);
    assert_eq!(check_name(&File::new("src/model.rs", "")), Findings::new());
}

#[test]
fn nothing_is_left_for_later() {
    assert_none("a source has what it must not have", &over_the_tree(check_banned));
}

#[test]
fn what_is_left_for_later_is_found() {
    let samples = [
        ("fn f() {\n    todo!(\"x\")\n}", "src/a.rs:2"),
        ("fn f() { std::unimplemented!() }", "unimplemented!"),
        ("#[ignore = \"slow\"]\n#[test]\nfn f() {}", "src/a.rs:1"),
        ("fn f() { std::thread::sleep(d) }", "thread::sleep"),
        ("fn f() { jiff::Timestamp::now() }", "Clock"),
    ];
    for (sample, place) in samples {
        assert_found(&check_banned(&File::new("src/a.rs", sample)), &[place]);
    }
    assert_eq!(check_banned(&File::new("src/a.rs", "// todo!() later")), Findings::new());
    assert_eq!(check_banned(&File::new(CLOCK, "fn f() { Timestamp::now() }")), Findings::new());
}
