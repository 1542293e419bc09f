//! Where the settings of a command come from: flags, then variables, then the settings file, then defaults.
//!
//! A setting has one name everywhere: `listen` is the flag `--listen`, the variable `COSMOS_ES_LISTEN` and
//! the key `listen` of the file. (A few flags are shorter where their command says the rest: `worker --to`
//! is the setting `worker-to`.) What stands in the file is given to the parser of the command line as if it
//! had been typed, so there is one parser, one check and one message for all of them. A variable or a key
//! that no command knows refuses the start: a misspelt setting would otherwise be a default in silence. An empty
//! variable is none: templates and container platforms pass on what nobody has set as an empty one.

mod access;
mod file;
mod known;
mod layers;
mod process;
mod shown;

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
};

use clap::{
    Arg, Command, CommandFactory as _, FromArgMatches as _,
    builder::Resettable,
    error::{ContextKind, ContextValue},
};

pub(in crate::cli) use self::{
    access::AccessSettings,
    process::{ProcessSettings, Settled},
    shown::{Shown, shown},
};
use self::{file::Values, known::Known, layers::Given};
use super::Cli;

/// What every variable of this program begins with.
pub(super) const PREFIX: &str = "COSMOS_ES_";

/// Why the command line cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// What the parser says, which is also how it gives help and version.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// A variable or the settings file is wrong.
    #[error("{0}")]
    Settings(String),
}

/// Reads the command line with everything behind it. `variables` are the names of the variables that there
/// are; their values the parser reads from the environment of the process.
///
/// # Errors
///
/// [`Refusal`], which names the setting.
pub fn parse(
    args: &[OsString],
    variables: impl IntoIterator<Item = OsString>,
) -> Result<Cli, Refusal> {
    let known = Known::of(Cli::command());
    let variables: BTreeSet<OsString> = variables.into_iter().collect();
    known.check_variables(&variables)?;
    let empty: BTreeSet<&OsStr> =
        variables.iter().map(OsString::as_os_str).filter(|name| is_empty(name)).collect();
    let command = without(Cli::command(), &empty);
    let given = Given::look(args, &command)?;
    let mut args = args.to_vec();
    let mut from_file = Vec::new();
    if let Some(path) = given.file() {
        // Without the file, so that what is wrong on the command line is not blamed on it.
        let values = Values::read(path, &known)?;
        from_file = given.lacks(values);
        layers::insert(&mut args, from_file.iter().flat_map(|one| one.arguments.clone()));
    }
    let matches = command.clone().try_get_matches_from(&args).map_err(|mut error| {
        hide(&mut error);
        let is_answer = !error.use_stderr();
        match given.file() {
            Some(path)
                if !is_answer && !from_file.is_empty() && given.is_fine(&command, &from_file) =>
            {
                Refusal::Settings(format!("{}: {}", path.display(), first_line(&error.to_string())))
            }
            _ => Refusal::Arguments(error),
        }
    })?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let names: Vec<&str> = from_file.iter().map(|one| one.name.as_str()).collect();
    cli.shown = shown(&matches, &names);
    Ok(cli)
}

/// Takes out of what the parser says what is secret in the value that it does not accept.
fn hide(error: &mut clap::Error) {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return };
    let value = shown::without_secrets(value);
    error.insert(ContextKind::InvalidValue, ContextValue::String(value));
}

fn is_empty(variable: &OsStr) -> bool {
    variable.to_str().is_some_and(|name| name.starts_with(PREFIX))
        && std::env::var_os(variable).is_some_and(|value| value.is_empty())
}

/// A command that does not look at these variables.
fn without(command: Command, variables: &BTreeSet<&OsStr>) -> Command {
    let blind = |arg: Arg| match arg.get_env() {
        Some(name) if variables.contains(name) => arg.env(Resettable::Reset),
        _ => arg,
    };
    command.mut_args(blind).mut_subcommands(|inner| without(inner, variables))
}

/// The variables that the commands know, by name.
pub fn variables() -> BTreeSet<String> {
    Known::of(Cli::command()).variables()
}

/// The name of a setting, from that of its variable.
fn setting(variable: &OsStr) -> Option<String> {
    let name = variable.to_str()?.strip_prefix(PREFIX)?;
    Some(name.to_ascii_lowercase().replace('_', "-"))
}

/// The variable of a setting.
fn variable(setting: &str) -> String {
    format!("{PREFIX}{}", setting.to_ascii_uppercase().replace('-', "_"))
}

/// What the parser says, without its usage.
fn first_line(text: &str) -> &str {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    text.split('\n').next().unwrap_or(text)
}

#[cfg(test)]
mod tests;
