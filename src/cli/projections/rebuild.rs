//! `cosmos-es projections rebuild`: a version beside the live one, compared and switched to.

use std::{io::IsTerminal as _, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::check;
use crate::{
    cli::{
        CliError,
        args::{Format, TargetArgs},
        output::Output,
        say,
        table::{counted, grouped},
        worker::host::default_instance,
    },
    event::write_infallibly,
    projection::{
        Compare, Drift, ReadModels, RebuildError, RebuildOptions, RebuildProgress, Rebuilt,
    },
};

/// What the bar is made of.
const BAR_STEPS: u64 = 1000;
const BAR: &str = "  {prefix}  [{bar:20}]  {msg}";
const LINE: &str = "  {msg}";

const EXAMPLES: &str = "\
Workers go on with the live version, and join the new one within 5 seconds. When everything is in, views of the
two are compared - the first and last of each shard, about 1,000, unless --compare says otherwise; totals are all
compared - and readers use the new one. The former becomes the previous one: `rollback` goes back, `clean`
removes it. A rebuild that was stopped or killed goes on with the next call.

Where workers keep the live version up to date, one has to keep the new one too before it becomes live: they
must have the same code as this program. It does not become live as long as streams of it are parked.

With --output json the result is one object: projection, version, former, events, seconds, drift, live and
attended, which says whether a worker keeps it up to date. On a terminal progress is shown on standard error.

Examples:
  cosmos-es projections rebuild stream-summary
  cosmos-es projections rebuild stream-summary --compare all --stop-on-drift
  cosmos-es projections rebuild type-totals --no-switch";

/// Build a read model anew beside the live one, compare the two, and let readers use it
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RebuildArgs {
    /// The projection
    #[arg(value_name = "NAME")]
    name: String,
    /// How many views are compared with those of the live version: all, none, or about so many
    #[arg(
        long,
        env = "COSMOS_ES_PROJECTIONS_COMPARE",
        default_value = "1000",
        value_name = "all|none|N",
        value_parser = parse_compare
    )]
    compare: Compare,
    /// Leave readers with the version that they use
    #[arg(long, env = "COSMOS_ES_PROJECTIONS_NO_SWITCH")]
    no_switch: bool,
    /// Leave readers with the version that they use where the two differ, and fail
    #[arg(long, env = "COSMOS_ES_PROJECTIONS_STOP_ON_DRIFT")]
    stop_on_drift: bool,
    /// Name of this process, for people [default: name of the machine and number of the process]
    #[arg(long, env = "COSMOS_ES_WORKER_INSTANCE", value_name = "NAME")]
    instance: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

fn parse_compare(text: &str) -> Result<Compare, String> {
    match text {
        "all" => Ok(Compare::All),
        "none" | "0" => Ok(Compare::Nothing),
        number => {
            number.parse().map(Compare::Sample).map_err(|_| "expected all, none or a number".into())
        }
    }
}

/// What it came to, for programs.
#[derive(Debug, Serialize)]
struct RebuiltLine<'a> {
    projection: &'a str,
    version: u32,
    former: Option<u32>,
    events: u64,
    seconds: f64,
    drift: Option<&'a Drift>,
    live: bool,
    attended: bool,
}

pub(super) async fn run(
    args: &RebuildArgs,
    read_models: &ReadModels,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let name = args.name.as_str();
    check(read_models, name)?;
    let instance = args.instance.clone().unwrap_or_else(default_instance);
    let mut options = RebuildOptions::new(instance);
    options.compare = args.compare;
    options.switches = !args.no_switch;
    options.stops_at_drift = args.stop_on_drift;
    let bar = Bar::new();
    let rebuilding = read_models.rebuild(name, &options, |progress| bar.show(&progress), stop);
    let rebuilt = Box::pin(rebuilding).await;
    bar.clear();
    let rebuilt = rebuilt.map_err(|error| of_projection(error, name))?;
    match out.format() {
        Format::Json => out.json(&line(name, &rebuilt))?,
        Format::Table => print(name, &rebuilt, out)?,
    }
    let differs = rebuilt.drift.as_ref().is_some_and(|drift| !drift.is_none());
    if args.stop_on_drift && differs {
        let version = rebuilt.version;
        return Err(CliError::Drift(format!(
            "version {version} differs from the live one and does not become live: see which one is right with \
             `cosmos-es projections verify {name}`, then call again without --stop-on-drift, or give it up \
             with `cosmos-es projections clean {name} --version {version}`"
        )));
    }
    Ok(())
}

/// The failure, with the names that the next command needs.
fn of_projection(error: RebuildError, name: &str) -> CliError {
    match error {
        RebuildError::Parked { version, streams } => CliError::Parked(format!(
            "{} parked in version {version}, so it does not become live: `cosmos-es parked --processor \
             {name}@{version}` says why; let what is parked be tried again with `redrive` and call again, or give the \
             version up with `cosmos-es projections clean {name} --version {version}`",
            if streams == 1 { "1 stream is".to_owned() } else { format!("{streams} streams are") },
        )),
        other => other.into(),
    }
}

fn line<'a>(name: &'a str, rebuilt: &'a Rebuilt) -> RebuiltLine<'a> {
    RebuiltLine {
        projection: name,
        version: rebuilt.version,
        former: rebuilt.former,
        events: rebuilt.events,
        seconds: rebuilt.time.as_secs_f64(),
        drift: rebuilt.drift.as_ref(),
        live: rebuilt.is_live,
        attended: rebuilt.is_attended,
    }
}

fn print(name: &str, rebuilt: &Rebuilt, out: &mut Output<'_>) -> Result<(), CliError> {
    let Rebuilt { version, former, events, time, drift, is_live, is_attended, .. } = rebuilt;
    out.line(&format!(
        "{name} version {version}: complete after {:.1} s, {} by this process",
        time.as_secs_f64(),
        counted(*events, "event"),
    ))?;
    if let (Some(drift), Some(former)) = (drift, former) {
        let found = match drift.different {
            0 => "no difference".to_owned(),
            number => counted(number, "difference"),
        };
        out.line(&format!(
            "compared with version {former}: {} compared, {found}",
            grouped(drift.compared)
        ))?;
        differences(drift, out)?;
    }
    let live = match (is_live, former) {
        (true, Some(former)) => {
            format!("version {version} is live, version {former} is the previous one")
        }
        (true, None) => format!("version {version} is live"),
        (false, Some(former)) => format!("version {former} stays live"),
        (false, None) => "no version is live".to_owned(),
    };
    out.line(&live)?;
    if *is_live && !is_attended {
        say("no worker keeps it up to date: start `cosmos-es worker` or `cosmos-es serve`");
    }
    Ok(())
}

/// Prints the first differences.
pub(super) fn differences(drift: &Drift, out: &mut Output<'_>) -> Result<(), CliError> {
    for one in &drift.examples {
        let key = one.key.replace(char::is_control, "?");
        let part =
            one.part.as_ref().map(|part| format!(" ({})", part.replace(char::is_control, "?")));
        out.line(&format!("  {key}{} {}", part.unwrap_or_default(), one.what))?;
    }
    let shown = u64::try_from(drift.examples.len()).unwrap_or(u64::MAX);
    match drift.different.saturating_sub(shown) {
        0 => Ok(()),
        more => out.line(&format!("  and {} more", grouped(more))),
    }
}

/// A line on a terminal that says how far it is; nothing where nobody looks.
#[derive(Debug)]
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    pub(super) fn new() -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr();
            ProgressBar::with_draw_target(Some(BAR_STEPS), target)
        }))
    }

    /// Shows a text.
    pub(super) fn say(&self, text: &str) {
        self.paint(LINE, text);
    }

    fn show(&self, progress: &RebuildProgress) {
        if let Some(bar) = &self.0 {
            bar.set_position(steps(progress.fraction));
            bar.set_prefix(format!("version {}", progress.version));
        }
        self.paint(BAR, &shown(progress));
    }

    fn paint(&self, template: &str, text: &str) {
        let Some(bar) = &self.0 else { return };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(text.replace(char::is_control, "?"));
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn steps(fraction: f64) -> u64 {
    let permille = Duration::try_from_secs_f64(fraction.clamp(0.0, 1.0)).unwrap_or_default();
    u64::try_from(permille.as_millis()).unwrap_or_default()
}

fn shown(progress: &RebuildProgress) -> String {
    let percent = steps(progress.fraction).checked_div(10).unwrap_or_default();
    let mut text = format!(
        "{percent} %  {}  {:.0} events/s",
        counted(progress.events, "event"),
        progress.events_per_second
    );
    if let Some(left) = progress.left.filter(|_| progress.fraction < 1.0) {
        write_infallibly(&mut text, format_args!("  {} s left", grouped(left.as_secs())));
    }
    if progress.parked > 0 {
        write_infallibly(&mut text, format_args!("  {} parked", progress.parked));
    }
    text
}
