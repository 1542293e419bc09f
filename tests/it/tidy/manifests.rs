//! Dependencies: what the manifests have and what `docs/dependencies.md` says about them.

use super::{
    Findings, assert_found, assert_none,
    markdown::{code_words, table},
    tokens::tokens,
    tree::{self, File},
};

/// The packages of the workspace: name and folder.
const PACKAGES: [(&str, &str); 3] = [
    ("cosmos-event-store", ""),
    ("cosmos-local", "crates/cosmos-local/"),
    ("bicep-check", "crates/bicep-check/"),
];
/// The document.
const DOCUMENT: &str = "docs/dependencies.md";

/// The kind of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Program,
    Tests,
}

impl Kind {
    /// The heading in the document.
    fn heading(self, package: &str) -> String {
        match self {
            Self::Program => format!("## {package}"),
            Self::Tests => format!("### {package}: tests and benchmarks only"),
        }
    }
}

/// The direct dependencies of a manifest, in its order.
fn dependencies(manifest: &str) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    let mut section = None;
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap();
            // `[dependencies]`, `[dev-dependencies.x]`, `[target.'cfg(unix)'.dependencies]`.
            let (table, single) = match name.rsplit_once("dependencies.") {
                Some((before, single)) => (format!("{before}dependencies"), Some(single)),
                None => (name.to_owned(), None),
            };
            section = match table.rsplit('.').next() {
                _ if table.starts_with("workspace.") => None,
                Some("dependencies" | "build-dependencies") => Some(Kind::Program),
                Some("dev-dependencies") => Some(Kind::Tests),
                _ => None,
            };
            if let (Some(kind), Some(single)) = (section.take_if(|_| single.is_some()), single) {
                found.push((kind, single.to_owned()));
            }
        } else if let (Some(kind), Some((name, _))) = (section, line.split_once('='))
            && !line.starts_with('#')
        {
            let name = name.trim().split('.').next().unwrap();
            found.push((kind, name.trim_matches('"').to_owned()));
        }
    }
    found
}

fn check_documented(package: &str, manifest: &File, document: &File) -> Findings {
    let mut findings = Vec::new();
    let all = dependencies(&manifest.text);
    for kind in [Kind::Program, Kind::Tests] {
        let heading = kind.heading(package);
        let listed: Vec<&str> =
            table(document, &heading).iter().flat_map(|row| code_words(row[0])).collect();
        let wanted: Vec<&str> =
            all.iter().filter(|one| one.0 == kind).map(|one| one.1.as_str()).collect();
        for name in wanted.iter().filter(|name| !listed.contains(name)) {
            findings.push(format!(
                "{}: `{name}` is not below {heading:?} in {}: say what it is for",
                manifest.path, document.path
            ));
        }
        for name in listed.iter().filter(|name| !wanted.contains(name)) {
            findings.push(format!(
                "{}: `{name}` below {heading:?} is no such dependency in {}: remove the row",
                document.path, manifest.path
            ));
        }
    }
    findings
}

fn check_used(manifest: &File, sources: &[&File]) -> Findings {
    let mut findings = Vec::new();
    for (_, name) in dependencies(&manifest.text) {
        let word = name.replace('-', "_");
        let names = |file: &File| tokens(&file.text).iter().any(|token| token.text == word);
        if !sources.iter().any(|file| names(file)) {
            findings.push(format!("{}: no source names `{name}`: remove it", manifest.path));
        }
    }
    findings
}

fn check_no_sdk(manifest: &File) -> Findings {
    let sdk = dependencies(&manifest.text)
        .into_iter()
        .filter(|(kind, name)| *kind == Kind::Program && name.starts_with("azure_"));
    sdk.map(|(_, name)| format!("{}: `{name}`: the endpoint knows no SDK", manifest.path)).collect()
}

fn manifest(folder: &str) -> &'static File {
    tree::file(&format!("{folder}Cargo.toml"))
}

#[test]
fn every_dependency_has_its_reason() {
    let document = tree::file(DOCUMENT);
    let findings = PACKAGES
        .iter()
        .flat_map(|(name, folder)| check_documented(name, manifest(folder), document))
        .collect();
    assert_none("docs/dependencies.md differs from the manifests", &findings);
}

#[test]
fn differences_from_the_manifest_are_found() {
    let document = |program: &str, tests: &str| {
        let text = format!(
            "## p\n\n| d | for |\n|---|---|\n{program}\n\
             ### p: tests and benchmarks only\n\n| d | for |\n|---|---|\n{tests}\n"
        );
        File::new("d.md", &text)
    };
    let manifest =
        File::new("Cargo.toml", "[dependencies]\na = \"1\"\n[dev-dependencies]\nb = \"1\"");
    let (a, b) = ("| `a` | x |", "| `b` | x |");
    assert_eq!(check_documented("p", &manifest, &document(a, b)), Findings::new());
    assert_found(&check_documented("p", &manifest, &document("", b)), &["Cargo.toml: `a`"]);
    let more = "| `a` | x |\n| `c` | x |";
    assert_found(&check_documented("p", &manifest, &document(more, b)), &["d.md: `c`", "remove"]);
    assert_eq!(check_documented("p", &manifest, &document(b, a)).len(), 4, "kinds are told apart");
}

#[test]
fn manifests_are_read() {
    let manifest = "[package]\nname = \"p\"\n[dependencies]\n# c = \"1\"\na = { version = \"1\" }\n\
                    a-b.workspace = true\n[dependencies.d]\nversion = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\ne = \"1\"\n[dev-dependencies]\nf = \"1\"\n\
                    [lints]\nworkspace = true\n[workspace.dependencies]\ng = \"1\"\n";
    let program: Vec<_> = dependencies(manifest)
        .into_iter()
        .map(|(kind, name)| (kind == Kind::Tests, name))
        .collect();
    let named = |names: &[(bool, &str)]| {
        names.iter().map(|(tests, name)| (*tests, (*name).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(
        program,
        named(&[(false, "a"), (false, "a-b"), (false, "d"), (false, "e"), (true, "f")])
    );
}

#[test]
fn every_dependency_is_used() {
    let mut findings = Findings::new();
    for (_, folder) in PACKAGES {
        let is_own = |file: &&File| match folder {
            "" => !file.path.starts_with("crates/"),
            folder => file.path.starts_with(folder),
        };
        let sources: Vec<&File> = tree::rust().filter(is_own).collect();
        findings.extend(check_used(manifest(folder), &sources));
    }
    assert_none("a dependency is not used", &findings);
}

#[test]
fn an_unused_dependency_is_found() {
    let manifest = File::new("Cargo.toml", "[dependencies]\na-b = \"1\"");
    let source = |text: &str| File::new("src/lib.rs", text);
    assert_eq!(check_used(&manifest, &[&source("use a_b::c;")]), Findings::new());
    assert_found(&check_used(&manifest, &[&source("// a_b\nuse a_bc;")]), &["`a-b`", "remove"]);
}

#[test]
fn the_local_endpoint_knows_no_sdk() {
    let (_, folder) = PACKAGES[1];
    assert_none("the local endpoint depends on an SDK", &check_no_sdk(manifest(folder)));
}

#[test]
fn every_package_is_checked() {
    let members = |line: &&str| line.starts_with("members = [");
    let workspace = &manifest("").text;
    let members = workspace.lines().find(members).unwrap();
    let listed: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    for (_, folder) in PACKAGES.iter().filter(|(_, folder)| !folder.is_empty()) {
        assert!(listed.contains(&folder.trim_end_matches('/')), "{folder} is no member");
    }
    assert_eq!(listed.len() + 1, PACKAGES.len(), "add each member of the workspace to PACKAGES");
}

#[test]
fn tools_of_the_tests_are_not_shipped() {
    for (name, folder) in PACKAGES {
        let shipped = (Kind::Program, "bicep-check".to_owned());
        assert!(!dependencies(&manifest(folder).text).contains(&shipped), "{name}");
    }
    assert!(manifest(PACKAGES[2].1).text.contains("publish = false"));
}

#[test]
fn an_sdk_in_the_local_endpoint_is_found() {
    let manifest = |section: &str| {
        File::new("Cargo.toml", &format!("[{section}]\nazure_data_cosmos_driver = \"1\""))
    };
    assert_found(&check_no_sdk(&manifest("dependencies")), &["azure_data_cosmos_driver"]);
    assert_eq!(check_no_sdk(&manifest("dev-dependencies")), Findings::new());
}
