//! `cosmos-es config`: the settings as they are.

use clap::{Args, ValueEnum};

use super::{
    CliError,
    args::Format,
    output::Output,
    settings::{ProcessSettings, Shown},
    table::{Align, Table},
};

const EXAMPLES: &str = "\
Shows what `cosmos-es serve` would run with, and where each setting is from: a flag, a variable, the file
of --config, or the default. The first of these counts. Secrets are not shown. Settings that do not go
together are refused here as they are there; `cosmos-es doctor` also looks at what they point to. With
--output json the result is one array of objects with name, value, source and variable.

Examples:
  cosmos-es config show
  cosmos-es config show --config event-store.toml
  cosmos-es config show --listen 127.0.0.1:9000 --output json";

/// Show the settings as they are, and where each is from
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConfigArgs {
    /// What is done
    #[arg(value_enum, value_name = "ACTION")]
    action: Action,
    #[command(flatten)]
    settings: ProcessSettings,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Shows the settings
    Show,
}

pub(super) fn run(
    args: &ConfigArgs,
    shown: Vec<Shown>,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let Action::Show = args.action;
    args.settings.settle()?;
    let defaults = args.settings.defaults();
    let fill = |mut one: Shown| {
        if one.value.is_none() {
            let known = defaults.iter().find(|(name, _)| *name == one.name);
            one.value = known.map(|(_, value)| value.clone());
        }
        one
    };
    let shown: Vec<Shown> = shown.into_iter().map(fill).collect();
    match out.format() {
        Format::Json => out.json(&shown),
        Format::Table => {
            let row = |one: &Shown| {
                let value = one.value.clone().unwrap_or_else(|| "-".to_owned());
                [one.name.clone(), value, one.source.as_str().to_owned()]
            };
            let rows: Vec<_> = shown.iter().map(row).collect();
            Table::new([Align::Left; 3]).write(out.writer(), &rows).map_err(CliError::Output)
        }
    }
}
