//! The storage engine of one node: a ring of append-only segment files, its metadata in RocksDB.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use segment_engine::{Engine, Limits, LocalEnv};
//!
//! let directory = tempfile::tempdir().unwrap();
//! let limits = Limits::for_budget(64 << 20, 4 << 20).unwrap();
//! let engine = Engine::open(LocalEnv::open(directory.path()).unwrap(), limits).await.unwrap();
//! engine.put(b"key", "an artifact".into()).await.unwrap(); // visible and durable
//! assert_eq!(engine.get(b"key").await.unwrap(), Some("an artifact".into()));
//! engine.rotate(engine.active()).await.unwrap();
//! let evicted = engine.relieve(4 << 20).await.unwrap(); // one segment may stay
//! assert_eq!(evicted.len(), 1);
//! engine.close().await.unwrap();
//! # });
//! ```
//!
//! Read in this order: [`ring`] (the pure value), [`ring_state`] (the only way to change it), [`rotation`],
//! [`eviction`], [`pressure`]; [`manifest`] (an artifact's rows), [`put`] with append and group commit, [`read`],
//! [`refresh`]; [`usage`] and [`capacity`] (whose bytes they are, and what goes when there is no room); [`recovery`]
//! and [`verify`]; [`engine`] (open and close); then the surroundings: [`mod@env`] (the one seam), [`point`], [`disk`], [`catalog`], [`rocks`], [`local`].

mod append;
pub mod capacity;
pub mod catalog;
mod cut_short;
pub mod disk;
pub mod engine;
pub mod env;
pub mod error;
pub mod eviction;
mod group_commit;
pub mod limits;
pub mod local;
mod lock;
pub mod manifest;
pub mod point;
pub mod pressure;
pub mod put;
pub mod read;
pub mod recovery;
pub mod refresh;
pub mod ring;
pub mod ring_state;
pub mod rocks;
pub mod rotation;
pub mod segment;
pub mod usage;
pub mod verify;

pub use engine::Engine;
pub use env::Env;
pub use error::{Error, Result};
pub use limits::{Limits, RingLimits};
pub use local::LocalEnv;
pub use point::Point;
pub use put::{Body, Put};
pub use read::Reader;
pub use recovery::Repair;
pub use ring::{Eviction, Ring};
pub use ring_state::RingState;
pub use rotation::Rotation;
pub use segment::SegmentId;
pub use verify::Disagreement;
