//! Indexing policies: which paths of a document are indexed.

use serde_json::Value;

use super::encoding::{encode_value, path_prefix};
use crate::key::parse_path;

/// Deepest nesting of a document that is looked at for wildcard paths.
const DEPTH_MAX: usize = 32;

/// The last element of a path pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// `/?`: the scalar at the path.
    Scalar,
    /// `/*`: everything at and below the path.
    All,
}

/// A pattern such as `/a/b/?` or `/a/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    segments: Vec<String>,
    tail: Tail,
    included: bool,
}

impl Pattern {
    fn parse(text: &str, included: bool) -> Result<Self, String> {
        let (head, tail) = if let Some(head) = text.strip_suffix("/?") {
            (head, Tail::Scalar)
        } else if let Some(head) = text.strip_suffix("/*") {
            (head, Tail::All)
        } else {
            return Err(format!("the index path '{text}' must end with /? or /*"));
        };
        let segments = if head.is_empty() {
            Vec::new()
        } else {
            parse_path(head).map_err(|error| format!("the index path '{text}': {error}"))?
        };
        Ok(Self { segments, tail, included })
    }

    fn matches(&self, path: &[String]) -> bool {
        match self.tail {
            Tail::Scalar => path == self.segments,
            Tail::All => path.starts_with(&self.segments),
        }
    }

    /// Longer patterns are more precise, and `/?` is more precise than `/*`.
    fn precision(&self) -> (usize, bool) {
        (self.segments.len(), self.tail == Tail::Scalar)
    }

    fn crosses_arrays(&self) -> bool {
        self.segments.iter().any(|segment| segment == "[]")
    }
}

/// A parsed indexing policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexingPolicy {
    patterns: Vec<Pattern>,
    /// Scalar paths that are included by name: each document has exactly one entry for each.
    named: Vec<Vec<String>>,
    /// Whether any included pattern ends in `/*`.
    wildcard: bool,
}

impl IndexingPolicy {
    /// Reads the JSON of a policy; the message names what is wrong.
    pub(crate) fn parse(policy: &Value) -> Result<Self, String> {
        let mode = policy.get("indexingMode").and_then(Value::as_str).unwrap_or("consistent");
        if mode.eq_ignore_ascii_case("none") {
            return Ok(Self::default());
        }
        if !mode.eq_ignore_ascii_case("consistent") && !mode.eq_ignore_ascii_case("lazy") {
            return Err(format!("the indexing mode '{mode}' is not consistent or none"));
        }
        let mut patterns = Vec::new();
        for (list, included) in [("includedPaths", true), ("excludedPaths", false)] {
            let entries = policy.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for entry in entries {
                let text = entry
                    .get("path")
                    .and_then(Value::as_str)
                    .ok_or_else(|| format!("an entry of {list} has no path"))?;
                patterns.push(Pattern::parse(text, included)?);
            }
        }
        patterns.retain(|pattern| !pattern.crosses_arrays());
        let included = |tail| patterns.iter().filter(move |p| p.included && p.tail == tail);
        let named = included(Tail::Scalar).map(|pattern| pattern.segments.clone()).collect();
        let wildcard = included(Tail::All).next().is_some();
        Ok(Self { patterns, named, wildcard })
    }

    /// Whether equality and range filters on the scalar at `path` can use an index.
    pub(crate) fn covers(&self, path: &[String]) -> bool {
        let best = self
            .patterns
            .iter()
            .filter(|pattern| pattern.matches(path))
            .max_by_key(|pattern| (pattern.precision(), pattern.included));
        best.is_some_and(|pattern| pattern.included)
    }

    /// Whether every document has an entry for `path`, so that the index gives them all in order.
    pub(crate) fn orders(&self, path: &[String]) -> bool {
        self.named.iter().any(|named| named == path)
    }

    /// The index terms (path and value) of a document; `skip` names paths that another index serves.
    pub(crate) fn terms(&self, document: &Value, skip: &dyn Fn(&[String]) -> bool) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for path in self.named.iter().filter(|path| !skip(path)) {
            let value = path.iter().try_fold(document, |value, segment| value.get(segment));
            out.push(term(path, value));
        }
        if self.wildcard {
            self.walk(document, &mut Vec::new(), skip, &mut out);
        }
        out
    }

    fn walk(
        &self,
        value: &Value,
        path: &mut Vec<String>,
        skip: &dyn Fn(&[String]) -> bool,
        out: &mut Vec<Vec<u8>>,
    ) {
        match value {
            Value::Object(map) if path.len() < DEPTH_MAX => {
                for (name, value) in map {
                    path.push(name.clone());
                    self.walk(value, path, skip, out);
                    path.pop();
                }
            }
            Value::Object(_) | Value::Array(_) => {}
            scalar => {
                if self.covers(path) && !self.orders(path) && !skip(path) {
                    out.push(term(path, Some(scalar)));
                }
            }
        }
    }
}

fn term(path: &[String], value: Option<&Value>) -> Vec<u8> {
    let mut out = path_prefix(path);
    encode_value(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> Vec<String> {
        parse_path(text).unwrap()
    }

    #[test]
    fn the_most_precise_pattern_decides() {
        let policy = IndexingPolicy::parse(&json!({
            "includedPaths": [{"path": "/*"}, {"path": "/a/b/c/?"}],
            "excludedPaths": [{"path": "/a/b/*"}, {"path": "/\"_etag\"/?"}]
        }))
        .unwrap();
        for (text, covered) in
            [("/x", true), ("/a/x", true), ("/a/b/x", false), ("/a/b/c", true), ("/_etag", false)]
        {
            assert_eq!(policy.covers(&path(text)), covered, "{text}");
        }
        assert!(policy.orders(&path("/a/b/c")) && !policy.orders(&path("/x")));
    }

    #[test]
    fn named_paths_have_an_entry_even_when_absent_and_wildcards_only_for_scalars() {
        let policy = IndexingPolicy::parse(&json!({
            "includedPaths": [{"path": "/n/?"}, {"path": "/deep/*"}],
            "excludedPaths": [{"path": "/*"}]
        }))
        .unwrap();
        let none: &dyn Fn(&[String]) -> bool = &|_| false;
        assert_eq!(policy.terms(&json!({"other": 1}), none), [term(&path("/n"), None)]);
        let document = json!({"n": 1, "deep": {"a": "x", "b": [1], "c": {"d": null}}});
        let expected = [
            term(&path("/n"), Some(&json!(1))),
            term(&path("/deep/a"), Some(&json!("x"))),
            term(&path("/deep/c/d"), Some(&Value::Null)),
        ];
        assert_eq!(policy.terms(&document, none), expected);
    }

    #[test]
    fn bad_policies_are_refused() {
        assert!(IndexingPolicy::parse(&json!({"indexingMode": "eager"})).is_err());
        assert!(IndexingPolicy::parse(&json!({"includedPaths": [{"path": "/a"}]})).is_err());
        assert!(IndexingPolicy::parse(&json!({"includedPaths": [{}]})).is_err());
    }
}
