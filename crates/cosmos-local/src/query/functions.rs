//! The built-in scalar functions: one table of names, numbers of arguments and implementations.
//!
//! An argument of a wrong type makes the result `undefined`, as in the service. Functions whose
//! result depends on the moment or on chance, and those not built yet, are refused by name.

mod arrays;
mod convert;
mod math;
mod strings;
mod types;

use serde_json::Value;

use super::expression::Evaluated;

/// The arguments of a call.
pub(super) type Arguments<'v, 'a> = &'v [Evaluated<'a>];

/// A built-in function.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name in capitals; calls may use any case.
    pub(super) name: &'static str,
    /// The least number of arguments.
    pub(super) least: usize,
    /// The greatest number of arguments.
    pub(super) most: usize,
    /// The implementation; `None` is `undefined`.
    pub(super) call: fn(Arguments<'_, '_>) -> Option<Value>,
}

const fn function(
    name: &'static str,
    least: usize,
    most: usize,
    call: fn(Arguments<'_, '_>) -> Option<Value>,
) -> Function {
    Function { name, least, most, call }
}

/// No limit on the number of arguments but that of the query text.
const MANY: usize = usize::MAX;

/// Functions of the language that this endpoint does not serve.
const REFUSED: &[&str] = &[
    "RAND",
    "DOCUMENTID",
    "VECTORDISTANCE",
    "RRF",
    "ABORT",
    "NUMBERBIN",
    "LASTINDEXOF",
    "LAST_SUBSTRING_AFTER",
    "LAST_SUBSTRING_BEFORE",
    "SUBSTRING_AFTER",
    "SUBSTRING_BEFORE",
    "STRING_TO_ARRAY",
    "HASH",
    "MULTISELECT",
    "ARRAY_AVG",
    "ARRAY_MAX",
    "ARRAY_MEDIAN",
    "ARRAY_MIN",
    "ARRAY_SUM",
    "TICKSTODATETIME",
    "TIMESTAMPTODATETIME",
];

/// Families of functions that this endpoint does not serve.
const REFUSED_PREFIXES: &[&str] = &["GETCURRENT", "DATETIME", "ST_", "FULLTEXT", "_"];

/// Looks a function up by name, whatever its case.
pub(super) fn lookup(name: &str) -> Option<&'static Function> {
    [strings::TABLE, types::TABLE, arrays::TABLE, math::TABLE, convert::TABLE]
        .into_iter()
        .flatten()
        .find(|function| function.name.eq_ignore_ascii_case(name))
}

/// Whether the language has a function of this name that is not served here.
pub(super) fn is_refused(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    REFUSED.contains(&upper.as_str())
        || REFUSED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
}

fn value<'v>(arguments: Arguments<'v, '_>, place: usize) -> Option<&'v Value> {
    arguments.get(place)?.as_deref()
}

fn text<'v>(arguments: Arguments<'v, '_>, place: usize) -> Option<&'v str> {
    value(arguments, place)?.as_str()
}

fn number(arguments: Arguments<'_, '_>, place: usize) -> Option<f64> {
    match value(arguments, place)? {
        Value::Number(number) => Some(super::value::to_f64(number)),
        _ => None,
    }
}

fn array<'v>(arguments: Arguments<'v, '_>, place: usize) -> Option<&'v Vec<Value>> {
    value(arguments, place)?.as_array()
}

/// A whole number from zero up; fractions are cut off.
fn size(arguments: Arguments<'_, '_>, place: usize) -> Option<usize> {
    whole(number(arguments, place)?).and_then(|whole| usize::try_from(whole).ok())
}

fn whole(number: f64) -> Option<i128> {
    super::value::integral(number.trunc())
}

/// An optional flag: false when it is not given, `None` when it is not a boolean.
fn flag(arguments: Arguments<'_, '_>, place: usize) -> Option<bool> {
    if arguments.len() <= place { Some(false) } else { value(arguments, place)?.as_bool() }
}
