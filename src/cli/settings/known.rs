//! The settings that there are: those of all commands.
//!
//! Kubernetes gives every container variables about every service of its namespace (service links), named after
//! the service: those of a service `cosmos-es` begin as our own. They are told by coming together.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use clap::{ArgAction, Command};

use super::{PREFIX, Refusal, setting, variable};

/// Variables with the prefix that belong to others: the example clients read them.
const FOREIGN: [&str; 1] = ["COSMOS_ES_URL"];
/// What every service link of a service comes with, behind the name of the service.
const SERVICE: &str = "_SERVICE_HOST";
/// From this likeness on a name is offered for a misspelt one.
const LIKENESS_MIN: f64 = 0.8;
/// The setting that says where the file is; it cannot stand in one.
pub(super) const FILE: &str = "config";

/// The settings of all commands.
#[derive(Debug)]
pub(super) struct Known(BTreeMap<String, Takes>);

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A value.
    Value,
    /// `true` or `false`.
    Switch,
    /// How often its flag would stand there.
    Count,
}

impl Takes {
    pub(super) fn of(action: &ArgAction) -> Self {
        match action {
            ArgAction::SetTrue => Self::Switch,
            ArgAction::Count => Self::Count,
            _ => Self::Value,
        }
    }
}

impl Known {
    pub(super) fn of(mut command: Command) -> Self {
        command.build();
        let mut known = BTreeMap::new();
        collect(&command, &mut known);
        Self(known)
    }

    /// The variables of all settings.
    pub(super) fn variables(&self) -> BTreeSet<String> {
        self.0.keys().map(|name| variable(name)).collect()
    }

    /// Refuses variables that no command knows.
    pub(super) fn check_variables(&self, variables: &BTreeSet<OsString>) -> Result<(), Refusal> {
        let services: Vec<&str> =
            variables.iter().filter_map(|name| name.to_str()?.strip_suffix(SERVICE)).collect();
        for name in variables {
            let Some(text) = name.to_str().filter(|text| text.starts_with(PREFIX)) else {
                continue;
            };
            let is_known = setting(name).is_some_and(|name| self.0.contains_key(&name));
            // Only as it is written in the help: variables are told apart by their case.
            let is_exact = setting(name).is_some_and(|setting| variable(&setting) == text);
            let is_link = services.iter().any(|service| is_service_link(text, service));
            if !(is_exact && is_known || FOREIGN.contains(&text) || is_link) {
                let offer = self.offer(&setting(name).unwrap_or_default(), variable);
                return Err(Refusal::Settings(format!("there is no setting {text}{offer}")));
            }
        }
        Ok(())
    }

    /// What a key of the file takes; the reason why it may not stand there otherwise.
    pub(super) fn takes(&self, key: &str) -> Result<Takes, String> {
        if key == FILE {
            return Err("a settings file cannot name another one".to_owned());
        }
        self.0
            .get(key)
            .copied()
            .ok_or_else(|| format!("there is no setting {key:?}{}", self.offer(key, str::to_owned)))
    }

    /// A name that somebody may have meant, in words.
    fn offer(&self, wrong: &str, shown: impl Fn(&str) -> String) -> String {
        let likeness = |name: &String| strsim::jaro_winkler(wrong, name);
        let best = self.0.keys().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        match best.filter(|name| likeness(name) >= LIKENESS_MIN) {
            Some(name) => format!("; did you mean {}?", shown(name)),
            None => String::new(),
        }
    }
}

/// Whether a variable has the form of a service link of this service: `X_SERVICE_HOST`, `X_SERVICE_PORT`,
/// `X_SERVICE_PORT_NAME`, `X_PORT`, and `X_PORT_80_TCP` by itself and with `_PROTO`, `_PORT` and `_ADDR`.
fn is_service_link(variable: &str, service: &str) -> bool {
    let Some(rest) = variable.strip_prefix(service) else { return false };
    if [SERVICE, "_SERVICE_PORT", "_PORT"].contains(&rest) || rest.starts_with("_SERVICE_PORT_") {
        return true;
    }
    let mut parts = rest.strip_prefix("_PORT_").unwrap_or_default().split('_');
    let port = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
    let protocol = parts.next().is_some_and(|it| ["TCP", "UDP", "SCTP"].contains(&it));
    let more = parts.next().is_none_or(|it| ["PROTO", "PORT", "ADDR"].contains(&it));
    port && protocol && more && parts.next().is_none()
}

fn collect(command: &Command, known: &mut BTreeMap<String, Takes>) {
    for arg in command.get_arguments() {
        if let Some(name) = arg.get_env().and_then(setting) {
            known.insert(name, Takes::of(arg.get_action()));
        }
    }
    for command in command.get_subcommands() {
        collect(command, known);
    }
}
