//! The scenarios of segment-engine and the `segsim` command.
//!
//! Read in this order: [`workload`] (what callers do), [`act`] (how), [`scenario`] (which workloads there are),
//! [`report`], [`confidence`] (what a sweep without a failure says), [`ci`] (what CI systems are told), [`story`],
//! [`plan_file`] (plans on disk), [`plan_words`] (plans told), [`whole`] (how files are written), [`shell`] (commands that are printed),
//! [`smaller`] and [`sentence`] (what shrinking asks), [`size`], [`claim`] and [`search_file`] (what an exhaustive
//! search is of, says and keeps), [`explain`] (a run drawn), [`export`], [`corpus`] (plans that are kept),
//! [`command`] (one file a command), [`usage`] (command lines that cannot be read), [`mutant`] (patches), [`yard`]
//! (where they are built), [`sources`] (what a binary was built from), [`observed`] (the engine's surroundings, watched),
//! [`measure`] and [`blobdb`] (what `segsim disk` measures), [`soak`] (what `segsim soak` kills).

mod act;
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
pub mod measure;
pub mod mutant;
pub mod observed;
pub mod output;
pub mod plan_file;
pub mod plan_words;
pub mod report;
pub mod scenario;
pub mod search_file;
pub mod sentence;
pub mod shell;
pub mod size;
pub mod smaller;
pub mod soak;
pub mod sources;
pub mod story;
pub mod usage;
pub mod whole;
pub mod workload;
pub mod yard;
