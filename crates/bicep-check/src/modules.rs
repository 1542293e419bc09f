//! What modules are given: by other templates and by parameter files.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    shape::{File, Shape},
    sources::relative,
    template::{Expression, Finding, Kind, Name, Parameter, Place, Template},
};

/// What may stand in the body of a module.
const BODY: [&str; 4] = ["name", "params", "scope", "dependsOn"];

/// Checks every module of a file.
pub(crate) fn check(file: &File<'_>, has_file: impl Fn(&str) -> bool, findings: &mut Vec<Finding>) {
    let mut say = |place: Place, message: String| {
        findings.push(Finding { file: file.path.to_owned(), place, message });
    };
    for module in &file.template.modules {
        let path = relative(file.path, &module.path.text);
        if !path.is_some_and(|path| has_file(&path)) {
            say(module.path.place, format!("there is no file {}", module.path.text));
            continue;
        }
        let body = &module.body.value;
        for property in body.properties() {
            if !matches!(&property.key.kind, Kind::Text(key) if BODY.contains(&key.as_str())) {
                say(property.key.place, format!("a module takes {} only", BODY.join(", ")));
            }
        }
        let Some(template) = file.module(module) else { continue };
        let given: Vec<(Name, &Expression)> = match body.get("params") {
            Some(params) => params.properties().iter().filter_map(named).collect(),
            None => Vec::new(),
        };
        let place = body.get("params").map_or(body.place, |params| params.place);
        let shape = |value: &Expression| file.shape(value);
        given_to(&module.path.text, template, &given, place, shape, &mut say);
    }
}

fn named(property: &crate::template::Property) -> Option<(Name, &Expression)> {
    match &property.key.kind {
        Kind::Text(text) => {
            Some((Name { text: text.clone(), place: property.key.place }, &property.value))
        }
        _ => None,
    }
}

/// Values for the parameters of a template: each is declared, fits, and none that is needed is missing.
fn given_to(
    path: &str,
    template: &Template,
    given: &[(Name, &Expression)],
    place: Place,
    shape: impl Fn(&Expression) -> Shape,
    say: &mut impl FnMut(Place, String),
) {
    for (name, value) in given {
        match template.parameters.iter().find(|one| one.name.text == name.text) {
            None => say(name.place, format!("{path} has no parameter `{}`", name.text)),
            Some(parameter) => {
                if let Some(message) = unfit(parameter, value, shape(value)) {
                    say(value.place, message);
                }
            }
        }
    }
    for name in needed(template).filter(|one| !given.iter().any(|given| given.0.text == **one)) {
        say(place, format!("{path} needs the parameter `{name}`"));
    }
}

fn needed(template: &Template) -> impl Iterator<Item = &String> {
    let is_needed = |one: &&Parameter| one.default.is_none() && !one.type_text.ends_with('?');
    template.parameters.iter().filter(is_needed).map(|one| &one.name.text)
}

/// What is wrong with a value for a parameter: its shape, or what the decorators say.
fn unfit(parameter: &Parameter, value: &Expression, shape: Shape) -> Option<String> {
    let name = &parameter.name.text;
    let declared = Shape::declared(&parameter.type_text);
    if !shape.fits(declared) {
        return Some(format!("`{name}` must be {}, not {}", parameter.type_text, shape.word()));
    }
    let literal = value.literal()?;
    if let Some(Value::Array(allowed)) =
        parameter.decorator("allowed").and_then(Expression::literal)
        && !allowed.contains(&literal)
    {
        let words: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        return Some(format!("`{name}` must be one of {}, not {literal}", words.join(", ")));
    }
    let bound = |decorator: &str| parameter.decorator(decorator)?.literal()?.as_i64();
    let (size, least, most) = match &literal {
        Value::String(text) => (
            i64::try_from(text.chars().count()).unwrap_or(i64::MAX),
            bound("minLength"),
            bound("maxLength"),
        ),
        other => (other.as_i64()?, bound("minValue"), bound("maxValue")),
    };
    let fits = least.is_none_or(|least| size >= least) && most.is_none_or(|most| size <= most);
    (!fits).then(|| format!("`{name}` is outside of its bounds: {literal}"))
}

/// Checks a `.bicepparam` file, whose parameters were read as variables.
pub(crate) fn check_parameters(
    path: &str,
    parameters: &Template,
    templates: &BTreeMap<String, Template>,
    findings: &mut Vec<Finding>,
) {
    let mut say = |place: Place, message: String| {
        findings.push(Finding { file: path.to_owned(), place, message });
    };
    let start = Place { line: 1, column: 1 };
    let Some(using) = &parameters.using else {
        return say(start, "`using` is missing".to_owned());
    };
    let Some(template) = relative(path, &using.text).and_then(|target| templates.get(&target))
    else {
        return say(using.place, format!("there is no template {}", using.text));
    };
    let given: Vec<(Name, &Expression)> =
        parameters.variables.iter().map(|one| (one.name.clone(), &one.value)).collect();
    let file = File::new(path, parameters, templates);
    given_to(&using.text, template, &given, using.place, |value| file.shape(value), &mut say);
}

/// Checks a `.parameters.json` file against the template whose name it begins with.
///
/// Values like `${NAME=default}`, which azd replaces, may be of any type. Places are those of the names.
pub(crate) fn check_json(
    path: &str,
    text: &str,
    templates: &BTreeMap<String, Template>,
    findings: &mut Vec<Finding>,
) {
    let mut say = |place: Place, message: String| {
        findings.push(Finding { file: path.to_owned(), place, message });
    };
    let start = Place { line: 1, column: 1 };
    let document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            let place = Place { line: error.line().max(1), column: error.column().max(1) };
            return say(place, format!("syntax: {error}"));
        }
    };
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let stem = name.split('.').next().unwrap_or_default();
    let target =
        if folder.is_empty() { format!("{stem}.bicep") } else { format!("{folder}/{stem}.bicep") };
    let Some(template) = templates.get(&target) else {
        return say(start, format!("there is no template {target}"));
    };
    let Some(parameters) = document.get("parameters").and_then(Value::as_object) else {
        return say(start, "the object `parameters` is missing".to_owned());
    };
    for (name, entry) in parameters {
        let place = place_of(text, name);
        let Some(parameter) = template.parameters.iter().find(|one| one.name.text == *name) else {
            say(place, format!("{target} has no parameter `{name}`"));
            continue;
        };
        let Some(value) = entry.get("value") else {
            say(place, format!("`{name}` has no `value`"));
            continue;
        };
        if let Some(value) = expression(value, place)
            && let Some(message) = unfit(parameter, &value.0, value.1)
        {
            say(place, message);
        }
    }
    for name in needed(template).filter(|name| !parameters.contains_key(*name)) {
        say(start, format!("{target} needs the parameter `{name}`"));
    }
}

/// A simple value as an expression; nothing for a place-holder of azd.
fn expression(value: &Value, place: Place) -> Option<(Expression, Shape)> {
    let (kind, shape) = match value {
        Value::String(text) if text.starts_with("${") => return None,
        Value::String(text) => (Kind::Text(text.clone()), Shape::Text),
        Value::Bool(truth) => (Kind::Boolean(*truth), Shape::Boolean),
        Value::Number(number) => (Kind::Integer(number.as_i64()?), Shape::Integer),
        Value::Object(_) => (Kind::Name(String::new()), Shape::Object),
        Value::Array(_) => (Kind::Name(String::new()), Shape::Array),
        Value::Null => (Kind::Null, Shape::Null),
    };
    Some((Expression { place, kind }, shape))
}

/// Where a name stands in quotes.
fn place_of(text: &str, name: &str) -> Place {
    let quoted = format!("\"{name}\"");
    let found = text.lines().zip(1_usize..).find_map(|(line, number)| {
        Some(Place { line: number, column: line.find(&quoted)?.saturating_add(1) })
    });
    found.unwrap_or(Place { line: 1, column: 1 })
}
