//! The simulated surroundings held to the real ones: the same operations on both, and on a plain model, must get the
//! same answers. And what the simulation takes for granted of a power loss, held to RocksDB on real files.

mod catalog;
mod disk;
mod power_loss;
mod surroundings;
