//! Parses query text into the syntax tree: the clauses here, expressions in `expression`.
//!
//! Recursive descent for clauses, precedence climbing for expressions. Parts of the language that
//! are not built yet (JOIN, EXISTS and other subqueries, user-defined functions) are recognised
//! where they start and refused by name. Nesting and the size of the text are bounded.

mod expression;

use super::QueryError;
use super::ast::{Count, CountKind, From, Node, OrderItem, Query, Select, SelectItem};
use super::lexer::{Token, TokenKind, tokenize};

/// The longest query text; the service's own limit is of this order.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// The deepest nesting of an expression: far above what people write, far below what would
/// exhaust a thread's stack.
const NESTING_MAX: usize = 96;

/// The deepest recursion of the parser itself, which takes up to two levels for one of nesting.
const RECURSION_MAX: usize = 2 * NESTING_MAX;

/// Words that cannot be a name on their own; after a dot or AS they can.
const RESERVED: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "ORDER",
    "GROUP",
    "BY",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "LIKE",
    "AS",
    "ASC",
    "DESC",
    "DISTINCT",
    "TOP",
    "VALUE",
    "JOIN",
    "EXISTS",
    "OFFSET",
    "LIMIT",
    "TRUE",
    "FALSE",
    "NULL",
    "UNDEFINED",
    "ESCAPE",
    "HAVING",
    "UDF",
];

/// Parses a whole query.
pub(super) fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(QueryError::new(format!(
            "the query text has {} bytes; at most {TEXT_BYTES_MAX} are allowed",
            text.len()
        )));
    }
    let mut parser = Parser { tokens: tokenize(text)?, next: 0, nesting: 0 };
    let query = parser.query()?;
    match parser.peek() {
        TokenKind::End => Ok(query),
        _ => Err(parser.unexpected("the end of the query")),
    }
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    nesting: usize,
}

/// What the parser reads when it is past the last token.
const PAST_THE_END: &TokenKind = &TokenKind::End;

impl Parser {
    fn peek(&self) -> &TokenKind {
        self.peek_ahead(0)
    }

    fn peek_ahead(&self, distance: usize) -> &TokenKind {
        self.tokens.get(self.next + distance).map_or(PAST_THE_END, |token| &token.kind)
    }

    /// The byte position of the next token.
    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0, |token| token.at)
    }

    fn advance(&mut self) -> TokenKind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    fn is_mark(&self, mark: &str) -> bool {
        matches!(self.peek(), TokenKind::Mark(found) if *found == mark)
    }

    fn take_mark(&mut self, mark: &str) -> bool {
        let found = self.is_mark(mark);
        self.next += usize::from(found);
        found
    }

    fn expect_mark(&mut self, mark: &'static str) -> Result<(), QueryError> {
        if self.take_mark(mark) { Ok(()) } else { Err(self.unexpected(&format!("'{mark}'"))) }
    }

    fn is_keyword_ahead(&self, distance: usize, keyword: &str) -> bool {
        matches!(self.peek_ahead(distance),
            TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        self.is_keyword_ahead(0, keyword)
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.next += usize::from(found);
        found
    }

    fn expect_keyword(&mut self, keyword: &str) -> Result<(), QueryError> {
        if self.take_keyword(keyword) { Ok(()) } else { Err(self.unexpected(keyword)) }
    }

    fn unexpected(&self, wanted: &str) -> QueryError {
        let found = self.peek().describe();
        QueryError::at(self.at(), format!("expected {wanted}, found {found}"))
    }

    fn unsupported(&self, what: &str) -> QueryError {
        QueryError::at(self.at(), format!("{what} is not supported yet"))
    }

    fn query(&mut self) -> Result<Query, QueryError> {
        self.expect_keyword("SELECT")?;
        let distinct = self.take_keyword("DISTINCT");
        let top = if self.take_keyword("TOP") { Some(self.count()?) } else { None };
        let select = self.select()?;
        let from = if self.take_keyword("FROM") { Some(self.from()?) } else { None };
        let filter = if self.take_keyword("WHERE") { Some(self.expression()?) } else { None };
        let mut group_by = Vec::new();
        if self.take_keyword("GROUP") {
            self.expect_keyword("BY")?;
            group_by = self.expressions()?;
        }
        if self.is_keyword("HAVING") {
            return Err(self.unsupported("HAVING"));
        }
        let mut order_by = Vec::new();
        if self.is_keyword("ORDER") {
            self.advance();
            self.expect_keyword("BY")?;
            order_by = self.order_items()?;
        }
        let (mut offset, mut limit) = (None, None);
        if self.take_keyword("OFFSET") {
            offset = Some(self.count()?);
            self.expect_keyword("LIMIT")?;
            limit = Some(self.count()?);
        }
        Ok(Query { distinct, top, select, from, filter, group_by, order_by, offset, limit })
    }

    fn select(&mut self) -> Result<Select, QueryError> {
        let at = self.at();
        if self.take_mark("*") {
            return Ok(Select::Star(at));
        }
        if self.take_keyword("VALUE") {
            return Ok(Select::Value(self.expression()?));
        }
        let mut items = Vec::new();
        loop {
            let node = self.expression()?;
            let alias = self.alias()?;
            items.push(SelectItem { node, alias });
            if !self.take_mark(",") {
                return Ok(Select::List(items));
            }
        }
    }

    /// An optional `[AS] name`; any word may follow AS, only an unreserved one may stand alone.
    fn alias(&mut self) -> Result<Option<String>, QueryError> {
        if self.take_keyword("AS") {
            return self.name().map(Some);
        }
        match self.peek() {
            TokenKind::Word(word) if !is_reserved(word) => self.name().map(Some),
            _ => Ok(None),
        }
    }

    fn name(&mut self) -> Result<String, QueryError> {
        match self.peek().clone() {
            TokenKind::Word(word) => {
                self.next += 1;
                Ok(word)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn from(&mut self) -> Result<From, QueryError> {
        if self.is_mark("(") {
            return Err(self.unsupported("a subquery in FROM"));
        }
        let TokenKind::Word(root) = self.peek().clone() else {
            return Err(self.unexpected("the name of a container"));
        };
        if is_reserved(&root) {
            return Err(self.unexpected("the name of a container"));
        }
        self.next += 1;
        if self.is_keyword("IN") {
            return Err(self.unsupported("iterating over an array with IN in FROM"));
        }
        let mut path = Vec::new();
        loop {
            if self.take_mark(".") {
                path.push(self.name()?);
            } else if self.take_mark("[") {
                let TokenKind::Text(name) = self.peek().clone() else {
                    return Err(self.unsupported("an index other than a property name in FROM"));
                };
                self.next += 1;
                self.expect_mark("]")?;
                path.push(name);
            } else {
                break;
            }
        }
        let default = path.last().cloned().unwrap_or(root);
        let alias = self.alias()?;
        if self.is_keyword("IN") {
            return Err(self.unsupported("iterating over an array with IN in FROM"));
        }
        if self.is_keyword("JOIN") {
            return Err(self.unsupported("JOIN"));
        }
        if self.is_mark(",") {
            return Err(self.unsupported("more than one source in FROM"));
        }
        Ok(From { path, alias: alias.unwrap_or(default) })
    }

    fn order_items(&mut self) -> Result<Vec<OrderItem>, QueryError> {
        let mut items = Vec::new();
        loop {
            if self.is_keyword("RANK") && !matches!(self.peek_ahead(1), TokenKind::Mark(_)) {
                return Err(self.unsupported("ORDER BY RANK"));
            }
            let node = self.expression()?;
            let descending = self.take_keyword("DESC");
            if !descending {
                self.take_keyword("ASC");
            }
            items.push(OrderItem { node, descending });
            if !self.take_mark(",") {
                return Ok(items);
            }
        }
    }

    fn count(&mut self) -> Result<Count, QueryError> {
        let at = self.at();
        let kind = match self.peek().clone() {
            TokenKind::Number(number) => match number.as_u64() {
                Some(value) => CountKind::Literal(value),
                None => return Err(self.unexpected("a whole number")),
            },
            TokenKind::Parameter(name) => CountKind::Parameter(name),
            _ => return Err(self.unexpected("a whole number or a parameter")),
        };
        self.next += 1;
        Ok(Count { at, kind })
    }

    /// One or more expressions, separated by commas.
    fn expressions(&mut self) -> Result<Vec<Node>, QueryError> {
        let mut nodes = vec![self.expression()?];
        while self.take_mark(",") {
            nodes.push(self.expression()?);
        }
        Ok(nodes)
    }

    /// Runs a part of the parser one level deeper, refusing what nests too deeply.
    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Node, QueryError>,
    ) -> Result<Node, QueryError> {
        if self.nesting >= RECURSION_MAX {
            return Err(too_deep(self.at()));
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }
}

/// The height of a node above these children, refusing a tree that is too high to walk safely.
fn height<'n>(
    at: usize,
    children: impl IntoIterator<Item = &'n Node>,
) -> Result<usize, QueryError> {
    let height = children.into_iter().map(|child| child.height).max().unwrap_or(0) + 1;
    if height > NESTING_MAX { Err(too_deep(at)) } else { Ok(height) }
}

fn too_deep(at: usize) -> QueryError {
    QueryError::at(at, format!("the expression nests deeper than {NESTING_MAX} levels"))
}
