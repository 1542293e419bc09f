//! Which rows a query has to look at. Pure.
//!
//! Whatever is chosen here only narrows and orders the candidates: the query engine evaluates the
//! whole filter again on each of them. So a choice may be slow, but never wrong, as long as it
//! leaves out no row that the filter selects.

use std::ops::Bound;

use serde_json::Value;

use super::scope::Scope;
use crate::key::{EpkRange, PartitionKey};
use crate::query::Constraint;
use crate::storage::Scan;

/// Properties that are not stored with an item and therefore never indexed.
const COMPUTED: [&str; 6] = ["_rid", "_self", "_etag", "_attachments", "_ts", "_lsn"];
/// Paths from here on are too deep to be indexed by a wildcard.
const DEPTH_MAX: usize = 32;

/// How the candidates are found.
#[derive(Debug)]
pub(crate) struct Access {
    /// The rows to look at; nothing when the scope and the filter exclude each other.
    pub(crate) scan: Option<Scan>,
    /// Whether the rows come in the order that the query asks for.
    pub(crate) is_ordered: bool,
    /// Whether the rows are those of one logical partition.
    pub(crate) is_logical: bool,
}

/// What is known about a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) constraints: &'a [Constraint],
    /// Whether the results have an order at all, be it one that no index has.
    pub(crate) is_sorted: bool,
    /// The order, if it is that of a single path.
    pub(crate) order_by: Option<(&'a [String], bool)>,
    /// The value that the order may begin with.
    pub(crate) order_from: Option<&'a Value>,
    pub(crate) key_path: &'a [String],
}

/// What a container's indexes can do.
pub(crate) trait Indexes {
    /// Whether a filter on the scalar at this path can use an index.
    fn can_index(&self, path: &[String]) -> bool;
    /// Whether an index has an entry of every item for this path.
    fn can_order(&self, path: &[String]) -> bool;
    /// Whether the index on this path has equal values in the order of creation.
    fn sorts_ties(&self, path: &[String]) -> bool;
}

/// The partition key that the filter demands, if it demands one.
pub(crate) fn demanded_key(shape: Shape<'_>) -> Option<PartitionKey> {
    shape.constraints.iter().filter(|constraint| constraint.path == shape.key_path).find_map(
        |constraint| {
            let (Bound::Included(lower), Bound::Included(upper)) =
                (&constraint.lower, &constraint.upper)
            else {
                return None;
            };
            let is_scalar = !lower.is_array() && !lower.is_object();
            if lower != upper || !is_scalar {
                return None;
            }
            let header = Value::Array(vec![lower.clone()]).to_string();
            PartitionKey::from_header(&header).ok().flatten()
        },
    )
}

/// Chooses: the logical partition when its key is known, else an index, else the whole range.
pub(crate) fn choose(scope: &Scope, shape: Shape<'_>, indexes: &impl Indexes) -> Access {
    let range = match scope {
        Scope::Key(key) => return logical(key.clone(), shape),
        Scope::Range(_, range) | Scope::Many(range) => *range,
    };
    if let Some(key) = demanded_key(shape) {
        if range.contains(key.epk()) {
            return logical(key, shape);
        }
        return Access { scan: None, is_ordered: true, is_logical: true };
    }
    indexed(range, shape, indexes).unwrap_or(Access {
        scan: Some(Scan::Range { range, id: None }),
        is_ordered: !shape.is_sorted,
        is_logical: false,
    })
}

/// The items of one key, in the order of their ids, within the bounds that the filter sets.
fn logical(key: PartitionKey, shape: Shape<'_>) -> Access {
    let is_id = |path: &[String]| path.len() == 1 && path.first().is_some_and(|name| name == "id");
    let (mut id_from, mut id_to) = (Bound::Unbounded, Bound::Unbounded);
    for constraint in shape.constraints.iter().filter(|constraint| is_id(&constraint.path)) {
        // The first bound on each side is enough: others are evaluated on the candidates.
        if id_from == Bound::Unbounded {
            id_from = text_bound(&constraint.lower);
        }
        if id_to == Bound::Unbounded {
            id_to = text_bound(&constraint.upper);
        }
    }
    let by_id = shape.order_by.filter(|(path, _)| is_id(path));
    let descending = by_id.is_some_and(|(_, descending)| descending);
    Access {
        scan: Some(Scan::Logical { key, id_from, id_to, descending }),
        is_ordered: !shape.is_sorted || by_id.is_some(),
        is_logical: true,
    }
}

/// A bound on ids; bounds that are no strings leave it open.
fn text_bound(bound: &Bound<Value>) -> Bound<String> {
    match bound {
        Bound::Included(Value::String(text)) => Bound::Included(text.clone()),
        Bound::Excluded(Value::String(text)) => Bound::Excluded(text.clone()),
        _ => Bound::Unbounded,
    }
}

/// The index with the narrowest constraint, or else the one that gives the order asked for.
fn indexed(range: EpkRange, shape: Shape<'_>, indexes: &impl Indexes) -> Option<Access> {
    let order = |path: &[String]| {
        shape.order_by.filter(|(wanted, _)| *wanted == path && indexes.sorts_ties(path))
    };
    let best = shape
        .constraints
        .iter()
        .filter(|constraint| is_stored(&constraint.path) && indexes.can_index(&constraint.path))
        .max_by_key(|constraint| (narrowness(constraint), order(&constraint.path).is_some()));
    let (path, lower, upper) = match (best, shape.order_by) {
        (Some(constraint), _) => {
            (constraint.path.as_slice(), constraint.lower.clone(), constraint.upper.clone())
        }
        (None, Some((path, _))) if is_stored(path) && indexes.can_order(path) => {
            let from = shape.order_from.cloned().map_or(Bound::Unbounded, Bound::Included);
            (path, from, Bound::Unbounded)
        }
        _ => return None,
    };
    let ordered = order(path);
    Some(Access {
        scan: Some(Scan::Index {
            path: path.to_vec(),
            lower,
            upper,
            descending: ordered.is_some_and(|(_, descending)| descending),
            range,
        }),
        is_ordered: !shape.is_sorted || ordered.is_some(),
        is_logical: false,
    })
}

fn is_stored(path: &[String]) -> bool {
    path.len() < DEPTH_MAX && path.first().is_some_and(|name| !COMPUTED.contains(&name.as_str()))
}

/// Equality before two bounds before one.
fn narrowness(constraint: &Constraint) -> u8 {
    match (&constraint.lower, &constraint.upper) {
        (Bound::Included(lower), Bound::Included(upper)) if lower == upper => 3,
        (Bound::Unbounded, Bound::Unbounded) => 0,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Paths(&'static [&'static str]);

    impl Indexes for Paths {
        fn can_index(&self, path: &[String]) -> bool {
            self.0.contains(&path.join("/").as_str())
        }
        fn can_order(&self, path: &[String]) -> bool {
            self.can_index(path)
        }
        fn sorts_ties(&self, path: &[String]) -> bool {
            self.can_index(path)
        }
    }

    fn constraint(path: &str, lower: Bound<Value>, upper: Bound<Value>) -> Constraint {
        Constraint { path: vec![path.to_owned()], lower, upper }
    }

    fn equal(path: &str, value: Value) -> Constraint {
        constraint(path, Bound::Included(value.clone()), Bound::Included(value))
    }

    fn check(
        constraints: &[Constraint],
        order_by: Option<(&str, bool)>,
        indexed: &'static [&'static str],
    ) -> (String, bool) {
        let key_path = vec!["pk".to_owned()];
        let order_path = order_by.map(|(path, descending)| (vec![path.to_owned()], descending));
        let order_by = order_path.as_ref().map(|(path, descending)| (path.as_slice(), *descending));
        let shape = Shape {
            constraints,
            is_sorted: order_by.is_some(),
            order_by,
            order_from: None,
            key_path: &key_path,
        };
        let access = choose(&Scope::Many(EpkRange::full()), shape, &Paths(indexed));
        let name = match access.scan {
            None => "nothing".to_owned(),
            Some(Scan::Logical { id_from, id_to, descending, .. }) => {
                format!("logical {id_from:?} {id_to:?} {descending}")
            }
            Some(Scan::Range { .. }) => "range".to_owned(),
            Some(Scan::Index { path, descending, .. }) => {
                format!("index {} {descending}", path.join("/"))
            }
        };
        (name, access.is_ordered)
    }

    #[test]
    fn a_known_key_reads_its_logical_partition_within_the_id_bounds() {
        let key = equal("pk", json!("a"));
        let from = constraint("id", Bound::Excluded(json!("5")), Bound::Unbounded);
        let (scan, ordered) = check(&[key.clone(), from], Some(("id", true)), &["x"]);
        assert_eq!(scan, "logical Excluded(\"5\") Unbounded true");
        assert!(ordered);
        let (scan, ordered) = check(&[key], Some(("x", false)), &["x"]);
        assert_eq!(scan, "logical Unbounded Unbounded false");
        assert!(!ordered);
    }

    #[test]
    fn an_index_serves_its_constraint_and_its_order() {
        let above = constraint("n", Bound::Excluded(json!(1)), Bound::Unbounded);
        let both = [above.clone(), equal("t", json!("x"))];
        assert_eq!(check(&both, None, &["n", "t"]), ("index t false".to_owned(), true));
        assert_eq!(check(&both, Some(("n", true)), &["n"]), ("index n true".to_owned(), true));
        assert_eq!(check(&both, Some(("n", true)), &["t"]), ("index t false".to_owned(), false));
        assert_eq!(check(&[], Some(("n", true)), &["n"]), ("index n true".to_owned(), true));
        assert_eq!(check(&[above], None, &[]), ("range".to_owned(), true));
    }

    #[test]
    fn an_order_of_several_paths_is_nobodys_order() {
        let key_path = vec!["pk".to_owned()];
        for constraints in [&[][..], &[equal("pk", json!("a"))], &[equal("x", json!(1))]] {
            let shape = Shape {
                constraints,
                is_sorted: true,
                order_by: None,
                order_from: None,
                key_path: &key_path,
            };
            let access = choose(&Scope::Many(EpkRange::full()), shape, &Paths(&["x"]));
            assert!(!access.is_ordered, "{constraints:?}");
        }
    }

    #[test]
    fn computed_properties_are_never_looked_up() {
        let since = constraint("_ts", Bound::Included(json!(1)), Bound::Unbounded);
        assert_eq!(check(&[since], Some(("_ts", false)), &["_ts"]), ("range".to_owned(), false));
    }
}
