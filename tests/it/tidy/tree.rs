//! The files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// A text file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Its path from the root of the repository, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.extension() == "md"
    }

    /// Its name without folder and extension.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap();
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }

    fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust sources, documents, manifests and settings of the repository.
pub(crate) fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut files = Vec::new();
        walk(root(), &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        // A walk that finds nothing would let every check pass.
        assert!(files.iter().any(|file| file.path == "src/lib.rs"));
        assert!(files.iter().any(|file| file.path == "tests/it/tidy/tree.rs"));
        files
    })
}

/// The file at a path from the root.
pub(crate) fn file(path: &str) -> &'static File {
    let found = files().iter().find(|file| file.path == path);
    found.unwrap_or_else(|| panic!("{path} is missing"))
}

/// The Rust sources of the repository.
pub(crate) fn rust() -> impl Iterator<Item = &'static File> {
    files().iter().filter(|file| file.is_rust())
}

/// The documents of the repository.
pub(crate) fn markdown() -> impl Iterator<Item = &'static File> {
    files().iter().filter(|file| file.is_markdown())
}

fn walk(folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !is_foreign(&path) {
                walk(&path, files);
            }
        } else if is_checked(&path) {
            let relative = path.strip_prefix(root()).unwrap();
            let parts: Vec<_> = relative.iter().map(|part| part.to_str().unwrap()).collect();
            files.push(File { path: parts.join("/"), text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Folders whose content is not written by hand: the repository's own, build output, data folders.
fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().unwrap().to_str().unwrap();
    [".git", "target", "data", "node_modules"].contains(&name)
        || folder.join("CACHEDIR.TAG").exists()
        || folder.join("cosmos-local.json").exists()
}

fn is_checked(path: &PathBuf) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "md" | "toml" | "json" | "yml" | "yaml" | "bicep"))
        && fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

#[test]
fn a_file_knows_its_name() {
    let file = File::new("src/store/cosmos.rs", "");
    assert!(file.is_rust() && !file.is_markdown());
    assert_eq!(file.stem(), "cosmos");
    assert_eq!(File::new("Makefile", "").stem(), "Makefile");
}
