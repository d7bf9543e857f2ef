//! The harness: runs the real engine under a seeded deterministic scheduler and judges what it did.
//!
//! Read in this order. The core, which knows nothing of the engine: [`site`], [`decision`], [`plan`], [`strategy`],
//! [`trace`], [`interference`], [`window`], [`locks`], [`choice`], [`footprint`], [`clocks`], [`conductor`], [`verdict`],
//! [`record`], [`sweep`], [`shrink`], [`known`], [`exhaust`]. The engine's surroundings: [`vocabulary`], [`touches`],
//! [`files`], [`history`], [`lineage`], [`disk`], [`catalog`], [`oracle`], [`watch`], [`world`].

#[cfg(not(all(madsim, tokio_unstable)))]
compile_error!(
    "build inside the workspace, where .cargo/config.toml sets --cfg madsim and --cfg tokio_unstable, \
     and leave RUSTFLAGS unset: it would replace them"
);

pub mod catalog;
pub mod choice;
mod clocks;
pub mod conductor;
pub mod confined;
pub mod decision;
pub mod disk;
pub mod exhaust;
pub mod files;
pub mod footprint;
pub mod history;
pub mod interference;
pub mod known;
pub mod lineage;
pub mod locks;
pub mod oracle;
pub mod plan;
pub mod record;
pub mod shrink;
pub mod site;
pub mod strategy;
pub mod sweep;
pub mod touches;
pub mod trace;
pub mod verdict;
pub mod vocabulary;
pub mod watch;
pub mod window;
pub mod world;
