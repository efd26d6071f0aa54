//! What an output must be like: rules over observed data, scores against thresholds, and the verdicts that follow.
//!
//! Pure: no clock, no I/O, no threads.

pub mod anomaly;
mod observed;
mod rules;
mod schema;
mod score;
mod verdict;
mod whole;

pub use observed::Observed;
pub use rules::{Issue, Report, Rules, ScoreRule};
pub use schema::{Schema, SchemaError};
pub use score::{Score, judge};
pub use verdict::{OnFail, Outcome, UnknownAction};
pub use whole::Whole;
