//! Turns the syntax tree into a plan: clauses and their rules here, expressions in `expression`.

mod expression;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::QueryError;
use super::aggregate::Aggregate;
use super::ast::{self, Count, CountKind, Kind, Query, Select};
use super::expression::{Expression, Step};
use super::plan::{OrderKey, Plan, Projection};

/// Parameter values by name, with the leading `@`.
pub(super) type Parameters = BTreeMap<String, Value>;

/// Resolves a parsed query against its parameters.
pub(super) fn compile(query: &Query, parameters: &Parameters) -> Result<Plan, QueryError> {
    let source = query.from.as_ref().map(source_path).unwrap_or_default();
    let mut compiler = Compiler {
        parameters,
        alias: query.from.as_ref().map(|from| from.alias.as_str()),
        source: &source,
        aggregates: Vec::new(),
        allows_aggregates: false,
        group_by: None,
        row_reference: None,
    };
    let filter = query.filter.as_ref().map(|node| compiler.expression(node)).transpose()?;
    let group_by = if query.group_by.is_empty() {
        None
    } else {
        let keys: Result<Vec<_>, _> =
            query.group_by.iter().map(|node| compiler.expression(node)).collect();
        Some(keys?)
    };
    let order_by = order_keys(&mut compiler, query)?;

    compiler.allows_aggregates = true;
    compiler.row_reference = None;
    compiler.group_by = group_by.as_deref();
    let projection = projection(&mut compiler, query)?;
    let combines = !compiler.aggregates.is_empty() || group_by.is_some();
    if combines && let Some(at) = compiler.row_reference {
        let message = "a value of single rows cannot stand beside an aggregate; \
                       name it in GROUP BY or aggregate it";
        return Err(QueryError::at(at, message));
    }
    let aggregates = compiler.aggregates;
    if combines && let Some(item) = query.order_by.first() {
        let message = "ORDER BY together with aggregates or GROUP BY is not supported yet";
        return Err(QueryError::at(item.node.at, message));
    }
    let (offset, limit) = window(query, parameters)?;
    Ok(Plan {
        has_source: query.from.is_some(),
        filter,
        projection,
        distinct: query.distinct,
        aggregates,
        group_by,
        order_by,
        offset,
        limit,
        has_window: query.offset.is_some(),
        source,
    })
}

fn source_path(from: &ast::From) -> Vec<Step> {
    from.path.iter().cloned().map(Step::Name).collect()
}

fn order_keys(compiler: &mut Compiler<'_>, query: &Query) -> Result<Vec<OrderKey>, QueryError> {
    let mut keys = Vec::with_capacity(query.order_by.len());
    for item in &query.order_by {
        let expression = compiler.expression(&item.node)?;
        if matches!(expression, Expression::Constant(_)) {
            let message = "ORDER BY needs a value of the row, not a constant";
            return Err(QueryError::at(item.node.at, message));
        }
        keys.push(OrderKey { expression, descending: item.descending });
    }
    Ok(keys)
}

fn projection(compiler: &mut Compiler<'_>, query: &Query) -> Result<Projection, QueryError> {
    match &query.select {
        Select::Star(at) if query.from.is_none() => {
            Err(QueryError::at(*at, "SELECT * needs a FROM clause"))
        }
        Select::Star(at) => {
            compiler.row_reference.get_or_insert(*at);
            Ok(Projection::Star)
        }
        Select::Value(node) => compiler.expression(node).map(Projection::Value),
        Select::List(items) => {
            let mut properties = Vec::with_capacity(items.len());
            let mut names = BTreeSet::new();
            let mut unnamed = 0_usize;
            for item in items {
                let expression = compiler.expression(&item.node)?;
                let name = item.alias.clone().or_else(|| natural_name(&item.node, compiler));
                let name = name.unwrap_or_else(|| {
                    unnamed += 1;
                    format!("${unnamed}")
                });
                if !names.insert(name.clone()) {
                    let message = format!("the result would have two properties named '{name}'");
                    return Err(QueryError::at(item.node.at, message));
                }
                properties.push((name, expression));
            }
            Ok(Projection::List(properties))
        }
    }
}

/// The name that a selected expression has by itself: its last property, or the alias.
fn natural_name(node: &ast::Node, compiler: &Compiler<'_>) -> Option<String> {
    match &node.kind {
        Kind::Identifier(name) | Kind::Member(_, name) => Some(name.clone()),
        Kind::Index(_, index) => match &index.kind {
            Kind::Literal(Some(Value::String(name))) => Some(name.clone()),
            Kind::Parameter(name) => {
                compiler.parameters.get(name).and_then(Value::as_str).map(str::to_owned)
            }
            _ => None,
        },
        _ => None,
    }
}

fn window(query: &Query, parameters: &Parameters) -> Result<(u64, Option<u64>), QueryError> {
    let top = query.top.as_ref().map(|count| resolve_count(count, parameters)).transpose()?;
    if let (Some(_), Some(offset)) = (top, &query.offset) {
        return Err(QueryError::at(offset.at, "TOP and OFFSET LIMIT exclude each other"));
    }
    let offset = query.offset.as_ref().map(|count| resolve_count(count, parameters)).transpose()?;
    let limit = query.limit.as_ref().map(|count| resolve_count(count, parameters)).transpose()?;
    Ok((offset.unwrap_or(0), top.or(limit)))
}

fn resolve_count(count: &Count, parameters: &Parameters) -> Result<u64, QueryError> {
    let name = match &count.kind {
        CountKind::Literal(value) => return Ok(*value),
        CountKind::Parameter(name) => name,
    };
    let value = lookup_parameter(name, count.at, parameters)?;
    let whole = match value {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| super::value::integral(super::value::to_f64(number))?.try_into().ok()),
        _ => None,
    };
    whole.ok_or_else(|| {
        QueryError::at(count.at, format!("parameter '{name}' must be a whole number from zero"))
    })
}

fn lookup_parameter<'p>(
    name: &str,
    at: usize,
    parameters: &'p Parameters,
) -> Result<&'p Value, QueryError> {
    parameters
        .get(name)
        .ok_or_else(|| QueryError::at(at, format!("no value is given for parameter '{name}'")))
}

/// The state of a compilation.
struct Compiler<'q> {
    parameters: &'q Parameters,
    /// The one name that expressions may start from.
    alias: Option<&'q str>,
    /// The path that the name stands for.
    source: &'q [Step],
    aggregates: Vec<Aggregate>,
    /// Whether an aggregate may stand here: in SELECT, but not within another aggregate.
    allows_aggregates: bool,
    /// The GROUP BY expressions, while SELECT is compiled.
    group_by: Option<&'q [Expression]>,
    /// Where a row was first used outside of aggregates.
    row_reference: Option<usize>,
}
