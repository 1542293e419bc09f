//! Executable expressions: names, parameters and functions resolved, constants folded.

use std::borrow::Cow;

use serde_json::Value;

use super::ast::BinaryOperator;
use super::functions::Function;
use super::pattern::{Like, Pattern};

/// The value of an expression; `None` is `undefined`. Parts of documents are borrowed.
pub(super) type Evaluated<'a> = Option<Cow<'a, Value>>;

/// One step of a path into a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
}

/// An expression ready to be evaluated over a row.
#[derive(Debug)]
pub(super) enum Expression {
    /// A constant; `None` is `undefined`.
    Constant(Option<Value>),
    /// A path from the root document.
    Path(Vec<Step>),
    /// A fixed step into a computed value.
    Member(Box<Expression>, Step),
    /// A computed step into a value.
    Index(Box<[Expression; 2]>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    Plus(Box<Expression>),
    BitNot(Box<Expression>),
    Compare(Comparison, Box<[Expression; 2]>),
    /// Arithmetic, bitwise operators and concatenation.
    Binary(BinaryOperator, Box<[Expression; 2]>),
    In(Box<Expression>, Vec<Expression>),
    Between(Box<[Expression; 3]>),
    /// LIKE with a constant pattern.
    Like(Box<Expression>, Like),
    /// LIKE with a pattern taken from the row, and the escape character.
    LikeComputed(Box<[Expression; 2]>, Option<char>),
    Conditional(Box<[Expression; 3]>),
    Coalesce(Box<[Expression; 2]>),
    Array(Vec<Expression>),
    Object(Vec<(String, Expression)>),
    Call(&'static Function, Vec<Expression>),
    /// REGEXMATCH with a constant pattern.
    Matches(Box<Expression>, Pattern),
    /// The result of an aggregate, by its place in the row's list.
    Aggregate(usize),
    /// The value of a GROUP BY expression, by its place in the row's list.
    GroupKey(usize),
}

/// The comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The operator that says the same with its sides exchanged.
    pub(super) fn mirrored(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }
}

/// What an expression is evaluated over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// The root document.
    pub(super) document: &'a Value,
    /// The results of aggregates, once they are complete.
    pub(super) aggregates: &'a [Option<Value>],
    /// The values of the GROUP BY expressions of this row's group.
    pub(super) group: &'a [Option<Value>],
}

impl<'a> Row<'a> {
    /// A row that is one document, without aggregates.
    pub(super) fn of(document: &'a Value) -> Self {
        Row { document, aggregates: &[], group: &[] }
    }
}
