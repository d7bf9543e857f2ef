//! The scenarios of segment-engine and the `segsim` command.

pub mod scenario;
pub mod workload;
