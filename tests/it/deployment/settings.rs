//! The settings that the deployment gives to the programs, and how it starts them.

use std::collections::{BTreeMap, BTreeSet};

use bicep_check::template::{Expression, Kind};
use cosmos_event_store::projection::{Views, generic::StreamSummary, processor_name};
use serde_json::json;

use super::{literal, made_of, templates, value};

/// Those without which no program can work on Azure.
const NEEDED: [&str; 5] = [
    "COSMOS_ES_ENDPOINT",
    "COSMOS_ES_DATABASE",
    "COSMOS_ES_REGION",
    "COSMOS_ES_CREDENTIAL",
    "COSMOS_ES_CLIENT_ID",
];
const APPS: &str = "modules/container-apps.bicep";
const FUNCTIONS: &str = "modules/function-app.bicep";

/// The entries `{ name, value }` of lists, through variables, `concat` and branches.
fn entries<'t>(file: &str, list: &'t Expression, found: &mut BTreeMap<String, &'t Expression>) {
    match &list.kind {
        Kind::Array(items) => {
            for item in items {
                let name = item.get("name").unwrap().literal().unwrap();
                let value = item.get("value").or_else(|| item.get("secretRef")).unwrap();
                let before = found.insert(name.as_str().unwrap().to_owned(), value);
                assert!(before.is_none(), "{file}: {name} is given twice");
            }
        }
        Kind::Call(_, parts) => parts.iter().for_each(|part| entries(file, part, found)),
        Kind::Choice(three) => three.iter().skip(1).for_each(|part| entries(file, part, found)),
        Kind::Name(name) => {
            let variables: &'static Vec<_> = &templates()[file].variables;
            let variable = variables.iter().find(|one| one.name.text == *name).unwrap();
            entries(file, &variable.value, found);
        }
        other => panic!("{file}: {other:?} is no list of settings"),
    }
}

/// The settings of each program, by its symbol.
fn settings() -> BTreeMap<String, BTreeMap<String, &'static Expression>> {
    let mut all = BTreeMap::new();
    for (file, app) in made_of("Microsoft.App/containerApps") {
        let Some(Kind::Array(containers)) =
            value(&app, &["properties", "template", "containers"]).map(|one| &one.kind)
        else {
            panic!("{file}: no containers")
        };
        let mut found = BTreeMap::new();
        entries(file, containers[0].get("env").unwrap(), &mut found);
        all.insert(app.resource.symbol.text.clone(), found);
    }
    for (file, app) in made_of("Microsoft.Web/sites") {
        let mut found = BTreeMap::new();
        entries(
            file,
            value(&app, &["properties", "siteConfig", "appSettings"]).unwrap(),
            &mut found,
        );
        all.insert("functions".to_owned(), found);
    }
    assert_eq!(all.keys().collect::<Vec<_>>(), ["api", "functions", "worker"]);
    all
}

fn text(settings: &BTreeMap<String, &Expression>, name: &str) -> Option<String> {
    Some(settings.get(name)?.literal()?.as_str()?.to_owned())
}

#[test]
fn only_known_settings_are_given() {
    let known = cosmos_event_store::cli::variables();
    for (program, settings) in settings() {
        let ours: BTreeSet<&str> = settings
            .keys()
            .map(String::as_str)
            .filter(|name| name.starts_with("COSMOS_ES_"))
            .collect();
        for name in &ours {
            assert!(
                known.contains(*name),
                "{program}: {name} is no setting: it would refuse to start"
            );
        }
        for name in NEEDED {
            assert!(ours.contains(name), "{program}: {name} is missing");
        }
        assert!(!ours.contains("COSMOS_ES_KEY"), "{program}: no keys");
        let credential = text(&settings, "COSMOS_ES_CREDENTIAL");
        assert_eq!(credential.as_deref(), Some("managed-identity"), "{program}");
        assert_eq!(text(&settings, "COSMOS_ES_LOG_FORMAT").as_deref(), Some("json"), "{program}");
        // The alerts read lines of the level info, which are not logged without it.
        assert_eq!(text(&settings, "COSMOS_ES_VERBOSE").as_deref(), Some("1"), "{program}");
    }
}

#[test]
fn what_is_open_to_the_world_asks_who_is_there() {
    let settings = settings();
    for program in ["api", "functions", "worker"] {
        for name in ["COSMOS_ES_ACCESS", "COSMOS_ES_ENTRA_TENANT", "COSMOS_ES_ENTRA_AUDIENCE"] {
            assert!(settings[program].contains_key(name), "{program}: {name} is missing");
        }
    }
    for program in ["api", "functions"] {
        assert!(settings[program].contains_key("COSMOS_ES_HOSTS"), "{program}");
    }
    assert_eq!(text(&settings["worker"], "COSMOS_ES_ACCESS").as_deref(), Some("entra"));
    let Kind::Choice(access) = &settings["api"]["COSMOS_ES_ACCESS"].kind else {
        panic!("no choice")
    };
    assert_eq!(access[1].literal(), Some(json!("entra")));
    assert_eq!(access[2].literal(), Some(json!("keys,entra")));
    assert_eq!(text(&settings["functions"], "COSMOS_ES_ACCESS").as_deref(), Some("entra"));
    // The platform says where a custom handler listens.
    assert!(!settings["functions"].contains_key("COSMOS_ES_LISTEN"));
}

/// The ports of the probes and of the ingress are those on which the programs listen.
#[test]
fn programs_are_started_and_asked_as_they_listen() {
    let settings = settings();
    for (program, argument, listen, port) in [
        ("api", "serve", "COSMOS_ES_LISTEN", 8080),
        ("worker", "worker", "COSMOS_ES_WORKER_METRICS", 9464),
    ] {
        let apps = made_of("Microsoft.App/containerApps");
        let (_, app) = apps.iter().find(|(_, one)| one.resource.symbol.text == program).unwrap();
        assert_eq!(text(&settings[program], listen), Some(format!("0.0.0.0:{port}")));
        let template = ["properties", "template"];
        let Kind::Array(containers) =
            &value(app, &[template[0], template[1], "containers"]).unwrap().kind
        else {
            panic!("{program}: no containers")
        };
        let container = &containers[0];
        assert_eq!(container.get("args").unwrap().literal(), Some(json!([argument])));
        let Kind::Array(probes) = &container.get("probes").unwrap().kind else {
            panic!("no probes")
        };
        let of = |probe: &Expression, path: &[&str]| probe.at(path).unwrap().literal().unwrap();
        let mut paths = BTreeMap::new();
        for probe in probes {
            assert_eq!(of(probe, &["httpGet", "port"]), json!(port), "{program}");
            let kind = of(probe, &["type"]).as_str().unwrap().to_owned();
            paths.insert(kind, of(probe, &["httpGet", "path"]).as_str().unwrap().to_owned());
        }
        let wanted = [("Liveness", "/healthz"), ("Readiness", "/readyz"), ("Startup", "/healthz")];
        assert_eq!(paths, wanted.map(|(kind, path)| (kind.to_owned(), path.to_owned())).into());
        let grace = literal(app, &[template[0], template[1], "terminationGracePeriodSeconds"]);
        assert!((30..=600).contains(&grace.unwrap().as_i64().unwrap()), "{program}");
        let ingress = value(app, &["properties", "configuration", "ingress"]);
        assert_eq!(ingress.is_some(), program == "api", "{program}");
        if let Some(ingress) = ingress {
            assert_eq!(ingress.get("targetPort").unwrap().literal(), Some(json!(port)));
            assert_eq!(ingress.get("allowInsecure").unwrap().literal(), Some(json!(false)));
        }
    }
}

/// The processor that is asked for its lag is one that workers have by default.
#[test]
fn workers_scale_by_a_processor_that_is_there() {
    let parameters = &templates()["main.bicep"].parameters;
    let default = |name: &str| {
        let parameter = parameters.iter().find(|one| one.name.text == name).unwrap();
        parameter.default.as_ref().unwrap().literal().unwrap()
    };
    let definition = Views::definition(&StreamSummary);
    assert_eq!(default("workerTo"), json!("views"));
    let processor = processor_name(&definition.name, definition.version);
    assert_eq!(default("lagScaleProcessor"), json!(processor));
}

/// `azure.yaml` finds what it deploys by this tag.
#[test]
fn services_of_azd_are_tagged() {
    let yaml = &crate::tidy::tree::file("azure.yaml").text;
    for (name, file) in [("api", APPS), ("worker", APPS), ("functions", FUNCTIONS)] {
        assert!(yaml.lines().any(|line| line == format!("  {name}:")), "azure.yaml lacks {name}");
        let tag = format!("'azd-service-name': '{name}'");
        assert!(super::sources().get(file).unwrap().contains(&tag), "bicep/{file} lacks {tag}");
    }
}
