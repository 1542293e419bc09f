//! The files of a deployment, by their paths.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::types::TypesError;

/// Files of the kinds `.bicep`, `.bicepparam` and `.parameters.json`, by path from the root of the
/// deployment, with slashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads a folder and those in it.
    ///
    /// # Errors
    ///
    /// [`TypesError::Io`] with the path.
    pub fn read(folder: &Path) -> Result<Self, TypesError> {
        let mut sources = Self::default();
        for path in files(folder)? {
            let relative = path.strip_prefix(folder).unwrap_or(&path);
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            let name = parts.join("/");
            if FileKind::of(&name).is_some() {
                let text = fs::read_to_string(&path).map_err(|source| TypesError::Io {
                    path: path.display().to_string(),
                    source,
                })?;
                sources.set(&name, text);
            }
        }
        Ok(sources)
    }

    /// Adds or replaces a file.
    pub fn set(&mut self, path: &str, text: impl Into<String>) {
        self.0.insert(path.to_owned(), text.into());
    }

    /// Removes a file.
    pub fn remove(&mut self, path: &str) -> Option<String> {
        self.0.remove(path)
    }

    /// The text of a file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    pub(crate) fn of_kind(&self, kind: FileKind) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(move |(path, _)| FileKind::of(path) == Some(kind))
    }

    /// The templates: the files `.bicep`, by path.
    pub fn templates(&self) -> impl Iterator<Item = (&str, &str)> {
        self.of_kind(FileKind::Template)
    }

    /// All files, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

/// The kinds of files, told apart by the ends of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Template,
    Parameters,
    JsonParameters,
}

impl FileKind {
    const ALL: [(&str, Self); 3] = [
        (".bicep", Self::Template),
        (".bicepparam", Self::Parameters),
        (".parameters.json", Self::JsonParameters),
    ];

    pub(crate) fn of(path: &str) -> Option<Self> {
        Self::ALL.iter().find(|one| path.ends_with(one.0)).map(|one| one.1)
    }
}

/// The path that `to` names when it stands in the file `from`; nothing when it leads out of the root.
pub(crate) fn relative(from: &str, to: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The files of a folder and those in it, sorted. Links are not followed.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, TypesError> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let io = |source| TypesError::Io { path: folder.display().to_string(), source };
        for entry in fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let kind = entry.file_type().map_err(io)?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn paths_are_relative_to_the_file() {
        assert_eq!(relative("main.bicep", "modules/a.bicep").unwrap(), "modules/a.bicep");
        assert_eq!(relative("modules/a.bicep", "./b.bicep").unwrap(), "modules/b.bicep");
        assert_eq!(relative("modules/a.bicep", "../main.bicep").unwrap(), "main.bicep");
        assert_eq!(relative("main.bicep", "../other.bicep"), None);
    }
}
