//! Settings from all places, and what is wrong with them.

use super::*;

/// Parses with a settings file, without variables.
fn with_file(text: &str, args: &[&str]) -> Result<Cli, Refusal> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, text).unwrap();
    let file = format!("--config={}", path.display());
    let args: Vec<OsString> =
        ["cosmos-es"].iter().chain(args).map(OsString::from).chain([file.into()]).collect();
    parse(&args, [])
}

fn refusal(text: &str, args: &[&str]) -> String {
    match with_file(text, args) {
        Err(Refusal::Settings(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Value and source of a setting.
fn setting_of(cli: &Cli, name: &str) -> (Option<String>, &'static str) {
    let found = cli.shown.iter().find(|one| one.name == name).unwrap();
    (found.value.clone(), found.source.as_str())
}

#[test]
fn flags_come_before_the_file_and_the_file_before_defaults() {
    let file = "listen = \"127.0.0.1:1\"\ndatabase = \"from-file\"\nstore-port = 7\nverbose = 2\n";
    let cli = with_file(file, &["serve", "--database", "from-flag"]).unwrap();
    assert_eq!(setting_of(&cli, "database"), (Some("from-flag".to_owned()), "flag"));
    assert_eq!(setting_of(&cli, "listen"), (Some("127.0.0.1:1".to_owned()), "file"));
    assert_eq!(setting_of(&cli, "store-port"), (Some("7".to_owned()), "file"));
    assert_eq!(setting_of(&cli, "verbose"), (Some("2".to_owned()), "file"));
    assert_eq!(setting_of(&cli, "worker-to"), (Some("views".to_owned()), "default"));
    assert_eq!(setting_of(&cli, "region"), (None, "default"));
    assert_eq!(cli.log.verbose, 2);
}

#[test]
fn a_command_takes_what_it_knows_of_the_file() {
    let file = "listen = \"127.0.0.1:1\"\ndatabase = \"d\"\ntail-limit = 3\noutput = \"json\"\n";
    let cli = with_file(file, &["tail", "--no-follow"]).unwrap();
    assert_eq!(setting_of(&cli, "database"), (Some("d".to_owned()), "file"));
    assert_eq!(setting_of(&cli, "tail-limit"), (Some("3".to_owned()), "file"));
    assert!(cli.shown.iter().all(|one| one.name != "listen"));
    // What follows `--` is no flag, and stays the last.
    assert!(with_file(file, &["read", "--", "-odd-"]).is_err(), "the file would be a stream");
    let file = "database = \"d\"\nread-backwards = true\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    std::fs::write(&path, file).unwrap();
    let args = ["cosmos-es", "read", "--config", path.to_str().unwrap(), "--", "-odd-"];
    let cli = parse(&args.map(OsString::from), []).unwrap();
    assert_eq!(setting_of(&cli, "read-backwards"), (Some("true".to_owned()), "file"));
}

#[test]
fn what_is_wrong_with_a_file_names_file_and_setting() {
    for (text, expected) in [
        ("listn = \"127.0.0.1:1\"", "there is no setting \"listn\"; did you mean listen?"),
        ("zzz = 1", "there is no setting \"zzz\""),
        ("config = \"other.toml\"", "cannot name another"),
        ("listen = 1.5", "listen: expected a text"),
        ("tail-from-start = \"yes\"", "tail-from-start: expected true or false"),
        ("verbose = \"much\"", "verbose: expected a number"),
        ("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"", "line 2"),
        ("[store]\nendpoint = \"x\"", "there is no setting \"store\""),
        ("listen = \"nowhere\"", "invalid value 'nowhere' for '--listen"),
        ("data-dir = \"d\"\nendpoint = \"http://localhost:1\"", "cannot be used with"),
    ] {
        let said = refusal(text, &["serve"]);
        assert!(said.contains("settings.toml: ") && said.contains(expected), "{text}: {said}");
    }
    let gone = parse(&["cosmos-es", "serve", "--config", "/gone.toml"].map(OsString::from), []);
    assert!(gone.unwrap_err().to_string().starts_with("/gone.toml: "));
}

#[test]
fn what_is_wrong_with_a_file_does_not_show_its_lines() {
    let said = refusal("key = \"c2VjcmV0\nlisten = 1", &["serve"]);
    assert!(said.contains("line 1") && !said.contains("c2VjcmV0"), "{said}");
}

#[test]
fn what_is_wrong_on_the_command_line_is_not_blamed_on_the_file() {
    let wrong = with_file("database = \"d\"", &["serve", "--listen", "nowhere"]);
    assert!(matches!(wrong, Err(Refusal::Arguments(_))), "{wrong:?}");
    let help = with_file("database = \"d\"", &["serve", "--help"]);
    assert!(matches!(help, Err(Refusal::Arguments(error)) if !error.use_stderr()));
}

#[test]
fn variables_that_no_command_knows_are_refused() {
    let with = |name: &str| parse(&["cosmos-es", "stats"].map(OsString::from), [name.into()]);
    for fine in ["COSMOS_ES_LISTEN", "COSMOS_ES_URL", "COSMOS_ES_CONFIG", "HOME", "COSMOS_X"] {
        assert!(with(fine).is_ok(), "{fine}");
    }
    let wrong = with("COSMOS_ES_LISTN").unwrap_err().to_string();
    assert_eq!(wrong, "there is no setting COSMOS_ES_LISTN; did you mean COSMOS_ES_LISTEN?");
    assert!(with("COSMOS_ES_listen").is_err());
}

#[test]
fn service_links_of_kubernetes_are_no_settings() {
    let with = |names: &[&str]| {
        parse(&["cosmos-es", "stats"].map(OsString::from), names.iter().map(OsString::from))
    };
    // What a service with the ports 8080 and metrics brings into every container beside it.
    for service in ["COSMOS_ES", "COSMOS_ES_API"] {
        let names = [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_METRICS",
            "PORT",
            "PORT_8080_TCP",
            "PORT_8080_TCP_PROTO",
            "PORT_8080_TCP_PORT",
            "PORT_8080_TCP_ADDR",
        ]
        .map(|name| format!("{service}_{name}"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(with(&names).is_ok(), "{service}");
        let (_, alone) = names.split_first().unwrap();
        assert!(with(alone).is_err(), "{service}: without the address they are nobody's");
    }
    for wrong in
        ["COSMOS_ES_LISTN", "COSMOS_ES_PORTS", "COSMOS_ES_PORT_X_TCP", "COSMOS_ES_API_PORT"]
    {
        let said = with(&["COSMOS_ES_SERVICE_HOST", wrong]).unwrap_err().to_string();
        assert!(said.starts_with(&format!("there is no setting {wrong}")), "{said}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let file = "endpoint = \"http://localhost:1\"\nkey = \"c2VjcmV0\"";
    let cli = with_file(file, &["config", "show"]).unwrap();
    assert_eq!(setting_of(&cli, "key"), (Some("(hidden)".to_owned()), "file"));
    let debug = format!("{cli:?}");
    assert!(debug.contains("localhost") && !debug.contains("c2VjcmV0"), "{debug}");
}

#[test]
fn secrets_in_urls_are_not_shown() {
    for (name, url, shown) in [
        ("worker-to", "https://a:1/b?code=c2VjcmV0", "https://a:1/b?(hidden)"),
        ("worker-to", "https://a:1", "https://a:1"),
        ("otlp-endpoint", "https://u:c2VjcmV0@a:1/b", "https://(hidden)@a:1/b"),
    ] {
        let cli = with_file(&format!("{name} = \"{url}\""), &["config", "show"]).unwrap();
        assert_eq!(setting_of(&cli, name), (Some(shown.to_owned()), "file"));
    }
}

#[test]
fn what_events_hold_is_not_in_debug() {
    let arguments = [
        "append",
        "q",
        "--type",
        "T",
        "--data",
        "\"c2VjcmV0\"",
        "--metadata",
        "{\"actor\":\"c2VjcmV0\"}",
    ];
    let cli = with_file("", &arguments).unwrap();
    assert!(!format!("{cli:?}").contains("c2VjcmV0"), "{cli:?}");
}

#[test]
fn secrets_in_addresses_are_not_shown() {
    let args = ["cosmos-es", "config", "show", "--worker-to", "https://a.example/b?code=c2VjcmV0"];
    let cli = parse(&args.map(OsString::from), []).unwrap();
    assert_eq!(setting_of(&cli, "worker-to").0.as_deref(), Some("https://a.example/b?(hidden)"));
    for wrong in ["https://u:c2VjcmV0@a.example/", "ftp://a.example/?code=c2VjcmV0"] {
        let typed = ["cosmos-es", "serve", "--worker-to", wrong].map(OsString::from);
        let typed = parse(&typed, []).unwrap_err().to_string();
        let of_file = refusal(&format!("worker-to = \"{wrong}\""), &["serve"]);
        for said in [typed, of_file] {
            assert!(said.contains("a.example") && !said.contains("c2VjcmV0"), "{said}");
        }
    }
    for plain in ["views", "127.0.0.1:1", "https://a.example/b", "api://a,api://b", "a?b", "a@b"] {
        assert_eq!(shown::without_secrets(plain), plain);
    }
}

#[test]
fn the_document_has_every_setting_of_a_process_that_serves() {
    let cli = with_file("", &["config", "show"]).unwrap();
    let names: std::collections::BTreeSet<&str> =
        cli.shown.iter().map(|one| one.name.as_str()).collect();
    let document = include_str!("../../../docs/configuration.md");
    let row = |line: &'static str| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name);
    let documented: std::collections::BTreeSet<&str> = document.lines().filter_map(row).collect();
    assert_eq!(names, documented);
}
