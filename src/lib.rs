//! hagane (鋼, steel): a sandbox that holds, gates and rollback, and honest monitoring for agent programs.
//!
//! The core modules know nothing of Python; `bindings` is the only place that does.
#![deny(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod metrics;
pub mod rollback;
pub mod sandbox;
pub mod validation;

#[cfg(feature = "python")]
mod bindings;
