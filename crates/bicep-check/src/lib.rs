//! Checks of Bicep files without the Bicep compiler and without a network.
//!
//! [`check`] finds errors of syntax; names that nothing declares, that are declared twice or never
//! used; modules that are missing or are given the wrong parameters; parameter files that do not fit;
//! and resources whose type, version, properties or values the public type data does not know.
//!
//! What it does not do: it evaluates nothing, so a value that is computed is checked by its shape only;
//! it knows no cycles, no scopes of deployment and no patterns of strings; and it refuses the parts of the
//! language that it does not understand (imports, types and functions of one's own, lambdas), and a few
//! lines that the grammar misreads, like a call as an item of an array. The real compiler says more. The types are an extract: [`extract`] makes it, `types/ORIGIN.md` says from what.

mod extract;
mod modules;
mod names;
mod parse;
mod resources;
mod shape;
mod sources;
pub mod template;
mod types;
mod values;

use std::{collections::BTreeMap, path::Path};

pub use self::{
    extract::extract,
    parse::parse,
    sources::Sources,
    template::Finding,
    types::{Types, TypesError},
};
use self::{shape::File, sources::FileKind, template::Template};

/// The extract that this package carries.
///
/// # Errors
///
/// [`TypesError`] when the sources of this package are not where they were built.
pub fn carried_types() -> Result<Types, TypesError> {
    Types::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("types"))
}

/// Checks all files of a deployment; what is wrong comes sorted by file and place.
pub fn check(sources: &Sources, types: &Types) -> Vec<Finding> {
    let mut findings = Vec::new();
    let templates = read(sources, FileKind::Template, &mut findings);
    let parameters = read(sources, FileKind::Parameters, &mut findings);
    for (path, template) in &templates {
        let file = File::new(path, template, &templates);
        names::check(&file, &mut findings);
        modules::check(&file, |path| sources.get(path).is_some(), &mut findings);
        resources::check(&file, types, &mut findings);
    }
    // Against a template that cannot be read, every parameter would be wrong.
    if templates.len() == sources.templates().count() {
        for (path, template) in &parameters {
            modules::check_parameters(path, template, &templates, &mut findings);
        }
        for (path, text) in sources.of_kind(FileKind::JsonParameters) {
            modules::check_json(path, text, &templates, &mut findings);
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The files of a kind that can be read.
fn read(
    sources: &Sources,
    kind: FileKind,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, Template> {
    let mut templates = BTreeMap::new();
    for (path, text) in sources.of_kind(kind) {
        match parse(path, text) {
            Ok(template) => {
                templates.insert(path.to_owned(), template);
            }
            Err(wrong) => findings.extend(wrong),
        }
    }
    templates
}
