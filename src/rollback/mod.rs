//! Checkpoints and rollback: what a run does next, what a state looks like on disk, and where it is kept.

mod codec;
pub mod plan;
pub mod snapshot;
pub mod store;
mod value;

pub use codec::MAX_NESTING;
pub use value::{Value, Zone};
