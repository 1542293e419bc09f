//! Settings as a user meets them: flags, variables, a file, and what is refused.

use super::program::{Place, program};

/// What `config show` says of a setting: value, source.
fn shown(place: &Place, args: &[&str], variables: &[(&str, &str)], name: &str) -> [String; 2] {
    let args: Vec<&str> =
        ["config", "show", "--output", "json"].iter().chain(args).copied().collect();
    let output = program(&args)
        .envs(variables.iter().copied())
        .current_dir(place.data_dir().parent().unwrap())
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let one = all.iter().find(|one| one["name"] == name).unwrap();
    ["value", "source"].map(|member| one[member].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_setting_is_from_the_flag_the_variable_the_file_or_the_default() {
    let place = Place::new();
    let file = place.file("s.toml", "database = \"from-file\"\nlisten = \"127.0.0.1:9\"\n");
    let variables = [("COSMOS_ES_CONFIG", file.as_str()), ("COSMOS_ES_DATABASE", "from-variable")];
    let show =
        |args: &[&str], variables: &[(&str, &str)], name| shown(&place, args, variables, name);
    assert_eq!(show(&["--database", "x"], &variables, "database"), ["x", "flag"]);
    assert_eq!(show(&[], &variables, "database"), ["from-variable", "variable"]);
    assert_eq!(show(&[], &variables[..1], "database"), ["from-file", "file"]);
    assert_eq!(show(&[], &[], "database"), ["event-store", "default"]);
    assert_eq!(show(&[], &variables, "listen"), ["127.0.0.1:9", "file"]);
    // What has no fixed default is shown as it would be.
    assert_eq!(show(&[], &[], "data-dir"), ["./data", "default"]);
    let account = ["--endpoint", "https://a.documents.azure.com"];
    assert_eq!(show(&account, &[], "credential"), ["developer-tools", "default"]);
}

#[test]
fn the_embedded_store_is_made_as_the_file_says() {
    let place = Place::new();
    let file = format!("data-dir = {:?}\ndatabase = \"other\"\n", place.path("elsewhere"));
    let file = place.file("s.toml", &file);
    let run = program(&["provision", "--config", &file, "--output", "json"]).output().unwrap();
    assert!(run.status.success());
    let made: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(made["database"], "other");
    assert!(std::path::Path::new(&place.path("elsewhere")).is_dir());
}

#[test]
fn settings_that_do_not_go_together_refuse_the_start_by_name() {
    let azure = "https://a.documents.azure.com";
    let local = "http://127.0.0.1:1";
    for (args, names) in [
        (&["--endpoint", azure, "--key", "c2VjcmV0"][..], &["key"][..]),
        (&["--endpoint", azure, "--credential", "key"], &["credential", "endpoint"]),
        (&["--endpoint", local, "--credential", "managed-identity"], &["credential", "endpoint"]),
        (&["--endpoint", azure, "--client-id", "x"], &["client-id", "managed-identity"]),
        (&["--key", "c2VjcmV0"], &["key", "endpoint"]),
        (&["--region", "West Europe"], &["region", "endpoint"]),
        (&["--endpoint", azure, "--store-port", "1"], &["store-port", "endpoint"]),
        (&["--endpoint", "AccountEndpoint=https://a/;AccountKey=c2VjcmV0;"], &["endpoint"]),
        (&["--endpoint", "https://u:c2VjcmV0@a.documents.azure.com"], &["endpoint"]),
        (&["--endpoint", "http://account.documents.azure.com"], &["endpoint", "loopback"]),
        (&["--processor", "p"], &["--processor", "--worker-to"]),
        (&["--listen", "0.0.0.0:1"], &["0.0.0.0:1", "access"]),
        (&["--access", "none,keys"], &["access"]),
        (&["--access", "keys"], &["access-keys", "access-keys-file"]),
        (&["--access", "keys", "--access-keys", "[]"], &["access-keys"]),
        (
            &["--access", "keys", "--access-keys-file", "/gone.json"],
            &["access-keys-file", "/gone.json"],
        ),
        (&["--access-keys", "[]"], &["access-keys", "access keys"]),
        (&["--access", "entra"], &["entra-tenant"]),
        (
            &["--access", "entra", "--entra-tenant", "here.com", "--entra-audience", "a"],
            &["entra-tenant"],
        ),
        (&["--entra-issuer", "https://x/"], &["entra-issuer", "access entra"]),
        (&["--hosts", "a.example.com"], &["hosts", "access"]),
    ] {
        let place = Place::new();
        for command in [&["config", "show"][..], &["serve"]] {
            let args: Vec<&str> = command.iter().chain(args).copied().collect();
            let run =
                program(&args).current_dir(place.data_dir().parent().unwrap()).output().unwrap();
            let said = String::from_utf8(run.stderr).unwrap();
            assert_eq!(run.status.code(), Some(2), "{args:?}: {said}");
            assert!(names.iter().all(|name| said.contains(name)), "{args:?}: {said}");
            assert!(!said.contains("c2VjcmV0"), "{said}");
            assert!(!place.data_dir().exists(), "{args:?} made a data folder");
        }
    }
}

#[test]
fn a_misspelt_variable_refuses_every_command() {
    let mut command = program(&["sample"]);
    let run = command.env("COSMOS_ES_LISTN", "127.0.0.1:1").output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("COSMOS_ES_LISTN") && said.contains("COSMOS_ES_LISTEN?"), "{said}");
}

#[test]
fn an_empty_variable_is_none() {
    let place = Place::new();
    let file = place.file("settings.toml", "database = \"of-file\"\nlog-format = \"json\"\n");
    let mut command = program(&["config", "show", "--output", "json", "--config", &file]);
    // Of every kind: text, path, list of words, address, number, count, secret.
    for name in [
        "ENDPOINT",
        "DATA_DIR",
        "DATABASE",
        "ACCESS",
        "HOSTS",
        "LISTEN",
        "STORE_PORT",
        "VERBOSE",
        "KEY",
        "CREDENTIAL",
        "ACCESS_KEYS",
        "WORKER_TO",
        "WORKER_INSTANCE",
        "PROCESSOR",
        "LOG_FORMAT",
        "CONFIG",
    ] {
        command.env(format!("COSMOS_ES_{name}"), "");
    }
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let shown: Vec<serde_json::Value> = serde_json::from_slice(&run.stdout).unwrap();
    let from_file: Vec<_> = shown.iter().filter(|one| one["source"] == "file").collect();
    assert_eq!(from_file.len(), 2, "{from_file:?}");
    assert!(shown.iter().all(|one| one["source"] != "variable"), "{shown:?}");
    let endpoint = shown.iter().find(|one| one["name"] == "endpoint").unwrap();
    assert_eq!(endpoint["value"], serde_json::Value::Null);
}

#[test]
fn a_service_with_keys_listens_for_all_and_asks_who_it_is() {
    let place = Place::new();
    let key = "0123456789abcdef0123456789abcdef";
    let keys = format!(r#"[{{"name":"reader","key":"{key}","scopes":["read"]}}]"#);
    let file = place.file("keys.json", &keys);
    let args = [
        "serve",
        "--listen",
        "0.0.0.0:0",
        "--store-port",
        "0",
        "--access",
        "keys",
        "--access-keys-file",
        &file,
        "--output",
        "json",
    ];
    let mut serve = place.spawn(&args);
    let ready: serde_json::Value = serde_json::from_str(&serve.line()).unwrap();
    let port = ready["http"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let status = |path: &str, key: &str| {
        let url = format!("http://127.0.0.1:{port}{path}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = reqwest::Client::new().get(url);
            let request = if key.is_empty() { request } else { request.header("api-key", key) };
            request.send().await.unwrap().status().as_u16()
        })
    };
    assert_eq!(status("/healthz", ""), 200);
    assert_eq!(status("/streams", ""), 401);
    assert_eq!(status("/streams", key), 200);
    assert_eq!(status("/metrics", key), 403);
    serve.interrupt();
    let ran = serve.wait();
    assert_eq!(ran.code, 0);
    assert!(!format!("{ran:?}").contains(key));
}
