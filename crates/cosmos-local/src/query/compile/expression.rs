//! Expressions: names, parameters and functions are resolved, constant parts are computed.

use std::borrow::Cow;

use serde_json::Value;

use super::super::QueryError;
use super::super::aggregate::{Aggregate, AggregateKind};
use super::super::ast::{BinaryOperator, Kind, Node, UnaryOperator};
use super::super::evaluate::{single_character, step_of};
use super::super::expression::{Comparison, Expression, Row};
use super::super::functions;
use super::super::pattern::{Like, Pattern};
use super::{Compiler, lookup_parameter};

impl Compiler<'_> {
    /// Compiles an expression.
    pub(super) fn expression(&mut self, node: &Node) -> Result<Expression, QueryError> {
        let row_before = self.row_reference;
        let compiled = fold(self.unfolded(node)?);
        // A part of SELECT that equals a GROUP BY expression is that group's value.
        if let Some(keys) = self.group_by
            && !matches!(compiled, Expression::Constant(_))
            && let Some(slot) = keys.iter().position(|key| same_expression(key, &compiled))
        {
            self.row_reference = row_before;
            return Ok(Expression::GroupKey(slot));
        }
        Ok(compiled)
    }

    fn unfolded(&mut self, node: &Node) -> Result<Expression, QueryError> {
        Ok(match &node.kind {
            Kind::Literal(value) => Expression::Constant(value.clone()),
            Kind::Parameter(name) => {
                let value = lookup_parameter(name, node.at, self.parameters)?;
                Expression::Constant(Some(value.clone()))
            }
            Kind::Identifier(name) => self.identifier(name, node.at)?,
            Kind::Member(inner, name) => {
                let index = Expression::Constant(Some(Value::String(name.clone())));
                self.access(inner, index)?
            }
            Kind::Index(inner, index) => {
                let index = self.expression(index)?;
                self.access(inner, index)?
            }
            Kind::Unary(operator, inner) => {
                let inner = Box::new(self.expression(inner)?);
                match operator {
                    UnaryOperator::Not => Expression::Not(inner),
                    UnaryOperator::Minus => Expression::Negate(inner),
                    UnaryOperator::Plus => Expression::Plus(inner),
                    UnaryOperator::BitNot => Expression::BitNot(inner),
                }
            }
            Kind::Binary(operator, left, right) => {
                let parts = Box::new([self.expression(left)?, self.expression(right)?]);
                match comparison(*operator) {
                    Some(comparison) => Expression::Compare(comparison, parts),
                    None => Expression::Binary(*operator, parts),
                }
            }
            Kind::And(nodes) => Expression::And(self.expressions(nodes)?),
            Kind::Or(nodes) => Expression::Or(self.expressions(nodes)?),
            Kind::Conditional(parts) => Expression::Conditional(self.three(parts)?),
            Kind::Coalesce(parts) => {
                let [first, second] = parts.as_ref();
                Expression::Coalesce(Box::new([self.expression(first)?, self.expression(second)?]))
            }
            Kind::In { value, list, negated } => {
                let value = Box::new(self.expression(value)?);
                negate(*negated, Expression::In(value, self.expressions(list)?))
            }
            Kind::Between { parts, negated } => {
                negate(*negated, Expression::Between(self.three(parts)?))
            }
            Kind::Like { parts, escape, negated } => {
                let [value, pattern] = parts.as_ref();
                negate(*negated, self.like(value, pattern, escape.as_deref())?)
            }
            Kind::Call { name, arguments } => self.call(node.at, name, arguments)?,
            Kind::Array(nodes) => Expression::Array(self.expressions(nodes)?),
            Kind::Object(properties) => {
                let mut compiled = Vec::with_capacity(properties.len());
                for (name, value) in properties {
                    compiled.push((name.clone(), self.expression(value)?));
                }
                Expression::Object(compiled)
            }
        })
    }

    fn expressions(&mut self, nodes: &[Node]) -> Result<Vec<Expression>, QueryError> {
        nodes.iter().map(|node| self.expression(node)).collect()
    }

    fn three(&mut self, parts: &[Node; 3]) -> Result<Box<[Expression; 3]>, QueryError> {
        let [a, b, c] = parts;
        Ok(Box::new([self.expression(a)?, self.expression(b)?, self.expression(c)?]))
    }

    fn identifier(&mut self, name: &str, at: usize) -> Result<Expression, QueryError> {
        if self.alias == Some(name) {
            self.row_reference.get_or_insert(at);
            return Ok(Expression::Path(self.source.to_vec()));
        }
        Err(QueryError::at(
            at,
            match self.alias {
                Some(alias) => format!("unknown name '{name}'; the source is named '{alias}'"),
                None => format!("unknown name '{name}'; there is no FROM clause"),
            },
        ))
    }

    /// `inner.name` or `inner[index]`; steps from the row are joined into one path.
    fn access(&mut self, inner: &Node, index: Expression) -> Result<Expression, QueryError> {
        let inner = self.expression(inner)?;
        let step = match &index {
            Expression::Constant(None) => return Ok(Expression::Constant(None)),
            Expression::Constant(Some(value)) => match step_of(value) {
                Some(step) => step,
                None => return Ok(Expression::Constant(None)),
            },
            _ => return Ok(Expression::Index(Box::new([inner, index]))),
        };
        Ok(match inner {
            Expression::Path(mut steps) => {
                steps.push(step);
                Expression::Path(steps)
            }
            other => Expression::Member(Box::new(other), step),
        })
    }

    fn like(
        &mut self,
        value: &Node,
        pattern: &Node,
        escape: Option<&Node>,
    ) -> Result<Expression, QueryError> {
        let value = self.expression(value)?;
        let compiled = self.expression(pattern)?;
        let escape = match escape {
            Some(node) => match self.expression(node)? {
                Expression::Constant(Some(Value::String(text))) => {
                    let message = "ESCAPE takes exactly one character";
                    Some(single_character(&text).ok_or_else(|| QueryError::at(node.at, message))?)
                }
                Expression::Constant(_) => return Ok(Expression::Constant(None)),
                _ => {
                    let message = "ESCAPE with a value taken from the row is not supported yet";
                    return Err(QueryError::at(node.at, message));
                }
            },
            None => None,
        };
        if let Expression::Constant(Some(Value::String(text))) = &compiled {
            let message = "the pattern ends in its escape character";
            let like =
                Like::new(text, escape).ok_or_else(|| QueryError::at(pattern.at, message))?;
            return Ok(Expression::Like(Box::new(value), like));
        }
        Ok(Expression::LikeComputed(Box::new([value, compiled]), escape))
    }

    fn call(&mut self, at: usize, name: &str, nodes: &[Node]) -> Result<Expression, QueryError> {
        if let Some(kind) = AggregateKind::lookup(name) {
            return self.aggregate(at, name, kind, nodes);
        }
        if name.eq_ignore_ascii_case("REGEXMATCH") {
            return self.regex_match(at, nodes);
        }
        let Some(function) = functions::lookup(name) else {
            let message = if functions::is_refused(name) || AggregateKind::is_refused(name) {
                format!("the function {name} is not supported yet")
            } else {
                format!("unknown function '{name}'")
            };
            return Err(QueryError::at(at, message));
        };
        check_arguments(at, function.name, nodes.len(), function.least, function.most)?;
        Ok(Expression::Call(function, self.expressions(nodes)?))
    }

    fn aggregate(
        &mut self,
        at: usize,
        name: &str,
        kind: AggregateKind,
        nodes: &[Node],
    ) -> Result<Expression, QueryError> {
        check_arguments(at, name, nodes.len(), 1, 1)?;
        if !self.allows_aggregates {
            let message = format!(
                "the aggregate {name} can stand in SELECT only, and not within another aggregate"
            );
            return Err(QueryError::at(at, message));
        }
        let outside = (self.row_reference, self.group_by.take());
        self.allows_aggregates = false;
        let arguments = self.expressions(nodes);
        self.allows_aggregates = true;
        (self.row_reference, self.group_by) = outside;
        let slot = self.aggregates.len();
        for argument in arguments? {
            self.aggregates.push(Aggregate { kind, argument });
        }
        Ok(Expression::Aggregate(slot))
    }

    /// REGEXMATCH: its pattern must be known beforehand, so that a pattern this dialect does not
    /// have (look-around, back references) is an error and not a wrong answer.
    fn regex_match(&mut self, at: usize, nodes: &[Node]) -> Result<Expression, QueryError> {
        check_arguments(at, "REGEXMATCH", nodes.len(), 2, 3)?;
        let mut parts = self.expressions(nodes)?.into_iter();
        let (Some(value), Some(pattern)) = (parts.next(), parts.next()) else {
            return Ok(Expression::Constant(None));
        };
        let pattern_at = nodes.get(1).map_or(at, |node| node.at);
        let modifiers = parts.next().unwrap_or(Expression::Constant(Some(Value::from(""))));
        match (&pattern, &modifiers) {
            (
                Expression::Constant(Some(Value::String(pattern))),
                Expression::Constant(Some(Value::String(modifiers))),
            ) => {
                let pattern = Pattern::new(pattern, modifiers).map_err(|reason| {
                    QueryError::at(pattern_at, format!("unusable regular expression: {reason}"))
                })?;
                Ok(Expression::Matches(Box::new(value), pattern))
            }
            // Of a wrong type: undefined for every row.
            (Expression::Constant(_), Expression::Constant(_)) => Ok(Expression::Constant(None)),
            _ => Err(QueryError::at(
                pattern_at,
                "REGEXMATCH with a pattern or modifiers taken from the row is not supported yet",
            )),
        }
    }
}

fn comparison(operator: BinaryOperator) -> Option<Comparison> {
    Some(match operator {
        BinaryOperator::Equal => Comparison::Equal,
        BinaryOperator::NotEqual => Comparison::NotEqual,
        BinaryOperator::Less => Comparison::Less,
        BinaryOperator::LessOrEqual => Comparison::LessOrEqual,
        BinaryOperator::Greater => Comparison::Greater,
        BinaryOperator::GreaterOrEqual => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn negate(negated: bool, expression: Expression) -> Expression {
    if negated { Expression::Not(Box::new(expression)) } else { expression }
}

fn check_arguments(
    at: usize,
    name: &str,
    given: usize,
    least: usize,
    most: usize,
) -> Result<(), QueryError> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let wanted = match (least, most) {
        (least, most) if least == most => format!("{least}"),
        (least, usize::MAX) => format!("at least {least}"),
        (least, most) => format!("{least} to {most}"),
    };
    Err(QueryError::at(at, format!("{name} takes {wanted} arguments, not {given}")))
}

/// Computes an expression whose parts are all constants.
fn fold(expression: Expression) -> Expression {
    let is_constant = |part: &Expression| matches!(part, Expression::Constant(_));
    let constant = match &expression {
        Expression::Member(inner, _)
        | Expression::Not(inner)
        | Expression::Negate(inner)
        | Expression::Plus(inner)
        | Expression::BitNot(inner)
        | Expression::Like(inner, _)
        | Expression::Matches(inner, _) => is_constant(inner),
        Expression::And(items) | Expression::Or(items) | Expression::Array(items) => {
            items.iter().all(is_constant)
        }
        Expression::Call(_, items) => items.iter().all(is_constant),
        Expression::Index(parts)
        | Expression::Compare(_, parts)
        | Expression::Binary(_, parts)
        | Expression::LikeComputed(parts, _)
        | Expression::Coalesce(parts) => parts.iter().all(is_constant),
        Expression::Between(parts) | Expression::Conditional(parts) => {
            parts.iter().all(is_constant)
        }
        Expression::In(value, list) => is_constant(value) && list.iter().all(is_constant),
        Expression::Object(properties) => properties.iter().all(|(_, value)| is_constant(value)),
        Expression::Constant(_)
        | Expression::Path(_)
        | Expression::Aggregate(_)
        | Expression::GroupKey(_) => false,
    };
    if !constant {
        return expression;
    }
    let value = expression.evaluate(&Row::of(&Value::Null)).map(Cow::into_owned);
    Expression::Constant(value)
}

/// Whether two compiled expressions are the same text after resolution. Debug output is a faithful
/// rendering of the tree, and this runs a few times per query, never per row.
fn same_expression(left: &Expression, right: &Expression) -> bool {
    format!("{left:?}") == format!("{right:?}")
}
