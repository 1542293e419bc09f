//! The program: checks of a folder, and the making of an extract.
#![allow(clippy::unwrap_used, reason = "a test that is surprised has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use bicep_check::{Sources, Types, TypesError, check, extract};
use serde_json::json;

fn run(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bicep-check")).args(arguments).output().unwrap()
}

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_program_says_what_is_wrong_and_fails() {
    let clean = run(&[&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bicep")]);
    assert!(clean.status.success());
    assert!(String::from_utf8(clean.stdout).unwrap().contains("nothing found"));
    let bad = folder("bad");
    fs::write(bad.join("main.bicep"), "output x string = y\n").unwrap();
    let bad = run(&[&bad]);
    assert!(!bad.status.success());
    let said = String::from_utf8(bad.stderr).unwrap();
    assert_eq!(said, "main.bicep:1:19: nothing is declared as `y`\n");
    assert!(!run(&[&folder("bad").join("nothing-here")]).status.success());
    assert!(!run(&[]).status.success());
}

/// A checkout with two versions of one type, and a property that no template uses.
fn checkout(name: &str) -> PathBuf {
    let checkout = folder(name);
    let reference = |index: usize| json!({ "$ref": format!("#/{index}") });
    let property = |index: usize, flags: u32| json!({ "type": reference(index), "flags": flags, "description": "x" });
    for version in ["2024-01-01", "2025-01-01"] {
        let types = json!([
            { "$type": "StringType", "minLength": 2 },
            { "$type": "ObjectType", "name": "Unused", "properties": {} },
            { "$type": "ObjectType", "name": "Settings", "properties": {
                "word": property(0, 1), "unused": property(1, 0), "itself": property(2, 0),
            } },
            { "$type": "ObjectType", "name": "N.Thing/things", "properties": {
                "name": property(0, 9), "properties": property(2, 0),
            } },
            { "$type": "ResourceType", "name": format!("N.Thing/things@{version}"), "body": reference(3),
              "readableScopes": 8, "writableScopes": 8 },
            { "$type": "ResourceFunctionType", "name": "listKeys", "output": reference(0) },
        ]);
        let place = checkout.join("generated/thing/n.thing").join(version);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("types.json"), types.to_string()).unwrap();
    }
    checkout
}

fn template(version: &str, properties: &str) -> Sources {
    let mut sources = Sources::default();
    let text = format!(
        "resource one 'N.Thing/things@{version}' = {{\n  name: 'one'\n  properties: {{\n    {properties}\n  }}\n}}\n"
    );
    sources.set("main.bicep", text);
    sources
}

#[test]
fn an_extract_has_what_templates_use() {
    let (checkout, to) = (checkout("checkout"), folder("extract"));
    let sources = template("2025-01-01", "word: 'ab'");
    let written = extract(&checkout, &sources, &to).unwrap();
    assert_eq!(written, ["thing.n.thing@2025-01-01.json"]);
    let types = Types::read(&to).unwrap();
    assert_eq!(types.names().collect::<Vec<_>>(), [("n.thing/things", "2025-01-01")]);
    let found = |properties: &str| -> Vec<String> {
        let sources = template("2025-01-01", properties);
        check(&sources, &types).iter().map(ToString::to_string).collect()
    };
    assert_eq!(found("word: 'ab'"), Vec::<String>::new());
    assert_eq!(
        found("word: 'a'"),
        ["main.bicep:4:11: `word` has 1 characters: 2 to any number of are allowed"]
    );
    assert_eq!(
        found("word: 'ab'\n    wurd: 1"),
        ["main.bicep:5:5: Settings has no property `wurd`"]
    );
    // A type that was left out is not taken for one that accepts anything.
    let left_out = found("word: 'ab'\n    unused: {}");
    assert!(
        left_out.len() == 1 && left_out[0].contains("run `bicep-check extract` again"),
        "{left_out:?}"
    );
    let text = fs::read_to_string(to.join(&written[0])).unwrap();
    assert!(
        !text.contains("description") && !text.contains("listKeys") && !text.contains("Unused")
    );
}

#[test]
fn an_extract_of_what_is_not_there_fails() {
    let (checkout, to) = (checkout("other-checkout"), folder("nothing"));
    let error = extract(&checkout, &template("2026-01-01", "word: 'ab'"), &to).unwrap_err();
    assert!(
        matches!(&error, TypesError::NoSuchType { resource, .. } if resource == "n.thing/things@2026-01-01")
    );
}
