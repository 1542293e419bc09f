//! Laying the file below flags and variables: what they do not give is put on the command line.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, CommandFactory as _, parser::ValueSource};

use super::{
    Refusal,
    file::{Setting, Values},
    known::FILE,
    setting,
};
use crate::cli::Cli;

/// What flags and variables give, as far as it can be told before everything is checked. It has no `Debug`: keys are
/// among it.
pub(super) struct Given {
    command: Command,
    matches: ArgMatches,
    args: Vec<OsString>,
}

/// A setting that only the file gives, as arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FromFile {
    pub(super) name: String,
    pub(super) arguments: Vec<OsString>,
}

impl Given {
    /// Looks at a command line that may still lack something, or be wrong.
    pub(super) fn look(args: &[OsString], command: &Command) -> Result<Self, Refusal> {
        let mut matches = command.clone().ignore_errors(true).try_get_matches_from(args)?;
        // With all variables, which are what settings are found by.
        let mut command = Cli::command();
        command.build();
        while let Some((name, inner)) = matches.remove_subcommand() {
            let Some(found) = command.find_subcommand(name) else { break };
            command = found.clone();
            matches = inner;
        }
        Ok(Self { command, matches, args: args.to_vec() })
    }

    /// The settings file, where one is named.
    pub(super) fn file(&self) -> Option<&Path> {
        self.matches.try_get_one::<PathBuf>(FILE).ok().flatten().map(PathBuf::as_path)
    }

    /// What of the file this command knows, and neither flags nor variables give.
    pub(super) fn lacks(&self, values: Values) -> Vec<FromFile> {
        let lacking = values.into_pairs().filter_map(|(name, value)| {
            let is_it = |arg: &&clap::Arg| arg.get_env().and_then(setting).as_ref() == Some(&name);
            let arg = self.command.get_arguments().find(is_it)?;
            let source = self.matches.value_source(arg.get_id().as_str());
            let is_given =
                matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable));
            let long = arg.get_long().filter(|_| !is_given)?;
            let arguments = match value {
                Setting::Text(text) => vec![format!("--{long}={text}").into()],
                Setting::Switch(is_on) => {
                    std::iter::repeat_n(format!("--{long}").into(), usize::from(is_on)).collect()
                }
                Setting::Count(count) => {
                    std::iter::repeat_n(format!("--{long}").into(), usize::from(count)).collect()
                }
            };
            Some(FromFile { name, arguments })
        });
        lacking.collect()
    }

    /// Whether the command line is fine by itself, so that the file must be what is wrong. What only the
    /// file gives may be missing.
    pub(super) fn is_fine(&self, command: &Command, from_file: &[FromFile]) -> bool {
        if command.clone().try_get_matches_from(&self.args).is_ok() {
            return true;
        }
        // It may be one of the file's that is wrong, and another one that the command cannot do without.
        let without = |left_out: &FromFile| {
            let mut args = self.args.clone();
            let others = from_file.iter().filter(|one| *one != left_out);
            insert(&mut args, others.flat_map(|one| one.arguments.clone()));
            command.clone().try_get_matches_from(&args).is_ok()
        };
        from_file.iter().any(without)
    }
}

/// Adds arguments to a command line: behind it, but before what a `--` says to be no flags.
pub(super) fn insert(args: &mut Vec<OsString>, added: impl IntoIterator<Item = OsString>) {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    args.splice(end..end, added);
}
