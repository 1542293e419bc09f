//! Rust sources as words and marks, without comments, strings and characters.
//!
//! Enough to find names and paths; it does not know the grammar.

/// A word (identifier, keyword or number), `::`, or a single mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    /// Its line, from 1.
    pub(super) line: usize,
}

/// Cuts a source into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let skipped = if first.is_whitespace() { first.len_utf8() } else { foreign_length(rest) };
        if skipped > 0 {
            line += rest[..skipped].matches('\n').count();
            rest = &rest[skipped..];
            continue;
        }
        let length = match first {
            _ if is_word_character(first) => word_length(rest),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        found.push(Token { text: &rest[..length], line });
        rest = &rest[length..];
    }
    found
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn word_length(rest: &str) -> usize {
    rest.find(|character| !is_word_character(character)).unwrap_or(rest.len())
}

/// The length of the comment, string, character or lifetime at the beginning; 0 when it is code.
fn foreign_length(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_length(rest);
    }
    if rest.starts_with('\'') {
        return quote_length(rest);
    }
    let prefix = ["br", "cr", "r", "b", "c", ""]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix) && is_string_start(&rest[prefix.len()..], prefix));
    match prefix {
        Some(prefix) if prefix.ends_with('r') => raw_string_length(rest, prefix.len()),
        Some("b") if rest[1..].starts_with('\'') => 1 + quote_length(&rest[1..]),
        Some(prefix) => string_length(rest, prefix.len()),
        None => 0,
    }
}

fn is_string_start(rest: &str, prefix: &str) -> bool {
    match prefix {
        "br" | "cr" | "r" => rest.trim_start_matches('#').starts_with('"'),
        "b" => rest.starts_with(['"', '\'']),
        _ => rest.starts_with('"'),
    }
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().unwrap().len_utf8();
        }
    }
    rest.len()
}

fn string_length(rest: &str, open: usize) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip_while(|(at, _)| *at <= open) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string_length(rest: &str, prefix: usize) -> usize {
    let hashes = rest[prefix..].find('"').unwrap();
    let open = prefix + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    rest[open..].find(&close).map_or(rest.len(), |at| open + at + close.len())
}

/// A character, or the mark and name of a lifetime.
fn quote_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((escaped, _))) => {
            let after = escaped + 1;
            rest[after..].find('\'').map_or(rest.len(), |at| after + at + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1 + word_length(&rest[1..]),
    }
}

#[test]
fn only_code_is_left() {
    let source = r##"
//! a /* b
fn f<'a>(x: &'a str) -> char { /* todo!() /* nested */ still */
    let s = "c \" d"; let r = r#"e " f"#; let b = b"g"; let q = b'"'; // h
    crate::x('i', '\'', '\u{1f600}', s)
}
"##;
    let words: Vec<_> = tokens(source).iter().map(|token| token.text).collect();
    let text = words.join(" ");
    assert_eq!(
        text,
        "fn f < > ( x : & str ) -> char { let s = ; let r = ; let b = ; let q = ; \
         crate :: x ( , , , s ) }"
            .replace("->", "- >")
    );
    assert_eq!(tokens(source).last().unwrap().line, 6);
}
