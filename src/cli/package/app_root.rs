//! The files of a function app, without the program: those that come with this program, or those of a folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use super::file_error;
use crate::cli::CliError;

/// The app root in `functions/`, so that a program alone can make its package.
pub(super) const EMBEDDED: [(&str, &str); 6] = [
    (IGNORE_FILE, include_str!("../../../functions/.funcignore")),
    ("api/function.json", include_str!("../../../functions/api/function.json")),
    ("host.json", include_str!("../../../functions/host.json")),
    ("lag/function.json", include_str!("../../../functions/lag/function.json")),
    ("pump/function.json", include_str!("../../../functions/pump/function.json")),
    ("wakeup/function.json", include_str!("../../../functions/wakeup/function.json")),
];
/// The file with the names of what is left out.
const IGNORE_FILE: &str = ".funcignore";
/// What is left out in any case: settings of one machine, with keys in them.
const NEVER: [&str; 4] = ["local.settings.json", ".env", IGNORE_FILE, ".git/"];
/// How deep folders may be: more is not an app root.
const DEPTH_MAX: usize = 8;
/// How many files there may be: a folder with more is not an app root.
const FILES_MAX: usize = 2000;

/// The files of a function app, by their names with slashes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AppRoot {
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl AppRoot {
    /// The one that comes with this program.
    pub(super) fn embedded() -> Self {
        let files = EMBEDDED.iter().filter(|(name, _)| *name != IGNORE_FILE);
        let files = files.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        Self { files: files.collect() }
    }

    /// The files of a folder, but for those that are left out.
    pub(super) fn read(folder: &Path) -> Result<Self, CliError> {
        let ignore = folder.join(IGNORE_FILE);
        let text = if ignore.exists() {
            fs::read_to_string(&ignore).map_err(|source| file_error(&ignore, source))?
        } else {
            String::new()
        };
        let ignored = Ignored::parse(&text).map_err(|line| {
            CliError::Usage(format!(
                "{}: {line:?} is not known: names, names/ and *.ending are",
                ignore.display()
            ))
        })?;
        let mut app_root = Self::default();
        app_root.walk(folder, Path::new(""), &ignored, DEPTH_MAX)?;
        Ok(app_root)
    }

    fn walk(
        &mut self,
        root: &Path,
        below: &Path,
        ignored: &Ignored,
        depth: usize,
    ) -> Result<(), CliError> {
        let folder = root.join(below);
        let failed = |source| file_error(&folder, source);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let relative = below.join(entry.file_name());
            let name = slashed(&relative)?;
            let kind = entry.file_type().map_err(failed)?;
            if ignored.has(&name, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() && depth > 0 {
                self.walk(root, &relative, ignored, depth.saturating_sub(1))?;
            } else if kind.is_file() && self.files.len() < FILES_MAX {
                let path = root.join(&relative);
                let content = fs::read(&path).map_err(|source| file_error(&path, source))?;
                self.files.insert(name, content);
            } else {
                return Err(CliError::Usage(format!(
                    "{}: an app root has at most {FILES_MAX} files in {DEPTH_MAX} folders, and no links",
                    root.join(relative).display()
                )));
            }
        }
        Ok(())
    }
}

fn slashed(path: &Path) -> Result<String, CliError> {
    let part = |part: Component<'_>| part.as_os_str().to_str().map(str::to_owned);
    let parts: Option<Vec<String>> = path.components().map(part).collect();
    let not_text =
        || CliError::Usage(format!("{}: a name is not text", PathBuf::from(path).display()));
    parts.map(|parts| parts.join("/")).ok_or_else(not_text)
}

/// What `.funcignore` names.
#[derive(Debug, Default)]
struct Ignored {
    /// Names of files and folders, at any depth.
    names: Vec<String>,
    /// Names of folders, at any depth.
    folders: Vec<String>,
    /// Ends of names.
    ends: Vec<String>,
}

impl Ignored {
    /// Reads the lines; gives back the first that is of another form.
    fn parse(text: &str) -> Result<Self, String> {
        let mut ignored = Self::default();
        for line in text.lines().map(str::trim).chain(NEVER) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (list, name) = match (line.strip_prefix('*'), line.strip_suffix('/')) {
                (Some(end), None) => (&mut ignored.ends, end),
                (None, Some(folder)) => (&mut ignored.folders, folder),
                (None, None) => (&mut ignored.names, line),
                (Some(_), Some(_)) => return Err(line.to_owned()),
            };
            if name.is_empty() || name.contains(['*', '?', '[', '!', '/', '\\']) {
                return Err(line.to_owned());
            }
            list.push(name.to_owned());
        }
        Ok(ignored)
    }

    fn has(&self, path: &str, is_folder: bool) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.names.iter().any(|one| one == name)
            || (is_folder && self.folders.iter().any(|one| one == name))
            || self.ends.iter().any(|end| name.ends_with(end.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_folders_and_ends_are_left_out() {
        let ignored = Ignored::parse("# settings\n\n.vscode/\n*.md\nnotes\n").unwrap();
        for (path, is_folder) in [
            (".vscode", true),
            ("a/README.md", false),
            ("notes", false),
            ("a/notes", true),
            ("local.settings.json", false),
            ("a/local.settings.json", false),
            (".env", false),
            (".funcignore", false),
            (".git", true),
        ] {
            assert!(ignored.has(path, is_folder), "{path}");
        }
        for path in ["host.json", "api/function.json", ".vscode", "notes.json", "md"] {
            assert!(!ignored.has(path, false), "{path}");
        }
        for other in ["!a", "a/b", "a*", "**/a", "*", "/", "*/", "a?", "[a]"] {
            assert_eq!(Ignored::parse(other).unwrap_err(), other);
        }
    }

    #[test]
    fn what_comes_with_the_program_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("functions");
        assert_eq!(AppRoot::embedded(), AppRoot::read(&folder).unwrap());
        let ignore = fs::read_to_string(folder.join(IGNORE_FILE)).unwrap();
        assert_eq!(EMBEDDED[0], (IGNORE_FILE, ignore.as_str()));
    }
}
