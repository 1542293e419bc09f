//! The settings of a command as they are, and where each is from.

use clap::{ArgMatches, Command, CommandFactory as _, parser::ValueSource};
use serde::Serialize;

use super::{setting, variable};
use crate::cli::Cli;

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";

/// A setting as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Shown {
    pub(in crate::cli) name: String,
    /// Nothing where it has no value and no default.
    pub(in crate::cli) value: Option<String>,
    pub(in crate::cli) source: Source,
    pub(in crate::cli) variable: String,
}

/// Where a setting is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Source {
    Flag,
    Variable,
    File,
    Default,
}

impl Source {
    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Variable => "variable",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// The settings of the command that was given, sorted by name, without secrets.
pub(in crate::cli) fn shown(matches: &ArgMatches, from_file: &[&str]) -> Vec<Shown> {
    let mut command: Command = Cli::command();
    command.build();
    let (mut command, mut matches) = (&command, matches);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else { break };
        (command, matches) = (found, inner);
    }
    let one = |arg: &clap::Arg| {
        let name = arg.get_env().and_then(setting)?;
        let id = arg.get_id().as_str();
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) if from_file.contains(&name.as_str()) => Source::File,
            Some(ValueSource::CommandLine) => Source::Flag,
            Some(ValueSource::EnvVariable) => Source::Variable,
            _ => Source::Default,
        };
        let raw = matches.get_raw(id).map(|values| {
            let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
            values.join(",")
        });
        let count = || matches.try_get_one::<u8>(id).ok().flatten().map(u8::to_string);
        let is_count = matches!(arg.get_action(), clap::ArgAction::Count);
        let value = if is_count { count() } else { raw };
        let is_secret = arg.is_hide_env_values_set();
        let value =
            value.map(|value| if is_secret { HIDDEN.to_owned() } else { without_secrets(&value) });
        Some(Shown { variable: variable(&name), name, value, source })
    };
    let mut shown: Vec<Shown> = command.get_arguments().filter_map(one).collect();
    shown.sort_by(|a, b| a.name.cmp(&b.name));
    shown
}

/// A value without what is secret in addresses: whoever takes events may have its key in the query.
pub(super) fn without_secrets(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (place, query) = match rest.split_once('?') {
        Some((place, _)) => (place, format!("?{HIDDEN}")),
        None => (rest, String::new()),
    };
    let (user, host) = match place.rsplit_once('@') {
        Some((_, host)) => (format!("{HIDDEN}@"), host),
        None => (String::new(), place),
    };
    format!("{scheme}://{user}{host}{query}")
}
