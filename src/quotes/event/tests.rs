//! The names, the versions and the fixtures.
