//! A running endpoint: how it is started, what holds it together, how it ends.
//!
//! Every task of an endpoint belongs to one supervisor. The first of them to end, for whatever
//! reason, ends the others; then storage is closed and the folder given back.

mod builder;
mod error;
mod supervise;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::auth::Verifier;
use crate::config::{Durability, Mode, Settings};
use crate::folder::{self, AttachError, EndpointInfo, FolderLock, LockError};
use crate::management::client::Health;
use crate::management::counters::Counters;
use crate::management::faults::Faults;
use crate::management::{self, Control};
use crate::state::ServerState;
use crate::storage::{self, Engine, EngineOptions};
use crate::{server, sweep};

pub use builder::LocalCosmosBuilder;
pub use error::{ShutdownError, StartError};

/// A running endpoint.
///
/// It ends with [`shutdown`](Self::shutdown). Dropping it tells it to end and does not wait.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cosmos_local::LocalCosmos;
///
/// let endpoint = LocalCosmos::builder().start().await?;
/// println!("{}", endpoint.connection_string());
/// endpoint.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LocalCosmos {
    info: EndpointInfo,
    control: Control,
    stop: CancellationToken,
    supervisor: JoinHandle<Result<(), ShutdownError>>,
}

impl LocalCosmos {
    /// An endpoint in memory, strict, on free ports, unless told otherwise.
    pub fn builder() -> LocalCosmosBuilder {
        LocalCosmosBuilder::default()
    }

    /// Address of the endpoint, such as `http://127.0.0.1:8081/`.
    pub fn endpoint(&self) -> &str {
        &self.info.endpoint
    }

    /// Address of the management port.
    pub fn management_endpoint(&self) -> &str {
        &self.info.management_endpoint
    }

    /// The account key in base64.
    pub fn key(&self) -> &str {
        &self.info.key
    }

    /// The connection string that SDKs take.
    pub fn connection_string(&self) -> String {
        self.info.connection_string()
    }

    /// What the management port offers, without HTTP.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Waits until the endpoint is told to stop: by the management port, or because a part of it
    /// failed. Call [`shutdown`](Self::shutdown) then for the outcome.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Ends the requests that have begun, within ten seconds, closes storage and gives the folder
    /// back.
    ///
    /// # Errors
    ///
    /// [`ShutdownError`] when something went wrong on the way, or had ended the endpoint before.
    /// Acknowledged writes are stored in any case.
    pub async fn shutdown(mut self) -> Result<(), ShutdownError> {
        self.stop.cancel();
        let ended = (&mut self.supervisor).await;
        ended.unwrap_or_else(|error| Err(ShutdownError::Failed(error.to_string())))
    }

    /// Finds the endpoint that another process runs on a folder; `None` when nobody uses it.
    ///
    /// A process that has just begun is waited for, up to ten seconds.
    ///
    /// # Errors
    ///
    /// [`AttachError::NotAnswering`] when a process holds the folder and does not answer.
    pub async fn attach(data_dir: &Path) -> Result<Option<EndpointInfo>, AttachError> {
        folder::attach(data_dir).await
    }
}

impl Drop for LocalCosmos {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn start(settings: Settings) -> Result<LocalCosmos, StartError> {
    let verifier = Verifier::new(&settings.key).map_err(|_| StartError::Key)?;
    let lock = match &settings.data_dir {
        Some(folder) => Some(lock(folder).await?),
        None => None,
    };
    let listener = listen(settings.port).await?;
    let management = listen(settings.management_port).await?;
    let info = EndpointInfo {
        endpoint: address(&listener, settings.port)?,
        management_endpoint: address(&management, settings.management_port)?,
        key: settings.key.clone(),
        pid: std::process::id(),
    };
    let engine = open(&settings).await?;
    let state = Arc::new(ServerState {
        engine: engine.clone(),
        verifier,
        strict: settings.mode == Mode::Strict,
        partitions: settings.partitions,
        counters: Counters::default(),
        faults: Faults::default(),
    });
    let stop = CancellationToken::new();
    let control = Control::new(Arc::clone(&state), stop.clone());
    if let (Some(lock), Some(folder)) = (&lock, &settings.data_dir) {
        let failed = |source| StartError::Folder { folder: folder.clone(), source };
        lock.publish(&info).map_err(failed)?;
    }
    let health = serde_json::to_value(health(&settings, &info)).unwrap_or_default();
    let mut tasks = JoinSet::new();
    tasks.spawn(server::serve(listener, state, stop.clone()));
    tasks.spawn(management::serve::serve(management, control.clone(), health, stop.clone()));
    tasks.spawn(sweep::run(engine.clone(), stop.clone()));
    let supervisor = tokio::spawn(supervise::run(tasks, stop.clone(), engine, lock));
    Ok(LocalCosmos { info, control, stop, supervisor })
}

/// Makes the folder when it is missing and takes it for this process. A folder with something else
/// in it is refused before anything is written to it.
async fn lock(folder: &Path) -> Result<FolderLock, StartError> {
    let failed = |source| StartError::Folder { folder: folder.to_owned(), source };
    storage::check_folder(folder)?;
    std::fs::create_dir_all(folder).map_err(failed)?;
    FolderLock::acquire(folder).await.map_err(|error| match error {
        LockError::Io(source) => failed(source),
        LockError::InUse(running) => StartError::InUse { folder: folder.to_owned(), running },
    })
}

async fn open(settings: &Settings) -> Result<Engine, StartError> {
    let mut options = EngineOptions::new(settings.data_dir.clone());
    options.durability = match settings.durability {
        Durability::Durable => storage::Durability::Durable,
        Durability::Relaxed => storage::Durability::Relaxed,
    };
    options.cache_bytes = settings.cache_bytes.unwrap_or(options.cache_bytes);
    let opened = tokio::task::spawn_blocking(move || Engine::open(&options)).await;
    let opened = opened.map_err(|error| StartError::Storage { reason: error.to_string() })?;
    Ok(opened?)
}

/// The loopback interface is the only one that is ever bound: there is no TLS, and the default key
/// is public.
async fn listen(port: u16) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    listener.map_err(|source| StartError::Listen { port, source })
}

fn address(listener: &TcpListener, port: u16) -> Result<String, StartError> {
    let bound = listener.local_addr().map_err(|source| StartError::Listen { port, source })?;
    Ok(format!("http://{bound}/"))
}

fn health(settings: &Settings, info: &EndpointInfo) -> Health {
    let mode = match settings.mode {
        Mode::Strict => "strict",
        Mode::Lenient => "lenient",
    };
    Health {
        status: "ok".to_owned(),
        pid: info.pid,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        endpoint: info.endpoint.clone(),
        data_dir: settings.data_dir.as_ref().map(|folder| folder.display().to_string()),
        mode: mode.to_owned(),
    }
}
