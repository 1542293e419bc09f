//! The command line as a whole: what every command must have.

use clap::{Arg, Command as Clap, CommandFactory as _, Parser as _};

use super::*;

/// Every command with its name, without `help`.
fn commands() -> Vec<Clap> {
    let mut clap = Cli::command();
    clap.build();
    clap.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_has_an_environment_variable() {
    let is_flag =
        |arg: &&Arg| !arg.is_positional() && !matches!(arg.get_id().as_str(), "help" | "version");
    for command in commands() {
        for arg in command.get_arguments().filter(is_flag) {
            let variable = arg.get_env().and_then(|name| name.to_str()).unwrap_or_default();
            assert!(variable.starts_with("COSMOS_ES_"), "{} {}", command.get_name(), arg.get_id());
        }
    }
}

#[test]
fn every_command_shows_examples() {
    for mut command in commands() {
        let (name, help) = (command.get_name().to_owned(), command.render_long_help().to_string());
        assert!(help.contains("Examples:"), "{name}");
        let examples = help.split_once("Examples:").unwrap().1;
        let example = |line: &str| line.contains(&format!("cosmos-es {name}"));
        assert!(examples.lines().any(example), "{name}");
    }
}

#[test]
fn every_command_knows_the_output_format() {
    for command in commands() {
        let name = command.get_name();
        assert!(command.get_arguments().any(|arg| arg.get_long() == Some("output")), "{name}");
    }
}

#[test]
fn keys_do_not_show_in_help() {
    for command in commands() {
        for arg in command.get_arguments().filter(|arg| arg.get_long() == Some("key")) {
            assert!(arg.is_hide_env_values_set(), "{}", command.get_name());
        }
    }
}

#[test]
fn a_store_is_in_one_place() {
    let parse = |args: &[&str]| Cli::try_parse_from(args);
    assert!(parse(&["cosmos-es", "read", "q", "--data-dir", "d"]).is_ok());
    assert!(parse(&["cosmos-es", "read", "q", "--endpoint", "http://localhost:1"]).is_ok());
    let both = ["cosmos-es", "read", "q", "--data-dir", "d", "--endpoint", "http://localhost:1"];
    assert!(parse(&both).is_err());
}

#[test]
fn an_append_has_one_event_or_a_file_of_them() {
    let parse = |args: &[&str]| {
        Cli::try_parse_from(["cosmos-es", "append", "q"].into_iter().chain(args.iter().copied()))
    };
    assert!(parse(&["--type", "T", "--data", "{}"]).is_ok());
    assert!(parse(&["--type", "T", "--data", "-1"]).is_ok());
    assert!(parse(&["--events", "f"]).is_ok());
    for wrong in [
        &["--type", "T"][..],
        &["--data", "{}"],
        &["--events", "f", "--data", "{}"],
        &["--events", "f", "--type", "T", "--data", "{}"],
        &["--events", "f", "--event-id", "67e55044-10b1-426f-9247-bb680e5fe0c8"],
        &[],
    ] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
}
