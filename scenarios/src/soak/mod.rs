//! What `segsim soak` is made of, in reading order: what is put, the lines that a child tells, its surroundings that tell
//! them, the child, its life and death; what is under way in it, what a changing value may be, a directory on disk, what
//! both must agree on, what the parent knows, and what it looks at after a kill; and the cache of a device that loses its
//! power.

pub mod child;
pub mod contents;
pub mod device;
pub mod inspect;
pub mod judge;
pub mod life;
pub mod model;
pub mod register;
pub mod survey;
pub mod telling;
pub mod under_way;
pub mod wire;
