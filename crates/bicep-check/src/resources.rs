//! Resources against the type data, and what is read from them.

use crate::{
    shape::{File, Symbol},
    template::{Expression, Finding, Kind, Place, Placed},
    types::{BodyType, Reference, Type, Types},
    values::Values,
};

/// What may stand in the body of a resource that is only referred to.
const EXISTING: [&str; 3] = ["name", "parent", "scope"];

/// Types of resources that are extensions of others and take a `scope`.
const EXTENSIONS: [&str; 2] =
    ["microsoft.insights/diagnosticsettings", "microsoft.authorization/roleassignments"];

/// Checks every resource of a file.
pub(crate) fn check(file: &File<'_>, types: &Types, findings: &mut Vec<Finding>) {
    let mut say = |place: Place, message: String| {
        findings.push(Finding { file: file.path.to_owned(), place, message });
    };
    for placed in file.template.placed() {
        for (place, message) in resource(file, types, &placed) {
            say(place, message);
        }
    }
    let mut members = Vec::new();
    for expression in file.template.expressions() {
        collect_members(expression, &mut members);
    }
    for (of, name) in members {
        if let Some(message) = read(file, types, of, &name.text) {
            say(name.place, message);
        }
    }
}

fn resource(file: &File<'_>, types: &Types, placed: &Placed<'_>) -> Vec<(Place, String)> {
    let type_place = placed.resource.type_text.place;
    let value = &placed.resource.body.value;
    let Some(body) = types.find(&placed.full_type, &placed.version) else {
        return vec![(type_place, unknown(types, placed))];
    };
    let mut wrong = Vec::new();
    if value.get("name").is_none() {
        wrong.push((value.place, format!("{} needs the property `name`", placed.full_type)));
    }
    wrong.extend(parent(file, placed));
    if placed.resource.existing {
        for property in value.properties() {
            if !matches!(&property.key.kind, Kind::Text(key) if EXISTING.contains(&key.as_str())) {
                let message = "an existing resource takes name, parent and scope only".to_owned();
                wrong.push((property.key.place, message));
            }
        }
    } else {
        wrong.extend(Values::new(file, body.file).body(value, body.body));
    }
    // `name` was said already.
    wrong.sort();
    wrong.dedup();
    wrong
}

fn unknown(types: &Types, placed: &Placed<'_>) -> String {
    let Placed { full_type, version, .. } = placed;
    let versions = types.versions(full_type);
    if version.is_empty() {
        format!("{full_type} needs a version: `{full_type}@...`")
    } else if versions.is_empty() {
        format!(
            "there is no type {full_type} in the extract: correct it, or run `bicep-check extract` again"
        )
    } else {
        format!(
            "{full_type} has no version {version} in the extract, but {}: correct it, or run \
             `bicep-check extract` again",
            versions.join(", ")
        )
    }
}

/// A child names its parent, or stands in it; and the parent is of the type before its own.
fn parent(file: &File<'_>, placed: &Placed<'_>) -> Option<(Place, String)> {
    let value = &placed.resource.body.value;
    let (before, _) = placed.full_type.rsplit_once('/')?;
    let is_child = before.contains('/');
    let is_extension = EXTENSIONS.contains(&placed.full_type.to_lowercase().as_str());
    let Some(parent) = value.get("parent") else {
        let has_slash =
            |name: &Expression| matches!(&name.kind, Kind::Text(text) if text.contains('/'));
        let is_right = !is_child
            || !placed.around.is_empty()
            || is_extension
            || value.get("name").is_some_and(has_slash);
        let message = || format!("{} needs a `parent` of the type {before}", placed.full_type);
        return (!is_right).then(|| (value.place, message()));
    };
    let symbol = match &parent.kind {
        Kind::Name(symbol) => symbol,
        Kind::Index(two) => match two.as_ref() {
            [Expression { kind: Kind::Name(symbol), .. }, _] => symbol,
            _ => return None,
        },
        _ => return None,
    };
    let Some(Symbol::Resource(found)) = file.symbols.get(symbol.as_str()) else {
        return Some((parent.place, format!("`{symbol}` is no resource")));
    };
    let fits = found.full_type.eq_ignore_ascii_case(before);
    let message = || format!("the parent must be of the type {before}, not {}", found.full_type);
    (!fits).then(|| (parent.place, message()))
}

type Member<'e> = (&'e Expression, &'e crate::template::Name);

fn collect_members<'e>(expression: &'e Expression, members: &mut Vec<Member<'e>>) {
    if let Kind::Member(of, name) = &expression.kind {
        members.push((of, name));
    }
    expression.parts().into_iter().for_each(|part| collect_members(part, members));
}

/// What is wrong with reading the property `name`.
fn read(file: &File<'_>, types: &Types, of: &Expression, name: &str) -> Option<String> {
    let (body, reference) = type_of(file, types, of)?;
    match body.file.get(&reference) {
        Type::Object { name: of, properties, additional_properties: None } => {
            let has = properties.contains_key(name) || ["id", "name", "type"].contains(&name);
            (!has).then(|| format!("{of} has no property `{name}`"))
        }
        Type::Boolean | Type::Integer { .. } | Type::String { .. } | Type::Array { .. } => {
            Some(format!("this has no property `{name}`"))
        }
        _ => None,
    }
}

/// The type of what is read, as far as it comes from a resource.
fn type_of<'t>(
    file: &File<'_>,
    types: &'t Types,
    expression: &Expression,
) -> Option<(BodyType<'t>, Reference)> {
    match &expression.kind {
        Kind::Name(symbol) => match file.symbols.get(symbol.as_str())? {
            Symbol::Resource(placed) if placed.resource.body.each.is_none() => {
                of_resource(types, placed)
            }
            _ => None,
        },
        Kind::Index(two) => {
            let [of, _] = two.as_ref();
            let Kind::Name(symbol) = &of.kind else { return None };
            match file.symbols.get(symbol.as_str())? {
                Symbol::Resource(placed) if placed.resource.body.each.is_some() => {
                    of_resource(types, placed)
                }
                _ => None,
            }
        }
        Kind::Nested(_, name) => {
            let placed = file.template.placed().into_iter();
            let mut nested = placed
                .filter(|one| one.resource.symbol.text == name.text && !one.around.is_empty());
            of_resource(types, &nested.next()?)
        }
        Kind::Member(of, name) => {
            let (body, reference) = type_of(file, types, of)?;
            match body.file.get(&reference) {
                Type::Object { properties, .. } => {
                    Some((body, properties.get(&name.text)?.of.clone()))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_resource<'t>(types: &'t Types, placed: &Placed<'_>) -> Option<(BodyType<'t>, Reference)> {
    let body = types.find(&placed.full_type, &placed.version)?;
    Some((body, body.body.clone()))
}
