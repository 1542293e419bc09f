//! What a document says about commands: the blocks marked `console`.

/// Any text.
const WILDCARD: &str = "...";

/// A command and what it prints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The line of the document, from 1.
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) expected: Vec<String>,
}

/// The commands of all `console` blocks of a document.
pub(crate) fn steps(text: &str) -> Vec<Step> {
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
pub(crate) fn arguments(text: &str) -> Vec<String> {
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
pub(crate) fn matches(expected: &[&str], printed: &[&str]) -> bool {
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
