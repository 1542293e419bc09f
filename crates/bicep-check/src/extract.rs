//! Makes the extract of the type data that this crate carries, from a checkout of `Azure/bicep-types-az`.
//!
//! It has the resource types that templates use, in the versions that they use. A property whose name
//! stands in no template keeps its name and flags, and a type that is simple; other types are left out,
//! and the check asks for a new extract when one is needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    sources::{Sources, files},
    template::{Expression, Kind, Template},
    types::{PropertyType, Reference, Type, TypeFile, TypesError, read_file},
};

/// Writes the extract for templates into a folder: one file for each file of the checkout that is
/// needed, one type a line. Returns the names of the files.
///
/// `checkout` is the root of the repository, with the folder `generated`; folders that no template needs
/// may be missing.
///
/// # Errors
///
/// [`TypesError::NoSuchType`] when a template uses what the checkout does not have, and the others.
pub fn extract(checkout: &Path, sources: &Sources, to: &Path) -> Result<Vec<String>, TypesError> {
    let templates: Vec<Template> =
        sources.templates().filter_map(|(path, text)| crate::parse(path, text).ok()).collect();
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    let mut names = BTreeSet::new();
    for template in &templates {
        wanted.extend(
            template.placed().into_iter().map(|one| (one.full_type.to_lowercase(), one.version)),
        );
        template.expressions().into_iter().for_each(|one| keys(one, &mut names));
    }
    let generated = checkout.join("generated");
    let mut written = Vec::new();
    for path in files(&generated)? {
        let parts: Vec<_> = path
            .strip_prefix(&generated)
            .unwrap_or(&path)
            .iter()
            .map(|one| one.to_string_lossy())
            .collect();
        let [provider, namespace, version, file] = parts.as_slice() else { continue };
        let is_wanted = |one: &(String, String)| {
            one.1 == *version && one.0.starts_with(&format!("{namespace}/"))
        };
        if file != "types.json" || !wanted.iter().any(is_wanted) {
            continue;
        }
        let (kept, types) = cut(&read_file(&path)?, &wanted, &names);
        if kept.is_empty() {
            continue;
        }
        wanted.retain(|one| !kept.contains(one));
        let name = format!("{provider}.{namespace}@{version}.json");
        let lines: Result<Vec<String>, _> = types.0.iter().map(serde_json::to_string).collect();
        let json = |source| TypesError::Json { path: name.clone(), source };
        let text = format!("[\n{}\n]\n", lines.map_err(json)?.join(",\n"));
        let io = |source| TypesError::Io { path: name.clone(), source };
        fs::write(to.join(&name), text).map_err(io)?;
        written.push(name);
    }
    match wanted.into_iter().next() {
        None => Ok(written),
        Some((name, version)) => Err(TypesError::NoSuchType {
            path: generated.display().to_string(),
            resource: format!("{name}@{version}"),
        }),
    }
}

/// The names of properties that an expression sets or reads.
fn keys(expression: &Expression, names: &mut BTreeSet<String>) {
    match &expression.kind {
        Kind::Object(object) => {
            for property in &object.properties {
                if let Kind::Text(key) = &property.key.kind {
                    names.insert(key.clone());
                }
            }
        }
        Kind::Member(_, name) => {
            names.insert(name.text.clone());
        }
        _ => {}
    }
    expression.parts().into_iter().for_each(|part| keys(part, names));
}

/// The types that the wanted resources need, and which resources were found.
fn cut(
    file: &TypeFile,
    wanted: &BTreeSet<(String, String)>,
    names: &BTreeSet<String>,
) -> (BTreeSet<(String, String)>, TypeFile) {
    let mut cutter = Cutter { file, names, types: vec![Type::LeftOut], moved: BTreeMap::new() };
    let mut kept = BTreeSet::new();
    for one in &file.0 {
        let Type::Resource { name, body } = one else { continue };
        let Some((of, version)) = name.split_once('@') else { continue };
        let key = (of.to_lowercase(), version.to_owned());
        if wanted.contains(&key) {
            let body = cutter.take(body);
            cutter.types.push(Type::Resource { name: name.clone(), body });
            kept.insert(key);
        }
    }
    (kept, TypeFile(cutter.types))
}

struct Cutter<'f> {
    file: &'f TypeFile,
    names: &'f BTreeSet<String>,
    types: Vec<Type>,
    /// Where the types of the file are now.
    moved: BTreeMap<usize, usize>,
}

impl Cutter<'_> {
    fn take(&mut self, reference: &Reference) -> Reference {
        let Some(index) = reference.index() else { return Reference::to(0) };
        if let Some(at) = self.moved.get(&index) {
            return Reference::to(*at);
        }
        let at = self.types.len();
        self.moved.insert(index, at);
        // The place is taken before what is inside, which may refer back to it.
        self.types.push(Type::LeftOut);
        let taken = match self.file.get(reference).clone() {
            Type::Union { elements } => {
                Type::Union { elements: elements.iter().map(|one| self.take(one)).collect() }
            }
            Type::Array { item_type } => Type::Array { item_type: self.take(&item_type) },
            Type::Object { name, properties, additional_properties } => Type::Object {
                name,
                properties: self.properties(properties),
                additional_properties: additional_properties.map(|one| self.take(&one)),
            },
            Type::Discriminated { name, discriminator, base_properties, elements } => {
                Type::Discriminated {
                    name,
                    discriminator,
                    base_properties: self.properties(base_properties),
                    elements: elements
                        .iter()
                        .map(|(key, one)| (key.clone(), self.take(one)))
                        .collect(),
                }
            }
            other => other,
        };
        if let Some(place) = self.types.get_mut(at) {
            *place = taken;
        }
        Reference::to(at)
    }

    fn properties(
        &mut self,
        properties: BTreeMap<String, PropertyType>,
    ) -> BTreeMap<String, PropertyType> {
        let mut taken = BTreeMap::new();
        for (name, PropertyType { of, flags }) in properties {
            let is_simple = matches!(
                self.file.get(&of),
                Type::Any
                    | Type::Boolean
                    | Type::Integer { .. }
                    | Type::String { .. }
                    | Type::Union { .. }
            );
            let of = if is_simple || self.names.contains(&name) {
                self.take(&of)
            } else {
                Reference::to(0)
            };
            taken.insert(name, PropertyType { of, flags });
        }
        taken
    }
}
