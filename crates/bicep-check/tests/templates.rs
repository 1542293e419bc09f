//! The deployment of this repository is clean, and errors that are put into it are found where they are.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that is surprised has failed")]

use std::{fs, path::Path};

use bicep_check::{Finding, Sources, Types, carried_types, check, parse};
use serde_json::{Map, Value};

/// An error to put in: the file, what is replaced, by what, where the finding must be (the first place of this
/// text behind the start of the change), and words of the message.
struct Seed {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    at: &'static str,
    says: &'static str,
}

const fn seed(
    name: &'static str,
    file: &'static str,
    [from, to]: [&'static str; 2],
    at: &'static str,
    says: &'static str,
) -> Seed {
    Seed { name, file, from, to, at, says }
}

const COSMOS: &str = "modules/cosmos.bicep";
const STORAGE: &str = "modules/storage.bicep";
const APPS: &str = "modules/container-apps.bicep";
const ALERTS: &str = "modules/alerts.bicep";
const MAIN: &str = "main.bicep";

const SEEDS: [Seed; 42] = [
    seed(
        "property misspelt",
        COSMOS,
        ["disableLocalAuth:", "disableLocalAuht:"],
        "disableLocalAuht",
        "no property",
    ),
    seed(
        "property misspelt in a loop's item",
        COSMOS,
        ["locationName: readRegion", "locationname: readRegion"],
        "locationname",
        "no property",
    ),
    seed(
        "property of a nested resource misspelt",
        COSMOS,
        ["kind: 'Hash'", "kinds: 'Hash'"],
        "kinds",
        "no property",
    ),
    seed(
        "property of a nested level two misspelt",
        STORAGE,
        ["publicAccess: 'None'", "publicAcces: 'None'"],
        "publicAcces",
        "no property",
    ),
    seed(
        "string for int",
        COSMOS,
        ["version: 2", "version: '2'"],
        "'2'",
        "must be int, not string",
    ),
    seed(
        "string for bool",
        COSMOS,
        ["disableLocalAuth: true", "disableLocalAuth: 'true'"],
        "'true'",
        "must be bool, not string",
    ),
    seed(
        "bool for string",
        APPS,
        ["transport: 'auto'", "transport: true"],
        "true",
        "must be string, not bool",
    ),
    seed(
        "int for string",
        APPS,
        ["concurrentRequests: '50'", "concurrentRequests: 50"],
        "50",
        "must be string, not int",
    ),
    seed(
        "array for object",
        "modules/registry.bicep",
        ["sku: {\n    name: 'Basic'\n  }", "sku: ['Basic']"],
        "['Basic']",
        "must be object, not array",
    ),
    seed(
        "parameter of the wrong type",
        APPS,
        ["maxReplicas: apiMaxReplicas", "maxReplicas: apiName"],
        "apiName",
        "must be int, not string",
    ),
    seed(
        "wrong word of a closed set",
        STORAGE,
        ["'StorageV2'", "'StorageV4'"],
        "'StorageV4'",
        "must be one of",
    ),
    seed(
        "wrong word in a branch",
        STORAGE,
        ["'Allow' : 'Deny'", "'Allow' : 'Forbid'"],
        "'Forbid'",
        "must be one of 'Allow', 'Deny'",
    ),
    seed(
        "wrong case of a word",
        COSMOS,
        ["type: 'Continuous'", "type: 'continuous'"],
        "'continuous'",
        "'Continuous'",
    ),
    seed(
        "number outside of its bounds",
        MAIN,
        ["param workerMaxReplicas int = 3", "param workerMaxReplicas int = true"],
        "true",
        "is int, and this is bool",
    ),
    seed(
        "read-only property",
        COSMOS,
        ["    minimalTlsVersion:", "    documentEndpoint: 'x'\n    minimalTlsVersion:"],
        "documentEndpoint",
        "read-only",
    ),
    seed(
        "required property missing",
        COSMOS,
        ["    databaseAccountOfferType: 'Standard'\n", ""],
        "{",
        "needs the property `databaseAccountOfferType`",
    ),
    seed(
        "required property of an item missing",
        ALERTS,
        ["          criterionType: 'StaticThresholdCriterion'\n", ""],
        "{",
        "needs the property `criterionType`",
    ),
    seed("name missing", STORAGE, ["  name: accountName\n", ""], "{", "needs the property `name`"),
    seed(
        "version that does not exist",
        COSMOS,
        [
            "'Microsoft.DocumentDB/databaseAccounts@2025-10-15'",
            "'Microsoft.DocumentDB/databaseAccounts@2025-10-16'",
        ],
        "'Microsoft.DocumentDB",
        "no version 2025-10-16",
    ),
    seed(
        "type that does not exist",
        STORAGE,
        ["'Microsoft.Storage/storageAccounts@", "'Microsoft.Storage/storageAccount@"],
        "'Microsoft.Storage/storageAccount@",
        "no type Microsoft.Storage/storageAccount",
    ),
    seed(
        "nested type that does not exist",
        STORAGE,
        ["packages 'containers'", "packages 'container'"],
        "'container'",
        "no type Microsoft.Storage/storageAccounts/blobServices/container ",
    ),
    seed(
        "child without parent",
        COSMOS,
        ["  parent: account\n  name: databaseName", "  name: databaseName"],
        "{",
        "needs a `parent`",
    ),
    seed(
        "wrong parent",
        "modules/network.bicep",
        ["parent: storageZone[index]", "parent: network"],
        "network",
        "must be of the type Microsoft.Network/privateDnsZones",
    ),
    seed(
        "brace missing",
        "modules/registry.bicep",
        ["  sku: {\n    name: 'Basic'\n  }", "  sku: {\n    name: 'Basic'\n"],
        "",
        "syntax",
    ),
    seed(
        "two properties on a line",
        STORAGE,
        ["  kind: 'StorageV2'\n", "  kind: 'StorageV2' "],
        "sku: {",
        "begin a new line",
    ),
    seed("value missing", STORAGE, ["kind: 'StorageV2'", "kind:"], "", "syntax"),
    seed(
        "part of the language that is not understood",
        STORAGE,
        ["var roles = [", "import { x } from 'y.bicep'\n\nvar roles = ["],
        "import",
        "not understood",
    ),
    seed(
        "existing with properties",
        "modules/cosmos-access.bicep",
        ["  name: accountName\n", "  name: accountName\n  kind: 'x'\n"],
        "kind",
        "existing",
    ),
    seed(
        "module file missing",
        MAIN,
        ["'modules/alerts.bicep'", "'modules/alarms.bicep'"],
        "'modules/alarms",
        "no file modules/alarms.bicep",
    ),
    seed(
        "module parameter missing",
        MAIN,
        ["    backupTier: backupTier\n    publicAccess", "    publicAccess"],
        "{",
        "modules/cosmos.bicep needs the parameter `backupTier`",
    ),
    seed(
        "module parameter unknown",
        MAIN,
        ["    email: alertEmail", "    mail: alertEmail"],
        "mail",
        "modules/alerts.bicep has no parameter `mail`",
    ),
    seed(
        "module parameter of the wrong type",
        MAIN,
        ["watchSilence: hasApps || functionApp", "watchSilence: alertEmail"],
        "alertEmail",
        "must be bool, not string",
    ),
    seed(
        "module parameter not allowed",
        MAIN,
        ["groupId: 'Sql'", "groupId: 'sql'"],
        "'sql'",
        "must be one of",
    ),
    seed(
        "output that a module does not have",
        MAIN,
        ["cosmos.outputs.endpoint\n", "cosmos.outputs.endpont\n"],
        "endpont",
        "no output `endpont`",
    ),
    seed(
        "property read that is not there",
        COSMOS,
        ["account.properties.documentEndpoint", "account.properties.documentEndpiont"],
        "documentEndpiont",
        "no property `documentEndpiont`",
    ),
    seed(
        "name that nothing declares",
        COSMOS,
        ["locationName: location", "locationName: locaton"],
        "locaton",
        "nothing is declared as `locaton`",
    ),
    seed(
        "function that does not exist",
        MAIN,
        ["uniqueString(resourceGroup()", "uniqueStrung(resourceGroup()"],
        "uniqueStrung",
        "no function `uniqueStrung`",
    ),
    seed(
        "nested resource that is not there",
        STORAGE,
        ["scope: account::blobs", "scope: account::blob"],
        "blob\n",
        "no nested resource",
    ),
    seed(
        "declared twice",
        COSMOS,
        ["var serverless = {", "var isServerless = {"],
        "isServerless",
        "declared twice",
    ),
    seed(
        "never used",
        STORAGE,
        ["var roles = [", "var spare = 1\n\nvar roles = ["],
        "spare",
        "never used",
    ),
    seed(
        "parameter without description",
        STORAGE,
        ["@description('Whether copies are spread over zones.')\n", ""],
        "zoneRedundant",
        "needs @description",
    ),
    seed(
        "output of another type",
        COSMOS,
        [
            "output endpoint string = account.properties.documentEndpoint",
            "output endpoint int = account.name",
        ],
        "account.name",
        "is int, and this is string",
    ),
];

fn deployment() -> Sources {
    Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bicep")).unwrap()
}

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// `line:column` of a byte.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, at - start + 1)
}

#[test]
fn the_deployment_is_clean() {
    let sources = deployment();
    let templates = sources.templates().count();
    assert!(templates >= 10, "{templates}");
    assert_eq!(lines(&check(&sources, &carried_types().unwrap())), Vec::<String>::new());
}

#[test]
fn seeded_errors_are_found_where_they_are() {
    let types = carried_types().unwrap();
    let wrong: Vec<String> = SEEDS.iter().filter_map(|seed| missed(seed, &types)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Why a seed was not found as it should be.
fn missed(seed: &Seed, types: &Types) -> Option<String> {
    let mut sources = deployment();
    let text = sources.get(seed.file).unwrap().to_owned();
    let Some(start) = text.find(seed.from) else {
        return Some(format!("{}: {} has no {:?}", seed.name, seed.file, seed.from));
    };
    let edited = text.replacen(seed.from, seed.to, 1);
    sources.set(seed.file, edited.as_str());
    let findings = check(&sources, types);
    let all = lines(&findings).join("\n");
    let is_it = |one: &&Finding| one.file == seed.file && one.message.contains(seed.says);
    let Some(found) = findings.iter().find(is_it) else {
        return Some(format!("{}: {:?} is not in\n{all}", seed.name, seed.says));
    };
    let found = (found.place.line, found.place.column);
    let is_there = match seed.at {
        "" => true,
        // The object in which something is missing: it begins before.
        "{" => edited[..start].match_indices('{').any(|(at, _)| place(&edited, at) == found),
        text => found == place(&edited, start + edited[start..].find(text).unwrap()),
    };
    (!is_there).then(|| format!("{}: {found:?} is the wrong place\n{all}", seed.name))
}

#[test]
fn errors_in_parameter_files_are_found() {
    let types = carried_types().unwrap();
    let check_edit = |file: &str, from: &str, to: &str| {
        let mut sources = deployment();
        let text = sources.get(file).unwrap().to_owned();
        assert!(text.contains(from), "{file} lacks {from}");
        sources.set(file, text.replacen(from, to, 1));
        lines(&check(&sources, &types)).join("\n")
    };
    let bicep = "main.prod.bicepparam";
    let json = "main.prod.parameters.json";
    for (file, from, to, says) in [
        (
            bicep,
            "param backupTier",
            "param backuptier",
            "main.prod.bicepparam:9:7: ./main.bicep has no parameter",
        ),
        (bicep, "= 'autoscale'", "= 'manual'", "must be one of"),
        (bicep, "= true", "= 'true'", "`privateNetworking` must be bool, not string"),
        (bicep, "param entraAudience", "// param", "needs the parameter `entraAudience`"),
        (bicep, "main.bicep'", "mein.bicep'", "there is no template ./mein.bicep"),
        (bicep, "= 4000", "= 400", "outside of its bounds"),
        (json, "\"backupTier\"", "\"backuptier\"", "main.bicep has no parameter `backuptier`"),
        (json, "\"autoscale\"", "\"manual\"", "must be one of"),
        (json, "\"value\": true", "\"value\": \"true\"", "must be bool, not string"),
        (json, "\"entraAudience\"", "\"x\"", "needs the parameter `entraAudience`"),
        (json, "\"parameters\": {", "\"parameters\": [", "syntax"),
        ("main.parameters.json", "\"location\"", "\"region\"", "main.parameters.json:"),
    ] {
        let found = check_edit(file, from, to);
        assert!(found.contains(says), "{file}: {from} -> {to}: {says:?} is not in\n{found}");
    }
}

#[test]
fn both_forms_of_parameters_are_equal() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bicep");
    for name in ["main.dev", "main.prod"] {
        let bicep = format!("{name}.bicepparam");
        let read = parse(&bicep, &fs::read_to_string(folder.join(&bicep)).unwrap()).unwrap();
        let given = |one: &bicep_check::template::Variable| {
            (one.name.text.clone(), serde_json::json!({ "value": one.value.literal().unwrap() }))
        };
        let given: Map<String, Value> = read.variables.iter().map(given).collect();
        let json = fs::read_to_string(folder.join(format!("{name}.parameters.json"))).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["parameters"], Value::Object(given), "{name}");
    }
}

#[test]
fn the_extract_has_no_more_than_is_used() {
    let sources = deployment();
    let mut used = Vec::new();
    for (path, text) in sources.templates() {
        let template = parse(path, text).unwrap();
        used.extend(
            template.placed().into_iter().map(|one| (one.full_type.to_lowercase(), one.version)),
        );
    }
    let types = carried_types().unwrap();
    for (name, version) in types.names() {
        assert!(
            used.contains(&(name.to_owned(), version.to_owned())),
            "{name}@{version} is not used"
        );
    }
}
