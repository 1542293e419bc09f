//! `cosmos-es package`: makes what is deployed.
//!
//! A package is the same whenever and wherever it is made from the same files: names are sorted, times are fixed,
//! and the mode of each file is set here. The bit that lets the program be executed is the one that is missed most.

mod app_root;
mod check;
mod elf;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use self::{app_root::AppRoot, check::PROGRAM};
use super::{CliError, args::Format, output::Output, say, table::counted};

/// The mode of the program.
const PROGRAM_MODE: u32 = 0o755;
/// The mode of everything else.
const FILE_MODE: u32 = 0o644;
/// What is behind the name of a package that is not whole yet.
const UNFINISHED: &str = "part";
const EXAMPLES: &str = "\
functions makes the zip of an Azure Functions app: host.json, a folder for each function, and the program, which can
be executed. Settings are left out, and whatever .funcignore names. The app root is the one that comes with this
program, unless --app-root names another; it is checked first. A function app in Azure runs Linux: the program should
be linked statically (docs/functions.md has the commands). The same files make the same package.

With --output json one object is printed: file, bytes and entries.

Examples:
  cosmos-es package functions --out functions.zip
  cosmos-es package functions --out functions.zip --binary target/x86_64-unknown-linux-musl/release/cosmos-es
  cosmos-es package functions --out functions.zip --app-root functions --force";

/// Make what is deployed: the package of a function app
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct PackageArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// The zip of an Azure Functions app
    Functions(FunctionsPackageArgs),
}

#[derive(Debug, Clone, Args)]
struct FunctionsPackageArgs {
    /// The file to write
    #[arg(long, env = "COSMOS_ES_PACKAGE_OUT", value_name = "FILE.zip")]
    out: PathBuf,
    /// The program to put into it [default: this one]
    #[arg(long, env = "COSMOS_ES_PACKAGE_BINARY", value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Folder with host.json and the functions [default: those that come with this program]
    #[arg(long, env = "COSMOS_ES_PACKAGE_APP_ROOT", value_name = "DIR")]
    app_root: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, env = "COSMOS_ES_PACKAGE_FORCE")]
    force: bool,
}

/// What was made, for programs.
#[derive(Debug, Serialize)]
struct Packaged<'a> {
    file: String,
    bytes: u64,
    entries: Vec<&'a str>,
}

pub(super) fn run(args: &PackageArgs, out: &mut Output<'_>) -> Result<(), CliError> {
    let What::Functions(args) = &args.what;
    let mut app_root = match &args.app_root {
        Some(folder) => AppRoot::read(folder)?,
        None => AppRoot::embedded(),
    };
    let findings = check::findings(&app_root);
    if !findings.is_empty() {
        return Err(CliError::Usage(format!("the app root: {}", findings.join("; "))));
    }
    if args.out.exists() && !args.force {
        let file = args.out.display();
        return Err(CliError::Usage(format!("{file} is there already; --force writes over it")));
    }
    let binary = match &args.binary {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(|source| file_error(Path::new("/"), source))?,
    };
    let program = fs::read(&binary).map_err(|source| file_error(&binary, source))?;
    if let Some(warning) = elf::warning(&program) {
        say(&format!("warning: {} {warning}", binary.display()));
    }
    app_root.files.insert(PROGRAM.to_owned(), program);
    write(&args.out, &app_root)?;
    let bytes = fs::metadata(&args.out).map_err(|source| file_error(&args.out, source))?.len();
    let entries: Vec<&str> = app_root.files.keys().map(String::as_str).collect();
    match out.format() {
        Format::Json => {
            out.json(&Packaged { file: args.out.display().to_string(), bytes, entries })
        }
        Format::Table => {
            let files = counted(u64::try_from(entries.len()).unwrap_or(u64::MAX), "file");
            out.line(&format!("{files} in {} ({bytes} bytes)", args.out.display()))
        }
    }
}

fn file_error(path: &Path, source: io::Error) -> CliError {
    CliError::File { path: path.to_owned(), source }
}

/// Writes a package beside its place, and moves it there when it is whole.
fn write(path: &Path, app_root: &AppRoot) -> Result<(), CliError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".");
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let written = archive(&unfinished, app_root).and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|source| {
        // It may not have been made.
        let _removed = fs::remove_file(&unfinished).is_ok();
        file_error(path, source)
    })
}

fn archive(path: &Path, app_root: &AppRoot) -> io::Result<()> {
    // What was left of an earlier try; or a link that somebody else has put there, which is not followed.
    if fs::symlink_metadata(path).is_ok() {
        fs::remove_file(path)?;
    }
    let mut archive = ZipWriter::new(fs::File::create_new(path)?);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    for (name, content) in &app_root.files {
        let mode = if name == PROGRAM { PROGRAM_MODE } else { FILE_MODE };
        archive.start_file(name.as_str(), options.unix_permissions(mode))?;
        archive.write_all(content)?;
    }
    archive.finish()?.sync_all()
}
