//! Paths to properties, as container definitions write them: `/a/b`, `/"a b"/c`.

use super::KeyError;

/// The property names along `path`.
pub(crate) fn parse_path(path: &str) -> Result<Vec<String>, KeyError> {
    let invalid = |reason| KeyError::Path { path: path.to_owned(), reason };
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('/').ok_or_else(|| invalid("every segment begins with /"))?;
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let (segment, tail) = if let Some(quote) = quote {
            quoted(rest.get(1..).unwrap_or_default(), quote)
                .ok_or_else(|| invalid("a quoted segment does not end"))?
        } else {
            let (segment, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (segment.to_owned(), tail)
        };
        if segment.is_empty() {
            return Err(invalid("a segment is empty"));
        }
        segments.push(segment);
        rest = tail;
    }
    if segments.is_empty() { Err(invalid("it is empty")) } else { Ok(segments) }
}

/// Reads up to the closing quote; a backslash takes the next character as it is.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut segment = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => segment.push(characters.next()?.1),
            end if end == quote => return Some((segment, text.get(at + end.len_utf8()..)?)),
            other => segment.push(other),
        }
    }
    None
}
