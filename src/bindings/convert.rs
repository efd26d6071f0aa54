//! Python values to core values and back.
//!
//! Types are compared exactly: a subclass is another type, and guessing would change data in silence. Nothing here
//! imports by a stored name or unpickles.

mod from_python;
mod observe;
mod to_python;
mod types;

pub(super) use from_python::to_value;
pub(super) use observe::{json, observe};
pub(super) use to_python::from_value;
