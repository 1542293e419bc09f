//! The public type data of Azure resources, in the form of `Azure/bicep-types-az`.
//!
//! An extract has the same form, with fewer types: see [`crate::extract`]. Descriptions are not read.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The place of a type in its file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Reference {
    #[serde(rename = "$ref")]
    pub(crate) path: String,
}

impl Reference {
    pub(crate) fn index(&self) -> Option<usize> {
        self.path.strip_prefix("#/")?.parse().ok()
    }

    pub(crate) fn to(index: usize) -> Self {
        Self { path: format!("#/{index}") }
    }
}

/// A property of an object type.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct PropertyType {
    #[serde(rename = "type")]
    pub(crate) of: Reference,
    pub(crate) flags: u32,
}

impl PropertyType {
    pub(crate) fn is_required(&self) -> bool {
        self.flags & 1 != 0
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.flags & 2 != 0
    }
}

/// A type.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(tag = "$type", rename_all_fields = "camelCase")]
pub(crate) enum Type {
    #[serde(rename = "AnyType")]
    Any,
    #[serde(rename = "BooleanType")]
    Boolean,
    #[serde(rename = "IntegerType")]
    Integer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_value: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_value: Option<i64>,
    },
    #[serde(rename = "StringType")]
    String {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_length: Option<usize>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<usize>,
    },
    #[serde(rename = "StringLiteralType")]
    Literal { value: String },
    #[serde(rename = "UnionType")]
    Union { elements: Vec<Reference> },
    #[serde(rename = "ArrayType")]
    Array { item_type: Reference },
    #[serde(rename = "ObjectType")]
    Object {
        name: String,
        properties: BTreeMap<String, PropertyType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        additional_properties: Option<Reference>,
    },
    #[serde(rename = "DiscriminatedObjectType")]
    Discriminated {
        name: String,
        discriminator: String,
        base_properties: BTreeMap<String, PropertyType>,
        elements: BTreeMap<String, Reference>,
    },
    #[serde(rename = "ResourceType")]
    Resource { name: String, body: Reference },
    /// Left out of an extract: no template used it when that was made.
    #[serde(rename = "LeftOut")]
    LeftOut,
    /// Functions of resources and whatever comes later.
    #[serde(other)]
    Other,
}

/// One file of types.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct TypeFile(pub(crate) Vec<Type>);

impl TypeFile {
    pub(crate) fn get(&self, reference: &Reference) -> &Type {
        reference.index().and_then(|index| self.0.get(index)).unwrap_or(&Type::LeftOut)
    }
}

/// Why type data cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TypesError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A checkout of the type data has no such resource type.
    #[error("{path}: has no {resource}")]
    NoSuchType {
        /// The folder.
        path: String,
        /// The type with its version.
        resource: String,
    },
}

/// Resource types by name, lower case, and version.
#[derive(Debug, Clone, Default)]
pub struct Types {
    files: Vec<TypeFile>,
    resources: BTreeMap<(String, String), (usize, Reference)>,
}

/// The body type of a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyType<'t> {
    pub(crate) file: &'t TypeFile,
    pub(crate) body: &'t Reference,
}

impl Types {
    /// Reads all `.json` files of a folder.
    ///
    /// # Errors
    ///
    /// [`TypesError`] with the path.
    pub fn read(folder: &Path) -> Result<Self, TypesError> {
        let mut types = Self::default();
        for path in crate::sources::files(folder)? {
            if path.extension().is_some_and(|extension| extension == "json") {
                types.add(read_file(&path)?);
            }
        }
        Ok(types)
    }

    pub(crate) fn add(&mut self, file: TypeFile) {
        let at = self.files.len();
        for one in &file.0 {
            if let Type::Resource { name, body } = one
                && let Some((name, version)) = name.split_once('@')
            {
                self.resources
                    .insert((name.to_lowercase(), version.to_owned()), (at, body.clone()));
            }
        }
        self.files.push(file);
    }

    pub(crate) fn find(&self, name: &str, version: &str) -> Option<BodyType<'_>> {
        let (file, body) = self.resources.get(&(name.to_lowercase(), version.to_owned()))?;
        Some(BodyType { file: self.files.get(*file)?, body })
    }

    /// The versions of a resource type.
    pub fn versions(&self, name: &str) -> Vec<&str> {
        let name = name.to_lowercase();
        self.resources.keys().filter(|key| key.0 == name).map(|key| key.1.as_str()).collect()
    }

    /// All resource types with their versions, in lower case.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resources.keys().map(|(name, version)| (name.as_str(), version.as_str()))
    }
}

pub(crate) fn read_file(path: &Path) -> Result<TypeFile, TypesError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|source| TypesError::Io { path: shown.clone(), source })?;
    serde_json::from_str(&text).map_err(|source| TypesError::Json { path: shown, source })
}
