//! Whether an app root is one that this program can serve: the host says nothing of most mistakes, and calls
//! nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::app_root::AppRoot;
use crate::{
    http::functions::Function,
    projection::pump::{RUN_TIME_MAX, SHUTDOWN_TIME_MAX},
};

/// The name of the program in a package.
pub(super) const PROGRAM: &str = "cosmos-es";

/// What is wrong with an app root.
pub(super) fn findings(app_root: &AppRoot) -> Vec<String> {
    let mut findings = Vec::new();
    if app_root.files.contains_key(PROGRAM) {
        findings.push(format!("it has a file {PROGRAM}, which is where the program goes"));
    }
    match json_of(app_root, "host.json") {
        Ok(host) => host_findings(&host, &mut findings),
        Err(finding) => findings.push(finding),
    }
    for file in app_root.files.keys() {
        let Some((folder, "function.json")) = file.split_once('/') else { continue };
        if !Function::ALL.iter().any(|function| function.name() == folder) {
            findings.push(format!("{file}: the program has no function {folder}"));
        }
    }
    for function in Function::ALL {
        let file = format!("{}/function.json", function.name());
        match json_of(app_root, &file) {
            Ok(found) => function_findings(function, &found, &mut findings),
            Err(finding) => findings.push(finding),
        }
    }
    findings
}

fn json_of(app_root: &AppRoot, file: &str) -> Result<Value, String> {
    let content = app_root.files.get(file).ok_or_else(|| format!("{file} is missing"))?;
    serde_json::from_slice(content).map_err(|error| format!("{file} is no JSON: {error}"))
}

/// A member of a document, and what it must be.
type Must = (&'static str, Value);

fn expect(file: &str, found: &Value, musts: &[Must], findings: &mut Vec<String>) {
    for (pointer, must) in musts {
        let found = found.pointer(pointer).unwrap_or(&Value::Null);
        if found != must {
            findings.push(format!("{file}: {pointer} must be {must}, and is {found}"));
        }
    }
}

fn host_findings(host: &Value, findings: &mut Vec<String>) {
    let musts = [
        ("/version", json!("2.0")),
        ("/customHandler/description/defaultExecutablePath", json!(PROGRAM)),
        ("/customHandler/description/arguments", json!(["functions"])),
        ("/customHandler/enableProxyingHttpRequest", json!(true)),
        // With it a client could reach triggers: docs/decisions/011-functions.md.
        ("/customHandler/enableForwardingHttpRequest", Value::Null),
        ("/extensions/http/routePrefix", json!("")),
        ("/extensionBundle/id", json!("Microsoft.Azure.Functions.ExtensionBundle")),
    ];
    expect("host.json", host, &musts, findings);
    let limit = host.pointer("/functionTimeout").and_then(Value::as_str).and_then(time);
    let needed = RUN_TIME_MAX.saturating_add(SHUTDOWN_TIME_MAX);
    if limit.is_none_or(|limit| limit <= needed) {
        findings.push(format!(
            "host.json: /functionTimeout must be a time of more than {} seconds",
            needed.as_secs()
        ));
    }
}

fn function_findings(function: Function, found: &Value, findings: &mut Vec<String>) {
    let file = format!("{}/function.json", function.name());
    let (kind, binding) = function.trigger();
    let musts = [
        ("/bindings/0/type", json!(kind)),
        ("/bindings/0/direction", json!("in")),
        ("/bindings/0/name", json!(binding)),
    ];
    expect(&file, found, &musts, findings);
    let (count, musts): (usize, &[Must]) = match function {
        // The host passes a request on only where there are exactly these two.
        Function::Api => (
            2,
            &[
                ("/bindings/0/authLevel", json!("anonymous")),
                ("/bindings/0/route", json!("{*path}")),
                ("/bindings/1/type", json!("http")),
                ("/bindings/1/direction", json!("out")),
                ("/bindings/1/name", json!("res")),
            ],
        ),
        Function::WakeUp => (
            1,
            &[
                ("/bindings/0/containerName", json!("events")),
                // An identity may not make containers.
                ("/bindings/0/createLeaseContainerIfNotExists", json!(false)),
                // After the last try a batch is lost to the function.
                ("/retry/maxRetryCount", json!(-1)),
            ],
        ),
        Function::Pump | Function::Lag => (1, &[]),
    };
    expect(&file, found, musts, findings);
    let bindings = found.pointer("/bindings").and_then(Value::as_array).map_or(0, Vec::len);
    if bindings != count {
        findings.push(format!("{file}: it must have {count} bindings, and has {bindings}"));
    }
}

/// A time as the host writes it: hours, minutes and seconds.
fn time(text: &str) -> Option<Duration> {
    let mut parts = text.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let seconds = minutes.checked_mul(60)?.checked_add(seconds)?;
    parts.next().is_none().then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_the_program_is_right() {
        assert_eq!(findings(&AppRoot::embedded()), Vec::<String>::new());
    }

    /// The findings after a change of one file; nothing takes it away.
    fn after(file: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut app_root = AppRoot::embedded();
        let mut found = json_of(&app_root, file).unwrap_or_default();
        change(&mut found);
        app_root.files.insert(file.to_owned(), found.to_string().into_bytes());
        findings(&app_root)
    }

    #[test]
    fn what_the_host_would_not_call_is_found() {
        let found = |found: Vec<String>, text: &str| {
            assert!(found.len() == 1 && found[0].contains(text), "{found:?} lacks {text}");
        };
        let handler = "/customHandler/description";
        found(
            after("host.json", |host| {
                host.pointer_mut(handler).unwrap()["defaultExecutablePath"] = json!("other");
            }),
            "defaultExecutablePath must be \"cosmos-es\"",
        );
        found(
            after("host.json", |host| host["functionTimeout"] = json!("00:04:00")),
            "/functionTimeout",
        );
        found(
            after("host.json", |host| {
                host["customHandler"]["enableForwardingHttpRequest"] = json!(true);
            }),
            "enableForwardingHttpRequest",
        );
        found(after("mail/function.json", |_| {}), "the program has no function mail");
        found(
            after("pump/function.json", |pump| pump["bindings"][0]["name"] = json!("other")),
            "pump/function.json: /bindings/0/name must be \"timer\"",
        );
        found(
            after("api/function.json", |api| {
                api["bindings"].as_array_mut().unwrap().push(json!({"type": "queue"}));
            }),
            "must have 2 bindings, and has 3",
        );
        found(
            after("wakeup/function.json", |wakeup| wakeup["retry"] = json!({"maxRetryCount": 5})),
            "/retry/maxRetryCount must be -1, and is 5",
        );
        let mut app_root = AppRoot::embedded();
        app_root.files.remove("lag/function.json");
        found(findings(&app_root), "lag/function.json is missing");
        app_root = AppRoot::embedded();
        app_root.files.insert("host.json".to_owned(), b"{".to_vec());
        found(findings(&app_root), "host.json is no JSON");
        app_root = AppRoot::embedded();
        app_root.files.insert(PROGRAM.to_owned(), Vec::new());
        found(findings(&app_root), "where the program goes");
    }

    #[test]
    fn times_are_those_of_the_host() {
        assert_eq!(time("00:05:00"), Some(Duration::from_mins(5)));
        assert_eq!(time("1:00:01"), Some(Duration::from_secs(3601)));
        for other in ["", "-1", "5", "00:05", "1.00:00:00", "0:0:0:0"] {
            assert_eq!(time(other), None, "{other}");
        }
    }
}
