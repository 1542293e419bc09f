//! `projections`: read models looked after and read, by the built binary, with hosts in the test process.

mod life;
mod place;
mod trouble;
mod without_workers;
