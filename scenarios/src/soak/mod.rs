//! What `segsim soak` is made of, in reading order: what is put, the lines that a child tells, its surroundings that tell
//! them, the child, its life and death; what is under way in it, what a changing value may be, a directory on disk, what
//! both must agree on, what the parent knows, and what it looks at after a kill; a device's cache, the device, what the
//! kernel sees of it, the process that serves it, the mounts on it, and the machine whose power the parent cuts.

pub mod child;
pub mod contents;
pub mod device;
pub mod fuse;
pub mod inspect;
pub mod judge;
pub mod life;
pub mod machine;
pub mod model;
pub mod mount;
pub mod powered;
pub mod register;
pub mod serve;
pub mod survey;
pub mod telling;
pub mod under_way;
pub mod wire;
