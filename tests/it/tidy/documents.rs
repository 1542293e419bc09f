//! What stands in documents and settings and must stay true.

use super::{
    Findings, assert_found, assert_none,
    markdown::prose,
    tree::{self, File},
};

/// The characters of an account key in base64, and how it ends.
const KEY_CHARACTERS: usize = 86;
const KEY_END: &str = "==";
/// How the key of the worked example in the REST interface's documentation begins.
const KEY_DOCUMENTED: &str = "dsZQi3KtZmCv1ljt3VNWNm7s";
/// What stands before the checksum of a package, which is as long as a key, and where.
const CHECKSUM: (&str, &str) = ("package-lock.json", "\"integrity\": \"sha512-");

/// Account keys other than the published ones.
fn check_keys(file: &File) -> Findings {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let mut findings = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        let mut end = 0;
        while let Some(found) = line[end..].find(KEY_END) {
            let before = &line[..end + found];
            let start = before.rfind(|c| !is_base64(c)).map_or(0, |at| at + 1);
            let key = format!("{}{KEY_END}", &before[start..]);
            let published = key == cosmos_local::EMULATOR_KEY || key.starts_with(KEY_DOCUMENTED);
            let is_checksum = file.path.ends_with(CHECKSUM.0) && line[..start].trim() == CHECKSUM.1;
            if before.len() - start == KEY_CHARACTERS && !published && !is_checksum {
                let path = &file.path;
                findings.push(format!(
                    "{path}:{number}: an account key: only the emulator's may be here; replace the \
                     account's key, this one is known now"
                ));
            }
            end += found + KEY_END.len();
        }
    }
    findings
}

/// The number and title of a decision record: `docs/decisions/001-title.md` begins `# 001 Title`.
fn check_decision(file: &File) -> Findings {
    let number = file.stem().split('-').next().unwrap();
    let is_number = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    let mut findings = Vec::new();
    if !is_number || !file.text.starts_with(&format!("# {number} ")) {
        findings.push(format!("{}: begin with `# ` and the number of the file", file.path));
    }
    for section in ["## Context", "## Decision", "## Consequences"] {
        if !prose(&file.text).any(|(_, line)| line == section) {
            findings.push(format!("{}: the section {section:?} is missing", file.path));
        }
    }
    findings
}

fn check_changelog(file: &File) -> Findings {
    let has = |heading: &str| prose(&file.text).any(|(_, line)| line == heading);
    let missing = ["## [Unreleased]", "### Stored format"].into_iter().filter(|one| !has(one));
    missing.map(|one| format!("{}: the section {one:?} is missing", file.path)).collect()
}

/// The charges that a document states and those that the endpoint's source states.
fn check_charges(document: &File, source: &File) -> Findings {
    let stated = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim_start_matches("//! "));
        lines
            .skip_while(|line| !line.starts_with("| operation |"))
            .take_while(|line| line.starts_with('|'))
            .map(str::to_owned)
            .collect()
    };
    let (document_rows, source_rows) = (stated(&document.text), stated(&source.text));
    if document_rows == source_rows && !source_rows.is_empty() {
        return Vec::new();
    }
    vec![format!("{}: copy the table of charges from {}", document.path, source.path)]
}

fn decisions() -> impl Iterator<Item = &'static File> {
    tree::markdown().filter(|file| file.path.starts_with("docs/decisions/"))
}

#[test]
fn no_account_key_is_in_a_file() {
    assert_none("a secret", &tree::files().iter().flat_map(check_keys).collect());
}

#[test]
fn account_keys_are_found() {
    let file = |text: String| File::new("local.settings.json", &text);
    let secret = "A".repeat(KEY_CHARACTERS);
    let findings = check_keys(&file(format!("{{\n\"key\": \"{secret}==\"\n}}")));
    assert_found(&findings, &["local.settings.json:2", "emulator"]);
    let emulator = cosmos_local::EMULATOR_KEY;
    assert_eq!(check_keys(&file(format!("AccountKey={emulator};"))), Findings::new());
    assert_eq!(check_keys(&file("a == b == \"YQ==\"".to_owned())), Findings::new());
    let locked = |text: String| check_keys(&File::new("a/package-lock.json", &text));
    let checksum = format!("  \"integrity\": \"sha512-{secret}==\",");
    assert_eq!(locked(checksum.clone()), Findings::new());
    assert_found(&check_keys(&file(checksum)), &["emulator"]);
    assert_found(&locked(format!("  \"key\": \"sha512-{secret}==\",")), &["emulator"]);
}

#[test]
fn decision_records_have_their_form() {
    assert!(decisions().count() > 0);
    assert_none(
        "a decision record lacks something",
        &decisions().flat_map(check_decision).collect(),
    );
    let mut numbers: Vec<&str> = decisions().map(|file| &file.stem()[..3]).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), decisions().count(), "two records have the same number");
}

#[test]
fn formless_decision_records_are_found() {
    let sections = "## Context\n## Decision\n## Consequences\n";
    let check = |text: &str| check_decision(&File::new("docs/decisions/007-x.md", text));
    assert_eq!(check(&format!("# 007 X\n{sections}")), Findings::new());
    assert_found(&check(&format!("# X\n{sections}")), &["number"]);
    assert_found(&check("# 007 X\n## Context\n## Decision\n"), &["Consequences"]);
}

#[test]
fn the_changelog_has_its_form() {
    assert_none("the changelog", &check_changelog(tree::file("CHANGELOG.md")));
    let bad = File::new("CHANGELOG.md", "# Changelog\n## [Unreleased]\n");
    assert_found(&check_changelog(&bad), &["Stored format"]);
}

#[test]
fn charges_are_stated_as_they_are() {
    let source = tree::file("crates/cosmos-local/src/server/charge.rs");
    let findings = check_charges(tree::file("docs/cosmos-local.md"), source);
    assert_none("the charges in the document differ", &findings);
}

#[test]
fn other_charges_are_found() {
    let source =
        File::new("charge.rs", "//! | operation | RU |\n//! |---|---|\n//! | read | 1 |\n");
    let right = File::new("a.md", "x\n\n| operation | RU |\n|---|---|\n| read | 1 |\n\ny");
    assert_eq!(check_charges(&right, &source), Findings::new());
    let wrong = File::new("a.md", &right.text.replace('1', "2"));
    assert_found(&check_charges(&wrong, &source), &["a.md", "charge.rs"]);
    assert_found(&check_charges(&File::new("a.md", ""), &source), &["copy"]);
}
