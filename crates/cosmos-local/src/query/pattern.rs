//! Patterns of LIKE and REGEXMATCH.

use regex::{Regex, RegexBuilder};

/// The largest compiled expression; a larger one is refused rather than slow.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A compiled LIKE pattern: `%`, `_`, `[set]`, `[^set]` and an optional escape character.
#[derive(Debug)]
pub(super) struct Like {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
enum Part {
    /// Exactly this character.
    One(char),
    /// Any one character.
    AnyOne,
    /// Any number of any characters.
    Many,
    /// One character inside (or outside) of these ranges.
    Set { ranges: Vec<(char, char)>, negated: bool },
}

impl Part {
    fn accepts(&self, character: char) -> bool {
        match self {
            Part::One(wanted) => *wanted == character,
            Part::AnyOne => true,
            Part::Many => false,
            Part::Set { ranges, negated } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
        }
    }
}

impl Like {
    /// Compiles a pattern; `None` when it ends in the escape character.
    pub(super) fn new(pattern: &str, escape: Option<char>) -> Option<Like> {
        let mut parts = Vec::with_capacity(pattern.len());
        let mut rest = pattern.chars();
        while let Some(character) = rest.next() {
            if Some(character) == escape {
                parts.push(Part::One(rest.next()?));
                continue;
            }
            match character {
                // Neighbouring wildcards are one, which also keeps matching fast.
                '%' if parts.last() == Some(&Part::Many) => {}
                '%' => parts.push(Part::Many),
                '_' => parts.push(Part::AnyOne),
                '[' => match set(rest.as_str()) {
                    Some((part, after)) => {
                        parts.push(part);
                        rest = after.chars();
                    }
                    // An unclosed bracket stands for itself.
                    None => parts.push(Part::One('[')),
                },
                other => parts.push(Part::One(other)),
            }
        }
        Some(Like { parts })
    }

    /// Whether the whole text fits. Backtracks to the last `%` only, so it is never exponential.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (mut part, mut rest) = (0, text.chars());
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            let next = ahead.next();
            match (self.parts.get(part), next) {
                (Some(Part::Many), _) => {
                    part += 1;
                    retry = Some((part, rest.clone()));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some(character)) if wanted.accepts(character) => {
                    part += 1;
                    rest = ahead;
                    continue;
                }
                _ => {}
            }
            // Let the last `%` take one character more.
            let Some((after, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            part = *after;
            rest = from.clone();
        }
    }

    /// The text that every match starts with.
    pub(super) fn literal_prefix(&self) -> String {
        self.parts
            .iter()
            .map_while(|part| match part {
                Part::One(character) => Some(*character),
                _ => None,
            })
            .collect()
    }
}

/// Parses the inside of a bracket; returns what follows it too.
fn set(text: &str) -> Option<(Part, &str)> {
    let (negated, body) = match text.strip_prefix('^') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let end = body.find(']').filter(|end| *end > 0)?;
    let members: Vec<char> = body.get(..end)?.chars().collect();
    let mut ranges = Vec::new();
    let mut rest = members.as_slice();
    loop {
        rest = match rest {
            [low, '-', high, after @ ..] => {
                ranges.push((*low, *high));
                after
            }
            [one, after @ ..] => {
                ranges.push((*one, *one));
                after
            }
            [] => break,
        };
    }
    Some((Part::Set { ranges, negated }, body.get(end + 1..)?))
}

/// A compiled regular expression.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern with the modifiers `m`, `s`, `i` and `x` of REGEXMATCH.
    pub(super) fn new(pattern: &str, modifiers: &str) -> Result<Pattern, String> {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(COMPILED_BYTES_MAX);
        for modifier in modifiers.chars() {
            match modifier {
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                'i' => builder.case_insensitive(true),
                'x' => builder.ignore_whitespace(true),
                _ => return Err(format!("unknown modifier '{modifier}'")),
            };
        }
        builder.build().map(Pattern).map_err(|error| error.to_string())
    }

    /// Whether the pattern occurs in the text.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}
