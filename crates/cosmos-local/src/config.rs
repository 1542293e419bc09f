//! Settings of an endpoint: what a caller may choose, and what it gets when it does not.

use std::path::PathBuf;

use crate::auth::EMULATOR_KEY;

/// How closely the endpoint follows the service where it could be more generous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As the service does: a query over several partitions that needs a plan is refused with
    /// 400/1004, a part of a partition cannot be read, items of one transaction come out of the
    /// change feed in any order, and numbers become binary64. Right for tests.
    #[default]
    Strict,
    /// Answers what the service would leave to the client. Right for looking around by hand and
    /// for clients that do not plan queries.
    Lenient,
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After it is on the disk: acknowledged writes survive `kill -9` and power loss.
    #[default]
    Durable,
    /// Before it is on the disk: `kill -9` or power loss may lose the last second of acknowledged
    /// writes. The folder stays intact. Faster where the disk is slow; for tests.
    Relaxed,
}

/// Everything that can be chosen. Not `Debug`, for the key stays out of logs.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Where the data is kept; `None` is memory.
    pub data_dir: Option<PathBuf>,
    /// Strict or lenient.
    pub mode: Mode,
    /// Port of the endpoint; 0 takes a free one.
    pub port: u16,
    /// Port of the management interface; 0 takes a free one.
    pub management_port: u16,
    /// Physical partitions of a new container; `None` goes by throughput.
    pub partitions: Option<u32>,
    /// When a write is acknowledged.
    pub durability: Durability,
    /// The account key in base64.
    pub key: String,
    /// Memory for pages of the data file; `None` leaves it to storage.
    pub cache_bytes: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: None,
            mode: Mode::default(),
            port: 0,
            management_port: 0,
            partitions: None,
            durability: Durability::default(),
            key: EMULATOR_KEY.to_owned(),
            cache_bytes: None,
        }
    }
}
