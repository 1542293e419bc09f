//! Documents: their links, headings and tables.

use std::path::{Component, Path, PathBuf};

use super::{
    Findings, assert_found, assert_none,
    tree::{self, File},
};

/// The lines outside of fenced blocks, with their numbers.
pub(super) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !is_fence && !fenced
    })
}

/// The rows of the tables below a heading, down to the next heading of any level, as cells; without
/// the heads of the tables.
pub(crate) fn table<'t>(file: &'t File, heading: &str) -> Vec<Vec<&'t str>> {
    let mut rows = Vec::new();
    let mut lines = prose(&file.text).map(|(_, line)| line).skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "{} has no heading {heading:?}", file.path);
    let mut in_body = false;
    for line in lines.take_while(|line| !line.starts_with('#')) {
        if !line.starts_with('|') {
            in_body = false;
        } else if in_body {
            rows.push(line.trim_matches('|').split('|').map(str::trim).collect());
        } else {
            in_body = line.starts_with("|--") || line.starts_with("| --");
        }
    }
    rows
}

/// The words in backticks.
pub(crate) fn code_words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The targets of the links of a document, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // Between backticks nothing is a link.
        let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let mut rest = plain.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let (target, after) = after.split_once(')').unwrap_or((after, ""));
            found.push((number, target.split_whitespace().next().unwrap_or("").to_owned()));
            rest = after;
        }
        if let Some((label, target)) = plain.split_once("]: ")
            && label.starts_with('[')
        {
            found.push((number, target.trim().to_owned()));
        }
    }
    found
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    headings
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// A path without `.` and `..`; nothing when it leads out of the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => out.push(part),
            Component::CurDir => {}
            Component::ParentDir if out.pop() => {}
            _ => return None,
        }
    }
    Some(out)
}

/// `text_of` gives the text of the file at a path from the root, an empty one for a folder.
fn check_links(file: &File, text_of: impl Fn(&Path) -> Option<String>) -> Findings {
    let folder = Path::new(&file.path).parent().unwrap();
    let mut findings = Vec::new();
    for (line, link) in links(&file.text) {
        let mut problem = |what: &str| {
            findings.push(format!("{}:{line}: the link to {link:?} {what}", file.path));
        };
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let target = if path.is_empty() {
            Some(PathBuf::from(&file.path))
        } else {
            normal(&folder.join(path))
        };
        match target.map(|target| text_of(&target)) {
            None => problem("leads out of the repository"),
            Some(None) => problem("leads nowhere; correct or remove it"),
            Some(Some(text)) if !anchor.is_empty() && !anchors(&text).contains(&anchor.into()) => {
                problem("names a heading that is not there");
            }
            Some(Some(_)) => {}
        }
    }
    findings
}

#[test]
fn links_lead_somewhere() {
    let text_of = |path: &Path| {
        let path = tree::root().join(path);
        if path.is_dir() { Some(String::new()) } else { std::fs::read_to_string(path).ok() }
    };
    let findings = tree::markdown().flat_map(|file| check_links(file, text_of)).collect();
    assert_none("a link is broken", &findings);
}

#[test]
fn broken_links_are_found() {
    let text_of = |path: &Path| match path.to_str().unwrap() {
        "docs/b.md" => Some("# B\n\n## One `thing`, and more\n".to_owned()),
        "docs" => Some(String::new()),
        _ => None,
    };
    let check = |text: &str| check_links(&File::new("docs/a.md", text), text_of);
    assert_found(&check("see [b](c.md)"), &["docs/a.md:1", "c.md", "nowhere"]);
    assert_found(&check("\n[b](../../c.md)"), &["docs/a.md:2", "out of the repository"]);
    assert_found(&check("[b](b.md#two)"), &["heading"]);
    assert_found(&check("[b]: c.md"), &["c.md"]);
    for fine in [
        "[b](b.md) [c](../docs/b.md#one-thing-and-more) [d](.) [e](https://example.com/x)",
        "`[b](c.md)`",
        "```\n[b](c.md)\n```",
    ] {
        assert_eq!(check(fine), Findings::new(), "{fine}");
    }
}

#[test]
fn tables_are_read_below_their_heading() {
    let text = "# A\n| x | y |\n|---|---|\n| 0 | 0 |\n## B\ntext\n\n| x | y |\n|---|---|\n\
                | `a`, `b` | c |\n\nmore\n## C\n";
    let file = File::new("a.md", text);
    let rows = table(&file, "## B");
    assert_eq!(rows, [["`a`, `b`", "c"]]);
    assert_eq!(code_words(rows[0][0]).collect::<Vec<_>>(), ["a", "b"]);
}
