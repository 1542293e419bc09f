//! The deployment in `bicep/`: that it makes what the code wants, keeps to our rules, and is described as it is.
//!
//! That the files are right Bicep is the business of `crates/bicep-check`. Nothing here was run by Azure.

mod container;
mod containers;
mod documents;
mod policy;
mod settings;
mod smoke;

use std::{collections::BTreeMap, path::Path, sync::OnceLock};

use bicep_check::{
    Sources, parse,
    template::{Expression, Placed, Template},
};

/// The templates, by their paths below `bicep/`.
fn templates() -> &'static BTreeMap<String, Template> {
    static TEMPLATES: OnceLock<BTreeMap<String, Template>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let sources = sources();
        let read = |(path, text): (&str, &str)| (path.to_owned(), parse(path, text).unwrap());
        let templates: BTreeMap<_, _> = sources.templates().map(read).collect();
        // Without templates every check would pass.
        assert!(templates.contains_key("main.bicep") && templates.len() > 5);
        templates
    })
}

fn sources() -> Sources {
    Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("bicep")).unwrap()
}

/// All resources that are made (not those that are only referred to), with their files.
fn made() -> Vec<(&'static str, Placed<'static>)> {
    let of = |(path, template): (&'static String, &'static Template)| {
        template.placed().into_iter().map(move |one| (path.as_str(), one))
    };
    templates().iter().flat_map(of).filter(|(_, one)| !one.resource.existing).collect()
}

/// The resources of a type.
fn made_of(full_type: &str) -> Vec<(&'static str, Placed<'static>)> {
    let all: Vec<_> = made().into_iter().filter(|(_, one)| one.full_type == full_type).collect();
    assert!(!all.is_empty(), "no {full_type} is made");
    all
}

/// A value in the body of a resource.
fn value<'t>(placed: &Placed<'t>, path: &[&str]) -> Option<&'t Expression> {
    placed.resource.body.value.at(path)
}

/// The literal value there.
fn literal(placed: &Placed<'_>, path: &[&str]) -> Option<serde_json::Value> {
    value(placed, path)?.literal()
}
