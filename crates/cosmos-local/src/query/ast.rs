//! The syntax tree: what the text says, with byte positions and nothing resolved.

use serde_json::Value;

/// A whole query.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) distinct: bool,
    pub(super) top: Option<Count>,
    pub(super) select: Select,
    pub(super) from: Option<From>,
    pub(super) filter: Option<Node>,
    pub(super) group_by: Vec<Node>,
    pub(super) order_by: Vec<OrderItem>,
    pub(super) offset: Option<Count>,
    pub(super) limit: Option<Count>,
}

/// What is selected.
#[derive(Debug)]
pub(super) enum Select {
    /// `*`, at this position.
    Star(usize),
    /// `VALUE expression`.
    Value(Node),
    /// A list of properties.
    List(Vec<SelectItem>),
}

/// One property of a SELECT list.
#[derive(Debug)]
pub(super) struct SelectItem {
    pub(super) node: Node,
    pub(super) alias: Option<String>,
}

/// The number of TOP, OFFSET or LIMIT.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) at: usize,
    pub(super) kind: CountKind,
}

/// Where that number comes from.
#[derive(Debug)]
pub(super) enum CountKind {
    Literal(u64),
    Parameter(String),
}

/// `FROM container[.path] [AS] alias`.
#[derive(Debug)]
pub(super) struct From {
    /// Properties below the root document.
    pub(super) path: Vec<String>,
    /// The one name that expressions may start from.
    pub(super) alias: String,
}

/// One item of ORDER BY.
#[derive(Debug)]
pub(super) struct OrderItem {
    pub(super) node: Node,
    pub(super) descending: bool,
}

/// An expression with its position and the height of its tree.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: usize,
    /// Bounded by the parser, so that walking a tree cannot exhaust the stack.
    pub(super) height: usize,
    pub(super) kind: Kind,
}

/// The kinds of expression.
#[derive(Debug)]
pub(super) enum Kind {
    /// A literal; `None` is `undefined`.
    Literal(Option<Value>),
    Parameter(String),
    Identifier(String),
    Member(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    Unary(UnaryOperator, Box<Node>),
    Binary(BinaryOperator, Box<Node>, Box<Node>),
    /// `a AND b AND ...`: one node for a whole chain, so that long filters stay flat.
    And(Vec<Node>),
    /// `a OR b OR ...`.
    Or(Vec<Node>),
    Conditional(Box<[Node; 3]>),
    Coalesce(Box<[Node; 2]>),
    In {
        value: Box<Node>,
        list: Vec<Node>,
        negated: bool,
    },
    Between {
        parts: Box<[Node; 3]>,
        negated: bool,
    },
    Like {
        parts: Box<[Node; 2]>,
        escape: Option<Box<Node>>,
        negated: bool,
    },
    Call {
        name: String,
        arguments: Vec<Node>,
    },
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnaryOperator {
    Not,
    Minus,
    Plus,
    BitNot,
}

/// Infix operators that take two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    ShiftRightZero,
    Concat,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
