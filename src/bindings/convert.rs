//! Python values to core values and back.
//!
//! Types are compared exactly: a subclass is another type, and guessing would change data in silence. Nothing here
//! imports by a stored name or unpickles.

mod from_python;
mod library;
mod observe;
mod place;
mod registered;
mod structure;
mod to_python;
mod types;

pub(super) use from_python::encode;
pub(super) use observe::{observe, schema};
pub(super) use structure::Shape;
pub(super) use to_python::decode;
