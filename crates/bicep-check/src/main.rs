//! `bicep-check FOLDER` checks the Bicep files of a folder; `bicep-check extract CHECKOUT FOLDER TO` makes the
//! extract of types that they need.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use bicep_check::{Sources, TypesError, carried_types, check, extract};

const USAGE: &str = "bicep-check FOLDER                     checks the Bicep files of a folder
bicep-check extract CHECKOUT FOLDER TO  writes the types that they need, from a checkout of Azure/bicep-types-az";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let lines = match arguments.as_slice() {
        ["extract", checkout, folder, to] => {
            extracted(checkout, folder, to).map(|lines| (lines, true))
        }
        [folder] if !folder.starts_with('-') => checked(folder),
        _ => Ok((vec![USAGE.to_owned()], false)),
    };
    let (lines, is_well) = lines.unwrap_or_else(|error| (vec![error.to_string()], false));
    let mut out: Box<dyn Write> =
        if is_well { Box::new(io::stdout()) } else { Box::new(io::stderr()) };
    let is_written = lines.iter().all(|line| writeln!(out, "{line}").is_ok());
    if is_well && is_written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn checked(folder: &str) -> Result<(Vec<String>, bool), TypesError> {
    let sources = Sources::read(Path::new(folder))?;
    let findings = check(&sources, &carried_types()?);
    if findings.is_empty() {
        return Ok((vec![format!("{} files, nothing found", sources.iter().count())], true));
    }
    Ok((findings.iter().map(ToString::to_string).collect(), false))
}

fn extracted(checkout: &str, folder: &str, to: &str) -> Result<Vec<String>, TypesError> {
    extract(Path::new(checkout), &Sources::read(Path::new(folder))?, Path::new(to))
}
