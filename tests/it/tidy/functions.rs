//! The app root and the settings beside it: what the program, the host and people rely on.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use cosmos_event_store::http::functions::Function;
use serde_json::Value;

use super::{
    Findings, assert_found, assert_none,
    tree::{self, File},
};
use crate::{cli::program::Place, tools};

/// The settings for a machine of one's own.
const SETTINGS: &str = "local.settings.json";
/// What is run in place of Core Tools: says where it is, what it is given, and where the program is. Not a shell,
/// which would drop names with dots.
const FUNC: &str = "#!/usr/bin/env python3
import os, shutil
print(os.getcwd())
for name, value in os.environ.items(): print(f'{name}={value}', end='\\0')
print(shutil.which('cosmos-es'))
";
/// How a connection string begins the key of an account.
const KEY: &str = "AccountKey=";

fn json(file: &File) -> Value {
    serde_json::from_str(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path))
}

/// The folders of the app root that have a function.
fn folders() -> BTreeSet<&'static str> {
    let name =
        |file: &'static File| file.path.strip_prefix("functions/")?.strip_suffix("/function.json");
    tree::files().iter().filter_map(name).collect()
}

/// Values that are of an account in Azure, or might be.
fn check_settings(file: &File) -> Findings {
    let settings = json(file);
    let mut findings = Findings::new();
    for (name, value) in settings["Values"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let key = match value.split_once(KEY) {
            Some((_, key)) => key.split(';').next(),
            None if name.to_ascii_lowercase().ends_with("key") => Some(value),
            None => None,
        };
        if key.is_some_and(|key| key != cosmos_local::EMULATOR_KEY) {
            findings.push(format!(
                "{}: {name} has a key that is not the emulator's: replace the account's key, this one is \
                 known now",
                file.path
            ));
        }
        let address = value.split("://").nth(1);
        if address.is_some_and(|address| !address.starts_with("127.0.0.1:")) {
            findings
                .push(format!("{}: {name} is elsewhere: only this machine may be here", file.path));
        }
    }
    if settings["Values"]["FUNCTIONS_WORKER_RUNTIME"] != "Custom" {
        findings.push(format!("{}: FUNCTIONS_WORKER_RUNTIME must be Custom", file.path));
    }
    findings
}

#[test]
fn every_function_has_a_handler_and_a_folder() {
    let handlers: BTreeSet<&str> = Function::ALL.into_iter().map(Function::name).collect();
    assert_eq!(folders(), handlers);
}

#[test]
fn settings_are_those_of_the_emulator() {
    assert_none("a setting of an account", &check_settings(tree::file(SETTINGS)));
    let strays =
        tree::files().iter().filter(|file| file.path.ends_with(SETTINGS) && file.path != SETTINGS);
    assert_eq!(strays.count(), 0, "settings are at the root, where no package is made of them");
}

#[test]
fn settings_of_an_account_are_found() {
    let check = |name: &str, value: &str| {
        let text = format!(
            "{{\"Values\":{{\"FUNCTIONS_WORKER_RUNTIME\":\"Custom\",\"{name}\":\"{value}\"}}}}"
        );
        check_settings(&File::new(SETTINGS, &text))
    };
    assert_found(&check("CosmosEvents", "AccountKey=secret;"), &["CosmosEvents", "emulator"]);
    assert_found(&check("COSMOS_ES_KEY", "secret"), &["COSMOS_ES_KEY", "emulator"]);
    assert_found(&check("COSMOS_ES_ENDPOINT", "https://a.documents.azure.com"), &["elsewhere"]);
    assert_eq!(check("PUMP_SCHEDULE", "0 * * * * *"), Findings::new());
    let dotnet = File::new(SETTINGS, "{\"Values\":{\"FUNCTIONS_WORKER_RUNTIME\":\"dotnet\"}}");
    assert_found(&check_settings(&dotnet), &["Custom"]);
}

#[test]
fn every_setting_that_a_function_needs_has_a_value_and_is_documented() {
    let settings = json(tree::file(SETTINGS));
    let document = &tree::file("docs/functions.md").text;
    let mut named = 0;
    for folder in folders() {
        let file = tree::file(&format!("functions/{folder}/function.json"));
        for name in file.text.split('%').skip(1).step_by(2) {
            named += 1;
            assert!(settings["Values"][name].is_string(), "{}: {SETTINGS} lacks {name}", file.path);
            assert!(document.contains(&format!("`{name}`")), "docs/functions.md lacks {name}");
        }
    }
    assert_eq!(named, 3, "two schedules and the database");
}

#[test]
fn the_script_hands_the_settings_over() {
    if !tools::are_there(&["python3"], "scripts/functions-local") {
        return;
    }
    let place = Place::new();
    let func = place.file("func", FUNC);
    fs::set_permissions(&func, fs::Permissions::from_mode(0o755)).unwrap();
    place.file("cosmos-es", "");
    fs::set_permissions(place.path("cosmos-es"), fs::Permissions::from_mode(0o755)).unwrap();
    let folder = place.path("");
    let ran = Command::new(tree::root().join("scripts/functions-local"))
        .arg(&folder)
        .env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{said}");
    assert!(said.lines().next().unwrap().ends_with("/functions"), "{said}");
    for (name, value) in json(tree::file(SETTINGS))["Values"].as_object().unwrap() {
        let setting = format!("{name}={}\0", value.as_str().unwrap());
        assert!(said.contains(&setting), "{name}");
    }
    assert!(said.ends_with("cosmos-es\n"), "the program is found: {said}");
}
