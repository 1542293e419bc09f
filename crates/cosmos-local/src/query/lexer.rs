//! Cuts query text into tokens, each with its byte position.

use serde_json::Number;

use super::QueryError;

/// A token and where it starts and ends in the text, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: TokenKind,
    /// Byte position of its first character.
    pub(super) at: usize,
}

/// The kinds of token. Keywords are words: which words are keywords depends on their place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A bare word: keyword, alias, property or function name.
    Word(String),
    /// A string literal, unescaped.
    Text(String),
    /// A number literal.
    Number(Number),
    /// A parameter, with its leading `@`.
    Parameter(String),
    /// An operator or punctuation mark.
    Mark(&'static str),
    /// The end of the text.
    End,
}

impl TokenKind {
    /// How an error message names the token.
    pub(super) fn describe(&self) -> String {
        match self {
            TokenKind::Word(word) => format!("'{word}'"),
            TokenKind::Text(_) => "a string".to_owned(),
            TokenKind::Number(number) => format!("'{number}'"),
            TokenKind::Parameter(name) => format!("'{name}'"),
            TokenKind::Mark(mark) => format!("'{mark}'"),
            TokenKind::End => "the end of the query".to_owned(),
        }
    }
}

/// Operators and punctuation, longest first so that the first that fits is the right one.
const MARKS: &[&str] = &[
    ">>>", "<=", ">=", "!=", "<>", "<<", ">>", "||", "??", "=", "<", ">", "+", "-", "*", "/", "%",
    "&", "|", "^", "~", "?", ":", ",", ".", "(", ")", "[", "]", "{", "}",
];

/// Splits the text into tokens; the last one is always [`TokenKind::End`].
pub(super) fn tokenize(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let at = lexer.at;
        let kind = lexer.next_kind()?;
        let end = kind == TokenKind::End;
        tokens.push(Token { kind, at });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn skip_blanks(&mut self) -> Result<(), QueryError> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest().starts_with("--") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                let Some(length) = self.rest().find("*/") else {
                    return Err(QueryError::at(self.at, "this comment is never closed"));
                };
                self.at += length + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn next_kind(&mut self) -> Result<TokenKind, QueryError> {
        let at = self.at;
        let Some(first) = self.peek() else { return Ok(TokenKind::End) };
        if first == '"' || first == '\'' {
            return self.string(first).map(TokenKind::Text);
        }
        if first.is_ascii_digit() || (first == '.' && self.digit_follows()) {
            return self.number();
        }
        if is_word_start(first) {
            return Ok(TokenKind::Word(self.take_while(is_word_part).to_owned()));
        }
        if first == '@' {
            self.at += 1;
            let name = self.take_while(is_word_part);
            if name.is_empty() {
                return Err(QueryError::at(at, "a parameter needs a name after '@'"));
            }
            return Ok(TokenKind::Parameter(format!("@{name}")));
        }
        match MARKS.iter().copied().find(|mark| self.rest().starts_with(mark)) {
            Some(mark) => {
                self.at += mark.len();
                Ok(TokenKind::Mark(mark))
            }
            None => Err(QueryError::at(at, format!("unexpected character '{first}'"))),
        }
    }

    fn digit_follows(&self) -> bool {
        self.rest().chars().nth(1).is_some_and(|c| c.is_ascii_digit())
    }

    fn number(&mut self) -> Result<TokenKind, QueryError> {
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit());
        if self.rest().starts_with('.') && self.digit_follows() {
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            if self.rest().starts_with(['+', '-']) {
                self.at += 1;
            }
            self.take_while(|c| c.is_ascii_digit());
        }
        let literal = self.text.get(start..self.at).unwrap_or_default();
        let trailing = self.peek().is_some_and(is_word_part);
        let number = if let Ok(integer) = literal.parse::<u64>() {
            Some(Number::from(integer))
        } else {
            literal.parse::<f64>().ok().and_then(Number::from_f64)
        };
        match number {
            Some(number) if !trailing => Ok(TokenKind::Number(number)),
            _ => Err(QueryError::at(start, "this is not a number that JSON can hold")),
        }
    }

    /// Reads a literal in either kind of quotes. Escapes are those of JSON, plus `\'`; a doubled
    /// quote stands for one.
    fn string(&mut self, quote: char) -> Result<String, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            out.push_str(self.take_while(|c| c != quote && c != '\\'));
            match self.peek() {
                None => return Err(QueryError::at(start, "this string is never closed")),
                Some('\\') => {
                    let escaped = self.escape()?;
                    out.push(escaped);
                }
                Some(_) => {
                    self.at += 1;
                    if self.peek() != Some(quote) {
                        return Ok(out);
                    }
                    self.at += 1;
                    out.push(quote);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, QueryError> {
        let start = self.at;
        self.at += 1;
        let letter = self.peek();
        self.at += letter.map_or(0, char::len_utf8);
        match letter {
            Some(same @ ('"' | '\'' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.unicode_escape(start),
            _ => Err(QueryError::at(start, "unknown escape sequence in a string")),
        }
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, QueryError> {
        let first = self.code_unit(start)?;
        let mut units = vec![first];
        if (0xD800..0xDC00).contains(&first) && self.rest().starts_with("\\u") {
            self.at += 2;
            units.push(self.code_unit(start)?);
        }
        let mut decoded = char::decode_utf16(units);
        match (decoded.next(), decoded.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(QueryError::at(start, "this escape is half of a surrogate pair")),
        }
    }

    fn code_unit(&mut self, start: usize) -> Result<u16, QueryError> {
        let digits = self.rest().get(..4).unwrap_or_default();
        if digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            self.at += 4;
            if let Ok(unit) = u16::from_str_radix(digits, 16) {
                return Ok(unit);
            }
        }
        Err(QueryError::at(start, "'\\u' needs four hexadecimal digits"))
    }
}

fn is_word_start(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphabetic()
}

fn is_word_part(c: char) -> bool {
    is_word_start(c) || c.is_numeric()
}
