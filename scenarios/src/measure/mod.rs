//! What `segsim disk` measures with, one file each: the artifacts, a turn of many workers, and the three that take turns:
//! the engine, the raw floor, and RocksDB's BlobDB.

pub mod artifacts;
pub mod counted;
pub mod engine;
pub mod floor;
pub mod memory;
pub mod turn;
