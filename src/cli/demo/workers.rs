//! Workers in processes of their own, and what of a processor each of them has.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

use crate::{
    cli::CliError,
    projection::{ReadModels, Version},
};

/// The workers that run. They are killed when this is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    folder: PathBuf,
    running: BTreeMap<String, Child>,
}

/// Which instance has how many leases of live read models.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) leases: BTreeMap<String, usize>,
    /// Leases that nobody has.
    pub(super) free: usize,
    /// Live versions, and how many of them each worker is a host of.
    pub(super) versions: usize,
    pub(super) hosts: BTreeMap<String, usize>,
}

impl Workers {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), running: BTreeMap::new() }
    }

    /// Starts a worker with this name.
    pub(super) fn start(&mut self, name: &str) -> Result<(), CliError> {
        let fault = |source| CliError::File { path: "cosmos-es worker".into(), source };
        let program = std::env::current_exe().map_err(fault)?;
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("COSMOS_ES_") {
                command.env_remove(variable);
            }
        }
        command.args(["worker", "--to", "views", "--instance", name, "--data-dir"]);
        command.arg(&self.folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(fault)?;
        self.running.insert(name.to_owned(), child);
        Ok(())
    }

    /// Kills a worker, as a crash of its machine would.
    pub(super) async fn kill(&mut self, name: &str) -> Result<(), CliError> {
        let Some(mut child) = self.running.remove(name) else { return Ok(()) };
        let killed = child.kill().await;
        killed.map_err(|source| CliError::File { path: "cosmos-es worker".into(), source })
    }

    /// Says so when a worker has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), CliError> {
        for (name, child) in &mut self.running {
            if let Ok(Some(status)) = child.try_wait() {
                let text = format!(
                    "{name} has ended by itself ({status}): run `cosmos-es worker` to see why"
                );
                return Err(CliError::Demo(text));
            }
        }
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.running.keys().cloned().collect()
    }
}

/// The live version of each projection.
pub(super) async fn live(read_models: &ReadModels) -> Result<BTreeMap<String, Version>, CliError> {
    let known = read_models.registry().list().await?;
    let live = known.into_iter().filter_map(|(name, versions)| {
        let live = versions.live().cloned()?;
        read_models.catalog().get(&name).map(|_| (name, live))
    });
    Ok(live.collect())
}

/// Looks who has what.
pub(super) async fn holders(read_models: &ReadModels) -> Result<Holders, CliError> {
    let mut holders = Holders::default();
    for (name, version) in live(read_models).await? {
        let overview = read_models.overview(&name, version.number).await?;
        holders.versions = holders.versions.saturating_add(1);
        let members = overview.topology.map(|topology| topology.members).unwrap_or_default();
        let instances: BTreeMap<String, String> = overview
            .hosts
            .into_iter()
            .filter(|host| members.contains(&host.incarnation))
            .map(|host| (host.incarnation, host.instance))
            .collect();
        for instance in instances.values() {
            let count = holders.hosts.entry(instance.clone()).or_default();
            *count = count.saturating_add(1);
        }
        if overview.leases.is_empty() {
            holders.free = holders.free.saturating_add(1);
        }
        for lease in overview.leases {
            match lease.owner.and_then(|owner| instances.get(&owner)) {
                Some(instance) => {
                    let count = holders.leases.entry(instance.clone()).or_default();
                    *count = count.saturating_add(1);
                }
                None => holders.free = holders.free.saturating_add(1),
            }
        }
    }
    Ok(holders)
}
