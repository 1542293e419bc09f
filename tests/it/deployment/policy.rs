//! What a deployment must never be, whatever its parameters are.

use std::collections::BTreeSet;

use bicep_check::template::{Expression, Kind, Module};
use serde_json::json;

use super::{literal, made, made_of, sources, templates, value};

const ACCOUNT: &str = "Microsoft.DocumentDB/databaseAccounts";
const ROLE: &str = "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments";
const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
const DIAGNOSTICS: &str = "Microsoft.Insights/diagnosticSettings";
/// Types of which every resource has a diagnostic setting.
const WATCHED: [&str; 7] = [
    ACCOUNT,
    "Microsoft.App/managedEnvironments",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.Network/virtualNetworks",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Web/sites",
];

#[test]
fn the_account_takes_no_keys_and_has_one_writer() {
    let accounts = made_of(ACCOUNT);
    assert_eq!(accounts.len(), 1);
    let (_, account) = &accounts[0];
    for (path, wanted) in [
        (["properties", "disableLocalAuth"].as_slice(), json!(true)),
        (&["properties", "disableKeyBasedMetadataWriteAccess"], json!(true)),
        (&["properties", "enableMultipleWriteLocations"], json!(false)),
        (&["properties", "minimalTlsVersion"], json!("Tls12")),
        (&["properties", "consistencyPolicy", "defaultConsistencyLevel"], json!("Session")),
        (&["properties", "backupPolicy", "type"], json!("Continuous")),
    ] {
        assert_eq!(literal(account, path), Some(wanted), "{path:?}");
    }
    let text = sources().iter().map(|(_, text)| text.to_owned()).collect::<String>();
    assert!(!text.contains("enableMultipleWriteLocations: true"));
}

#[test]
fn passwords_and_public_data_are_off() {
    for (of, path, wanted) in [
        ("Microsoft.Storage/storageAccounts", "allowSharedKeyAccess", false),
        ("Microsoft.Storage/storageAccounts", "allowBlobPublicAccess", false),
        ("Microsoft.ContainerRegistry/registries", "adminUserEnabled", false),
        ("Microsoft.Insights/components", "DisableLocalAuth", true),
        ("Microsoft.Web/sites", "httpsOnly", true),
        ("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "allow", false),
    ] {
        for (file, resource) in made_of(of) {
            assert_eq!(
                literal(&resource, &["properties", path]),
                Some(json!(wanted)),
                "{file}: {path}"
            );
        }
    }
}

#[test]
fn nobody_reads_keys() {
    for (path, text) in sources().iter() {
        for word in [
            "listKeys",
            "listConnectionStrings",
            "listSecrets",
            "AccountKey",
            "sharedKey",
            "SharedKey:",
        ] {
            let line = text.lines().position(|line| line.contains(word));
            assert_eq!(line, None, "bicep/{path} has {word:?}: use the identity");
        }
    }
}

/// The symbols of identities that an expression names.
fn identities(expression: &Expression, symbols: &[&str], found: &mut BTreeSet<String>) {
    match &expression.kind {
        Kind::Name(name) if symbols.contains(&name.as_str()) => {
            found.insert(name.clone());
        }
        Kind::Member(of, _) => identities(of, symbols, found),
        _ => {}
    }
}

/// The identities that a module is given by one of these parameters.
fn given(module: &Module, parameters: &[&str], symbols: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in parameters {
        if let Some(value) = module.body.value.at(&["params", name]) {
            identities(value, symbols, &mut found);
        }
    }
    found
}

#[test]
fn every_identity_may_use_the_database_and_no_more() {
    let main = &templates()["main.bicep"];
    let placed = main.placed();
    let symbols: Vec<&str> = placed
        .iter()
        .filter(|one| one.full_type == IDENTITY)
        .map(|one| one.resource.symbol.text.as_str())
        .collect();
    assert!(!symbols.is_empty());
    let modules = |path: &'static str| main.modules.iter().filter(move |one| one.path.text == path);
    let admitted: BTreeSet<String> = modules("modules/cosmos-access.bicep")
        .flat_map(|module| given(module, &["principalId"], &symbols))
        .collect();
    // Whoever runs as an identity is given its resource id.
    let running: BTreeSet<String> =
        main.modules.iter().flat_map(|module| given(module, &["identityId"], &symbols)).collect();
    assert_eq!(running, symbols.iter().map(|one| (*one).to_owned()).collect(), "unused identities");
    assert_eq!(admitted, running, "identities and data-plane role assignments differ");
    // The function app and the registry need roles of their own.
    for (path, parameter) in [
        ("modules/registry.bicep", "pullPrincipalId"),
        ("modules/storage.bicep", "principalId"),
        ("modules/function-app.bicep", "principalId"),
    ] {
        for module in modules(path) {
            assert_eq!(given(module, &[parameter], &symbols).len(), 1, "{path}");
        }
    }
}

#[test]
fn data_roles_are_for_one_database() {
    let text = sources().get("modules/cosmos-access.bicep").unwrap().to_owned();
    assert_eq!(made_of(ROLE).len(), 1, "one module assigns data-plane roles");
    assert!(text.contains("scope: '${account.id}/dbs/${databaseName}'"));
    let role = &templates()["modules/cosmos-access.bicep"].variables[0].value;
    assert_eq!(role.literal(), Some(json!("00000000-0000-0000-0000-000000000002")));
}

#[test]
fn everything_that_can_be_watched_is() {
    for kind in WATCHED {
        for (file, watched) in made_of(kind) {
            let symbol = &watched.resource.symbol.text;
            let is_for_it =
                |placed: &bicep_check::template::Placed<'_>| match value(placed, &["scope"])
                    .map(|scope| &scope.kind)
                {
                    Some(
                        Kind::Name(name)
                        | Kind::Nested(_, bicep_check::template::Name { text: name, .. }),
                    ) => name == symbol,
                    _ => false,
                };
            let settings = made_of(DIAGNOSTICS);
            let is_watched = settings.iter().any(|(path, one)| *path == file && is_for_it(one));
            assert!(is_watched, "bicep/{file}: {symbol} has no diagnostic setting");
        }
    }
}

#[test]
fn alerts_are_for_what_hurts() {
    let template = &templates()["modules/alerts.bicep"];
    let lines = template.variables.iter().find(|one| one.name.text == "lagLines").unwrap();
    let lines = lines.value.literal().unwrap().to_string();
    // The log line and its fields: the query cannot be run here.
    for word in
        ["feed lag", "cosmos_event_store::lag", "processor", "lag_seconds", "parked", "stalled"]
    {
        assert!(lines.contains(word), "the query of the log lines lacks {word:?}");
    }
    let metrics = made_of("Microsoft.Insights/metricAlerts");
    let Kind::Array(criteria) =
        &value(&metrics[0].1, &["properties", "criteria", "allOf"]).unwrap().kind
    else {
        panic!("no criteria")
    };
    assert_eq!(criteria[0].get("metricName").unwrap().literal(), Some(json!("TotalRequests")));
    let dimensions = criteria[0].get("dimensions").unwrap().literal().unwrap();
    assert_eq!(dimensions[0]["name"], "StatusCode");
    assert_eq!(dimensions[0]["values"], json!(["429"]));
    let rules = made().into_iter().filter(|(_, one)| {
        ["Microsoft.Insights/scheduledQueryRules", "Microsoft.Insights/metricAlerts"]
            .contains(&one.full_type.as_str())
    });
    for (_, rule) in rules {
        assert_eq!(literal(&rule, &["properties", "enabled"]), Some(json!(true)));
        assert!(value(&rule, &["properties", "actions"]).is_some());
    }
}

#[test]
fn everything_carries_the_tags() {
    // Types that have none, and those that take them from where they stand.
    let without = |of: &str| {
        of.matches('/').count() > 1
            || [DIAGNOSTICS, "Microsoft.Authorization/roleAssignments"].contains(&of)
    };
    for (file, resource) in made().into_iter().filter(|(_, one)| !without(&one.full_type)) {
        let symbol = &resource.resource.symbol.text;
        assert!(value(&resource, &["tags"]).is_some(), "bicep/{file}: {symbol} has no tags");
    }
}
