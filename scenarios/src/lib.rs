//! The scenarios of segment-engine and the `segsim` command.
//!
//! Read in this order: [`workload`] (what callers do), [`scenario`] (which workloads there are), [`report`], [`story`],
//! [`command`] (one file a command), [`mutant`] (patches), [`yard`] (where they are built), [`sources`] (which engine a
//! binary was built from), [`measure`] and [`blobdb`] (what `segsim disk` measures), [`soak`] (what `segsim soak` kills).

pub mod blobdb;
pub mod command;
pub mod error;
mod generate;
pub mod measure;
pub mod mutant;
pub mod output;
pub mod report;
pub mod scenario;
pub mod soak;
pub mod sources;
pub mod story;
pub mod workload;
pub mod yard;
