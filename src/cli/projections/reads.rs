//! `cosmos-es projections view`, `views` and `totals`: read models as readers see them.

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::check;
use crate::{
    cli::{
        CliError,
        args::{Format, TargetArgs},
        output::Output,
        say,
        table::{Align, Table, counted, grouped},
    },
    projection::{List, Listed, ReadModels, Total, TotalsList, View, ViewKey},
};

/// The characters of a value in a table.
const SHOWN_CHARACTERS_MAX: usize = 60;

const VIEW_EXAMPLES: &str = "\
With --output json the result is one object: stream, part, sequenceNumber, eventId and data.

Examples:
  cosmos-es projections view stream-summary quote-1";

const VIEWS_EXAMPLES: &str = "\
Filters are by the fields that the projection declares; sorting is by them or by key, which is the stream. A
value is read as JSON where it is a number, true, false or null, and as text otherwise; \"quotes\" make anything
a text. --page takes what the page before gave. With --output json the result is one object: items and next.

Examples:
  cosmos-es projections views stream-summary
  cosmos-es projections views stream-summary --filter lastType=QuoteApproved --sort -lastAt --limit 10";

const TOTALS_EXAMPLES: &str = "\
With --output json the result is one object: items and next, or with a key one total: key, streams and values.

Examples:
  cosmos-es projections totals type-totals
  cosmos-es projections totals type-totals QuoteApproved";

/// Show the view of a stream
#[derive(Debug, Clone, Args)]
#[command(after_help = VIEW_EXAMPLES)]
pub(super) struct ViewArgs {
    /// The projection
    #[arg(value_name = "NAME")]
    name: String,
    /// The stream
    #[arg(value_name = "STREAM")]
    stream: String,
    /// The view of this part of the stream
    #[arg(long, env = "COSMOS_ES_PROJECTIONS_PART", value_name = "KEY")]
    part: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// List views, filtered and sorted
#[derive(Debug, Clone, Args)]
#[command(after_help = VIEWS_EXAMPLES)]
pub(super) struct ViewsArgs {
    /// The projection
    #[arg(value_name = "NAME")]
    name: String,
    /// Only views with this value of a declared field
    #[arg(
        long = "filter",
        env = "COSMOS_ES_PROJECTIONS_FILTER",
        value_name = "FIELD=VALUE",
        value_parser = parse_filter
    )]
    filters: Vec<(String, Value)>,
    /// By which field; with a hyphen before it the largest first
    #[arg(
        long,
        env = "COSMOS_ES_PROJECTIONS_SORT",
        default_value = "key",
        value_name = "[-]FIELD",
        allow_hyphen_values = true
    )]
    sort: String,
    /// At most so many: 1 to 1,000
    #[arg(
        long,
        env = "COSMOS_ES_PROJECTIONS_LIMIT",
        default_value_t = 100,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    limit: u32,
    /// Go on behind a page of the same list
    #[arg(long, env = "COSMOS_ES_PROJECTIONS_PAGE", value_name = "TOKEN")]
    page: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Show totals over streams, or one of them
#[derive(Debug, Clone, Args)]
#[command(after_help = TOTALS_EXAMPLES)]
pub(super) struct TotalsArgs {
    /// The projection
    #[arg(value_name = "NAME")]
    name: String,
    /// Only this total
    #[arg(value_name = "KEY")]
    total: Option<String>,
    /// At most so many: 1 to 1,000
    #[arg(
        long,
        env = "COSMOS_ES_PROJECTIONS_LIMIT",
        default_value_t = 1000,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    limit: u32,
    /// Go on behind a page of the same list
    #[arg(
        long,
        env = "COSMOS_ES_PROJECTIONS_PAGE",
        value_name = "TOKEN",
        conflicts_with = "total"
    )]
    page: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// A view, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ViewLine<'a> {
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a str>,
    sequence_number: u64,
    event_id: String,
    data: &'a Value,
}

/// A total, for programs.
#[derive(Debug, Serialize)]
struct TotalLine<'a> {
    key: &'a str,
    streams: u64,
    values: Map<String, Value>,
}

/// A page, for programs.
#[derive(Debug, Serialize)]
struct Page<'a, T> {
    items: Vec<T>,
    next: Option<&'a str>,
}

fn parse_filter(text: &str) -> Result<(String, Value), String> {
    let (field, value) = text.split_once('=').ok_or("expected FIELD=VALUE")?;
    let scalar = serde_json::from_str(value)
        .ok()
        .filter(|value: &Value| !matches!(value, Value::Array(_) | Value::Object(_)));
    Ok((field.to_owned(), scalar.unwrap_or_else(|| value.into())))
}

fn line(view: &View) -> ViewLine<'_> {
    let part = match &view.key {
        ViewKey::Part(part) => Some(part.as_str()),
        ViewKey::Stream => None,
    };
    ViewLine {
        stream: &view.stream,
        part,
        sequence_number: view.sequence_number,
        event_id: view.event_id.to_string(),
        data: &view.data,
    }
}

pub(super) async fn view(
    args: &ViewArgs,
    read_models: &ReadModels,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let (name, stream) = (args.name.as_str(), args.stream.as_str());
    check(read_models, name)?;
    let key = args.part.clone().map_or(ViewKey::Stream, ViewKey::Part);
    let Some(view) = read_models.view(name, stream, &key).await? else {
        return Err(CliError::Missing(format!("{name} has no view of {stream}")));
    };
    match out.format() {
        Format::Json => out.json(&line(&view)),
        Format::Table => {
            let mut rows = vec![
                ["stream".to_owned(), view.stream.clone()],
                ["event".to_owned(), grouped(view.sequence_number)],
            ];
            match &view.data {
                Value::Object(data) => {
                    rows.extend(data.iter().map(|(name, value)| [name.clone(), whole(value)]));
                }
                other => rows.push(["data".to_owned(), whole(other)]),
            }
            let mut table = Table::new([Align::Left, Align::Left]);
            table.write(out.writer(), &rows).map_err(CliError::Output)
        }
    }
}

pub(super) async fn views(
    args: &ViewsArgs,
    read_models: &ReadModels,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let name = args.name.as_str();
    check(read_models, name)?;
    let mut list = List::new().limit(args.limit);
    list = match args.sort.strip_prefix('-') {
        Some(field) => list.sort(field).descending(),
        None => list.sort(args.sort.as_str()),
    };
    for (field, value) in &args.filters {
        list = list.filter(field, value.clone());
    }
    if let Some(page) = &args.page {
        list = list.after(page);
    }
    let Listed { items, next, .. } = read_models.list(name, &list).await?;
    match out.format() {
        Format::Json => {
            let items = items.iter().map(line).collect();
            out.json(&Page { items, next: next.as_deref() })
        }
        Format::Table => {
            let rows: Vec<_> = items
                .iter()
                .map(|view| {
                    let event = format!("event {}", grouped(view.sequence_number));
                    [view.stream.clone(), event, pairs(&view.data)]
                })
                .collect();
            let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
            table.write(out.writer(), &rows).map_err(CliError::Output)?;
            tell_next(next.as_deref());
            Ok(())
        }
    }
}

pub(super) async fn totals(
    args: &TotalsArgs,
    read_models: &ReadModels,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let name = args.name.as_str();
    check(read_models, name)?;
    if let Some(key) = &args.total {
        let Some(total) = read_models.total(name, key).await? else {
            return Err(CliError::Missing(format!("{name} has no total {key}")));
        };
        return match out.format() {
            Format::Json => out.json(&total_line(key, &total)),
            Format::Table => print_totals(&[(key.clone(), total)], out),
        };
    }
    let mut list = TotalsList::new().limit(args.limit);
    if let Some(page) = &args.page {
        list = list.after(page);
    }
    let Listed { items, next, .. } = read_models.totals(name, &list).await?;
    match out.format() {
        Format::Json => {
            let lines = items.iter().map(|(key, total)| total_line(key, total)).collect();
            out.json(&Page { items: lines, next: next.as_deref() })
        }
        Format::Table => {
            print_totals(&items, out)?;
            tell_next(next.as_deref());
            Ok(())
        }
    }
}

fn total_line<'a>(key: &'a str, total: &Total) -> TotalLine<'a> {
    TotalLine { key, streams: total.streams, values: total.shown() }
}

fn print_totals(items: &[(String, Total)], out: &mut Output<'_>) -> Result<(), CliError> {
    let row = |(key, total): &(String, Total)| {
        [key.clone(), counted(total.streams, "stream"), pairs(&Value::Object(total.shown()))]
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
    table.write(out.writer(), &rows).map_err(CliError::Output)
}

fn tell_next(next: Option<&str>) {
    if let Some(next) = next {
        say(&format!("there are more: --page {next}"));
    }
}

/// The members of an object in one line, each of them cut where it is long.
fn pairs(data: &Value) -> String {
    match data {
        Value::Object(data) => {
            let pairs = data.iter().map(|(name, value)| format!("{name} {}", short(value)));
            pairs.collect::<Vec<_>>().join("  ")
        }
        other => short(other),
    }
}

fn whole(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn short(value: &Value) -> String {
    let text = whole(value);
    if text.chars().count() <= SHOWN_CHARACTERS_MAX {
        return text;
    }
    let cut: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    format!("{cut}...")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_filters_are_scalars() {
        let value = |text: &str| parse_filter(text).map(|(_, value)| value);
        assert_eq!(value("a=1"), Ok(json!(1)));
        assert_eq!(value("a=true"), Ok(json!(true)));
        assert_eq!(value("a=Approved"), Ok(json!("Approved")));
        assert_eq!(value("a=\"1\""), Ok(json!("1")));
        assert_eq!(value("a=b=c"), Ok(json!("b=c")));
        assert_eq!(value("a=[1]"), Ok(json!("[1]")));
        assert_eq!(value("a="), Ok(json!("")));
        assert!(value("a").is_err());
    }

    #[test]
    fn long_values_are_cut_in_lists() {
        let text = pairs(&json!({"a": 1, "b": "x".repeat(100)}));
        assert_eq!(text, format!("a 1  b {}...", "x".repeat(SHOWN_CHARACTERS_MAX)));
    }
}
