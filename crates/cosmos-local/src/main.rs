//! The `cosmos-local` binary.
#![forbid(unsafe_code)]

fn main() {}
