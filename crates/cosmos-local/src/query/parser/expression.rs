//! Expressions: precedence climbing over the tokens.

use serde_json::Value;

use super::super::QueryError;
use super::super::ast::{BinaryOperator, Kind, Node, UnaryOperator};
use super::super::lexer::TokenKind;
use super::{Parser, height, is_reserved};

/// Binding strengths, weakest first.
mod strength {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const MEMBERSHIP: u8 = 4;
    pub(super) const COMPARISON: u8 = 5;
    pub(super) const BIT_OR: u8 = 6;
    pub(super) const BIT_XOR: u8 = 7;
    pub(super) const BIT_AND: u8 = 8;
    pub(super) const SHIFT: u8 = 9;
    pub(super) const CONCAT: u8 = 10;
    pub(super) const ADDITIVE: u8 = 11;
    pub(super) const MULTIPLICATIVE: u8 = 12;
    pub(super) const UNARY: u8 = 13;
}

fn binary_operator(mark: &str) -> Option<(u8, BinaryOperator)> {
    Some(match mark {
        "=" => (strength::COMPARISON, BinaryOperator::Equal),
        "!=" | "<>" => (strength::COMPARISON, BinaryOperator::NotEqual),
        "<" => (strength::COMPARISON, BinaryOperator::Less),
        "<=" => (strength::COMPARISON, BinaryOperator::LessOrEqual),
        ">" => (strength::COMPARISON, BinaryOperator::Greater),
        ">=" => (strength::COMPARISON, BinaryOperator::GreaterOrEqual),
        "|" => (strength::BIT_OR, BinaryOperator::BitOr),
        "^" => (strength::BIT_XOR, BinaryOperator::BitXor),
        "&" => (strength::BIT_AND, BinaryOperator::BitAnd),
        "<<" => (strength::SHIFT, BinaryOperator::ShiftLeft),
        ">>" => (strength::SHIFT, BinaryOperator::ShiftRight),
        ">>>" => (strength::SHIFT, BinaryOperator::ShiftRightZero),
        "||" => (strength::CONCAT, BinaryOperator::Concat),
        "+" => (strength::ADDITIVE, BinaryOperator::Add),
        "-" => (strength::ADDITIVE, BinaryOperator::Subtract),
        "*" => (strength::MULTIPLICATIVE, BinaryOperator::Multiply),
        "/" => (strength::MULTIPLICATIVE, BinaryOperator::Divide),
        "%" => (strength::MULTIPLICATIVE, BinaryOperator::Modulo),
        _ => return None,
    })
}

impl Parser {
    /// A whole expression, down to `??` and `? :`, which bind weakest.
    pub(super) fn expression(&mut self) -> Result<Node, QueryError> {
        self.nested(Self::expression_nested)
    }

    fn expression_nested(&mut self) -> Result<Node, QueryError> {
        let mut node = self.climb(0)?;
        while self.take_mark("??") {
            let right = self.climb(0)?;
            let height = height(node.at, [&node, &right])?;
            node = Node { at: node.at, height, kind: Kind::Coalesce(Box::new([node, right])) };
        }
        if self.take_mark("?") {
            let yes = self.expression()?;
            self.expect_mark(":")?;
            let no = self.expression()?;
            let height = height(node.at, [&node, &yes, &no])?;
            node = Node { at: node.at, height, kind: Kind::Conditional(Box::new([node, yes, no])) };
        }
        Ok(node)
    }

    /// Operators that bind stronger than `least`.
    fn climb(&mut self, least: u8) -> Result<Node, QueryError> {
        self.nested(|parser| parser.climb_nested(least))
    }

    fn climb_nested(&mut self, least: u8) -> Result<Node, QueryError> {
        let mut left = self.prefix()?;
        loop {
            if let TokenKind::Mark(mark) = self.peek()
                && let Some((power, operator)) = binary_operator(mark)
                && power > least
            {
                self.advance();
                let right = self.climb(power)?;
                let height = height(left.at, [&left, &right])?;
                left = Node {
                    at: left.at,
                    height,
                    kind: Kind::Binary(operator, Box::new(left), Box::new(right)),
                };
            } else if self.is_keyword("AND") && least < strength::AND {
                left = self.chain(left, "AND", strength::AND, Kind::And)?;
            } else if self.is_keyword("OR") && least < strength::OR {
                left = self.chain(left, "OR", strength::OR, Kind::Or)?;
            } else if least < strength::MEMBERSHIP && self.is_membership() {
                left = self.membership(left)?;
            } else {
                return Ok(left);
            }
        }
    }

    /// Collects `left AND b AND c` into one flat node.
    fn chain(
        &mut self,
        left: Node,
        keyword: &str,
        power: u8,
        kind: fn(Vec<Node>) -> Kind,
    ) -> Result<Node, QueryError> {
        let at = left.at;
        let mut nodes = vec![left];
        while self.take_keyword(keyword) {
            nodes.push(self.climb(power)?);
        }
        let height = height(at, &nodes)?;
        Ok(Node { at, height, kind: kind(nodes) })
    }

    fn is_membership(&self) -> bool {
        let distance = usize::from(self.is_keyword("NOT"));
        ["IN", "BETWEEN", "LIKE"].iter().any(|word| self.is_keyword_ahead(distance, word))
    }

    /// `[NOT] IN (..)`, `[NOT] BETWEEN a AND b`, `[NOT] LIKE p [ESCAPE e]` after its left side.
    fn membership(&mut self, value: Node) -> Result<Node, QueryError> {
        let at = value.at;
        let negated = self.take_keyword("NOT");
        if self.take_keyword("BETWEEN") {
            let low = self.climb(strength::COMPARISON)?;
            self.expect_keyword("AND")?;
            let high = self.climb(strength::COMPARISON)?;
            let height = height(at, [&value, &low, &high])?;
            return Ok(Node {
                at,
                height,
                kind: Kind::Between { parts: Box::new([value, low, high]), negated },
            });
        }
        if self.take_keyword("LIKE") {
            let pattern = self.climb(strength::COMPARISON)?;
            let escape = if self.take_keyword("ESCAPE") {
                Some(Box::new(self.climb(strength::COMPARISON)?))
            } else {
                None
            };
            let height = height(at, [&value, &pattern].into_iter().chain(escape.as_deref()))?;
            return Ok(Node {
                at,
                height,
                kind: Kind::Like { parts: Box::new([value, pattern]), escape, negated },
            });
        }
        self.expect_keyword("IN")?;
        self.expect_mark("(")?;
        if self.is_keyword("SELECT") {
            return Err(self.unsupported("a subquery"));
        }
        let list = self.expressions()?;
        self.expect_mark(")")?;
        let height = height(at, list.iter().chain([&value]))?;
        Ok(Node { at, height, kind: Kind::In { value: Box::new(value), list, negated } })
    }

    fn prefix(&mut self) -> Result<Node, QueryError> {
        let at = self.at();
        let (operator, power) = if self.is_keyword("NOT") {
            (UnaryOperator::Not, strength::NOT)
        } else if self.is_mark("-") {
            (UnaryOperator::Minus, strength::UNARY)
        } else if self.is_mark("+") {
            (UnaryOperator::Plus, strength::UNARY)
        } else if self.is_mark("~") {
            (UnaryOperator::BitNot, strength::UNARY)
        } else {
            return self.postfix();
        };
        self.advance();
        let operand = self.climb(power)?;
        let height = height(at, [&operand])?;
        Ok(Node { at, height, kind: Kind::Unary(operator, Box::new(operand)) })
    }

    /// A primary expression and the `.name` and `[index]` that follow it.
    fn postfix(&mut self) -> Result<Node, QueryError> {
        let mut node = self.primary()?;
        loop {
            if self.take_mark(".") {
                let name = self.name()?;
                if self.is_mark("(") {
                    return Err(self.unexpected("a property, not a call,"));
                }
                let height = height(node.at, [&node])?;
                node = Node { at: node.at, height, kind: Kind::Member(Box::new(node), name) };
            } else if self.take_mark("[") {
                let index = self.expression()?;
                self.expect_mark("]")?;
                let height = height(node.at, [&node, &index])?;
                node = Node {
                    at: node.at,
                    height,
                    kind: Kind::Index(Box::new(node), Box::new(index)),
                };
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Result<Node, QueryError> {
        let at = self.at();
        let leaf = |kind| Node { at, height: 1, kind };
        match self.peek().clone() {
            TokenKind::Text(text) => {
                self.next += 1;
                Ok(leaf(Kind::Literal(Some(Value::String(text)))))
            }
            TokenKind::Number(number) => {
                self.next += 1;
                Ok(leaf(Kind::Literal(Some(Value::Number(number)))))
            }
            TokenKind::Parameter(name) => {
                self.next += 1;
                Ok(leaf(Kind::Parameter(name)))
            }
            TokenKind::Mark("(") => {
                self.next += 1;
                if self.is_keyword("SELECT") {
                    return Err(self.unsupported("a subquery"));
                }
                let inner = self.expression()?;
                self.expect_mark(")")?;
                Ok(inner)
            }
            TokenKind::Mark("[") => {
                self.next += 1;
                let nodes = self.list_until("]")?;
                let height = height(at, &nodes)?;
                Ok(Node { at, height, kind: Kind::Array(nodes) })
            }
            TokenKind::Mark("{") => self.object(),
            TokenKind::Word(word) => self.word(&word),
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn word(&mut self, word: &str) -> Result<Node, QueryError> {
        let at = self.at();
        let called = matches!(self.peek_ahead(1), TokenKind::Mark("("));
        let literal = match word.to_ascii_uppercase().as_str() {
            "TRUE" => Some(Some(Value::Bool(true))),
            "FALSE" => Some(Some(Value::Bool(false))),
            "NULL" => Some(Some(Value::Null)),
            "UNDEFINED" => Some(None),
            "EXISTS" => return Err(self.unsupported("EXISTS")),
            "ARRAY" if called => return Err(self.unsupported("an ARRAY subquery")),
            "UDF" => return Err(self.unsupported("a user-defined function")),
            _ => None,
        };
        if let Some(value) = literal {
            self.next += 1;
            return Ok(Node { at, height: 1, kind: Kind::Literal(value) });
        }
        if called {
            self.next += 2;
            let arguments = self.list_until(")")?;
            let height = height(at, &arguments)?;
            return Ok(Node { at, height, kind: Kind::Call { name: word.to_owned(), arguments } });
        }
        if is_reserved(word) {
            return Err(self.unexpected("an expression"));
        }
        self.next += 1;
        Ok(Node { at, height: 1, kind: Kind::Identifier(word.to_owned()) })
    }

    /// Expressions up to a closing mark, which is consumed; there may be none.
    fn list_until(&mut self, close: &'static str) -> Result<Vec<Node>, QueryError> {
        if self.take_mark(close) {
            return Ok(Vec::new());
        }
        if self.is_keyword("SELECT") {
            return Err(self.unsupported("a subquery"));
        }
        let nodes = self.expressions()?;
        self.expect_mark(close)?;
        Ok(nodes)
    }

    fn object(&mut self) -> Result<Node, QueryError> {
        let at = self.at();
        self.expect_mark("{")?;
        let mut properties: Vec<(String, Node)> = Vec::new();
        while !self.take_mark("}") {
            if !properties.is_empty() {
                self.expect_mark(",")?;
            }
            let name_at = self.at();
            let (TokenKind::Text(name) | TokenKind::Word(name)) = self.peek().clone() else {
                return Err(self.unexpected("a property name"));
            };
            self.next += 1;
            if properties.iter().any(|(other, _)| *other == name) {
                return Err(QueryError::at(name_at, format!("property '{name}' is given twice")));
            }
            self.expect_mark(":")?;
            properties.push((name, self.expression()?));
        }
        let height = height(at, properties.iter().map(|(_, node)| node))?;
        Ok(Node { at, height, kind: Kind::Object(properties) })
    }
}
