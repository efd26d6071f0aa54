//! What a registry needs of the processes beside its own.

use std::sync::atomic::AtomicU64;

use super::cells::Layout;
use super::error::MetricError;
use super::exposition::FamilySnapshot;
use super::registry::Registry;

/// Keeps cells where other processes read them, and reads theirs.
pub trait Shelf: Send + Sync {
    /// Writes a family down and returns its number; `None` if there is no room.
    fn family(&self, name: &str, help: &str, open: bool, layout: Layout<'_>) -> Option<u32>;

    /// Words of 0 for a series of a family written down before; `None` if there is no room.
    fn series(&self, family: u32, rendered: &str, width: usize) -> Option<&'static [AtomicU64]>;

    /// What `own` and the registries of all the other processes hold together; an error if those cannot be read.
    fn gather<'a>(&self, own: &'a Registry) -> Result<Vec<FamilySnapshot<'a>>, MetricError>;
}
