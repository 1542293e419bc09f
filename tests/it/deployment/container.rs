//! The image: what can be said of it without building it. No container engine is needed, and none was ever used.

use std::{collections::BTreeMap, time::Duration};

use cosmos_event_store::http::limits::DRAIN_TIME_MAX;

use super::{literal, made_of};
use crate::tidy::tree;

fn read(path: &str) -> String {
    std::fs::read_to_string(tree::root().join(path)).unwrap()
}

/// The path that a source means by one relative to itself.
fn beside(source: &str, target: &str) -> String {
    let mut parts: Vec<&str> = source.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// How long a worker may take to finish what it has begun, after the requests have ended.
const WORKER_TIME_MAX: Duration = Duration::from_secs(10);

/// The instructions of the `Containerfile`, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = read("Containerfile").replace("\\\n", " ");
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &str| {
        let (name, rest) = line.split_once(' ').expect("an instruction has an argument");
        (name.to_owned(), rest.trim().to_owned())
    };
    lines.map(split).collect()
}

/// Those of the image that is shipped, by name.
fn shipped() -> BTreeMap<String, String> {
    let all = instructions();
    let last = all.iter().rposition(|(name, _)| name == "FROM").expect("there is an image");
    all[last..].iter().cloned().collect()
}

#[test]
fn the_image_has_no_rights_and_no_shell() {
    let image = shipped();
    assert!(image["FROM"].starts_with("gcr.io/distroless/") && image["FROM"].ends_with(":nonroot"));
    let (user, group) = image["USER"].split_once(':').unwrap();
    for number in [user, group] {
        assert!(number.parse::<u32>().unwrap() > 0, "by number, so that platforms can see it");
    }
    // What it runs it cannot change.
    assert!(image["COPY"].contains("--chown=0:0") && image["COPY"].contains("--chmod=0755"));
    assert!(
        !image.contains_key("RUN") && !image.contains_key("ENV"),
        "no step and no setting of its own"
    );
    assert_eq!(image["STOPSIGNAL"], "SIGTERM");
    // In the form without a shell, which the image has not.
    assert_eq!(image["ENTRYPOINT"], "[\"/usr/local/bin/cosmos-es\"]");
    assert_eq!(image["CMD"], "[\"serve\"]");
}

#[test]
fn the_image_is_built_as_the_project_says() {
    let all = instructions();
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    let version = version.trim_matches('"');
    assert!(all[0].1.contains(&format!("/rust:{version}-")), "{} for Rust {version}", all[0].1);
    let build = &all.iter().find(|(name, _)| name == "RUN").unwrap().1;
    for part in ["--release", "--locked", "--features otlp", "--bin cosmos-es"] {
        assert!(build.contains(part), "{build}");
    }
}

#[test]
fn the_ports_are_those_of_the_deployment() {
    let image = shipped();
    let exposed: Vec<u16> = image["EXPOSE"].split(' ').map(|port| port.parse().unwrap()).collect();
    assert_eq!(exposed, [8080, 9464]);
    // The deployment names the same ones: see `settings`.
}

#[test]
fn whoever_is_told_to_end_has_ended_before_the_platform_kills() {
    for (file, app) in made_of("Microsoft.App/containerApps") {
        let grace = literal(&app, &["properties", "template", "terminationGracePeriodSeconds"]);
        let grace = Duration::from_secs(grace.unwrap().as_u64().unwrap());
        assert!(grace > DRAIN_TIME_MAX + WORKER_TIME_MAX, "{file}");
    }
    // What platforms grant that are not told anything (Kubernetes, Container Apps): 30 seconds.
    assert!(Duration::from_secs(30) > DRAIN_TIME_MAX + WORKER_TIME_MAX);
}

/// What the build reads is in its context: everything else is left out.
#[test]
fn the_context_has_what_the_build_reads() {
    let ignore = read(".dockerignore");
    assert_eq!(ignore.lines().find(|line| !line.starts_with('#')), Some("*"));
    let kept: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let is_kept = |path: &str| kept.contains(&path.split('/').next().unwrap());
    for path in ["Cargo.toml", "Cargo.lock", "src", "crates"] {
        assert!(is_kept(path), "{path}");
    }
    let manifest = read("Cargo.toml");
    for path in manifest.lines().filter_map(|line| line.split_once("path = \"")) {
        let path = path.1.split('"').next().unwrap();
        assert!(is_kept(path), "{path} of Cargo.toml");
    }
    let (mut found, mut files) = (0, 0);
    for file in tree::rust().filter(|file| file.path.starts_with("src/")) {
        files += 1;
        for (_, rest) in file
            .text
            .match_indices("include_str!(\"")
            .map(|(at, it)| file.text.split_at(at + it.len()))
        {
            let target = rest.split('"').next().unwrap();
            let path = beside(&file.path, target);
            let is_of_tests = file.path.contains("tests") || path.starts_with("tests/");
            assert!(is_of_tests || is_kept(&path), "{} reads {path}", file.path);
            found += 1;
        }
    }
    assert!(files > 100 && found > 5, "{files} files, {found} inclusions");
}
