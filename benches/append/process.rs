//! What only whole processes show: the import of a log, its memory, and how soon an endpoint is ready.

/// Imports a log into a fresh folder, then starts the endpoint on that folder after a clean stop and after
/// `kill -9`.
pub(crate) fn import_and_start() {}
