//! The scenarios of segment-engine and the `segsim` command.
//!
//! Read in this order: [`workload`] (what callers do), [`act`] (how), [`scenario`] (which workloads there are),
//! [`report`], [`confidence`] (what a sweep without a failure says), [`ci`] (what CI systems are told), [`trace_text`],
//! [`plan_file`] (plans on disk), [`plan_words`] (plans told), [`atomic_file`] (how files are written), [`shell`]
//! (commands that are printed), [`shrink_workload`] and [`sentence`] (what shrinking asks), [`size`], [`claim`] and
//! [`search_file`] (what an exhaustive search is of, says and keeps), [`explain`] (a run drawn), [`export`], [`corpus`]
//! (plans that are kept), [`command`] (one file a command), [`usage`] (command lines that cannot be read), [`mutant`]
//! (patches), [`patched_build`] (where they are built), [`sources`] (what a binary was built from), [`observed`] (the
//! engine's surroundings, watched), [`measure`] and [`blobdb`] (what `segsim disk` measures), [`soak`]
//! (what `segsim soak` kills).

mod act;
pub mod atomic_file;
#[cfg(feature = "real-disk")]
pub mod blobdb;
pub mod ci;
pub mod claim;
pub mod command;
pub mod confidence;
pub mod corpus;
pub mod error;
pub mod explain;
pub mod export;
mod generate;
#[cfg(feature = "real-disk")]
pub mod measure;
pub mod mutant;
#[cfg(feature = "real-disk")]
pub mod observed;
pub mod output;
pub mod patched_build;
pub mod plan_file;
pub mod plan_words;
pub mod report;
pub mod scenario;
pub mod search_file;
pub mod sentence;
pub mod shell;
pub mod shrink_workload;
pub mod size;
#[cfg(feature = "real-disk")]
pub mod soak;
pub mod sources;
pub mod trace_text;
pub mod usage;
pub mod workload;
