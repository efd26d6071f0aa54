//! Checkpoints and rollback: what a run does next, what a state looks like on disk, and where it is kept.

mod codec;
pub mod plan;
pub mod snapshot;
pub mod store;
mod value;

pub use codec::{Build, Entries, MAX_NESTING, Malformed, Sequence, Writer, read_with, tag};
pub use value::{Value, Zone};
