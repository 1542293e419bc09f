//! The `cosmos-es` binary.
#![forbid(unsafe_code)]

fn main() {}
