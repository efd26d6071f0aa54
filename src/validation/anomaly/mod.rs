//! Anomaly detection: is an output unlike those that were accepted before?
//!
//! A `Detector` learns accepted outputs of one stage and judges the next one. Three families of tests - numbers, texts,
//! the shape of the output - each keep to a share `alpha` of false alarms, whatever the distribution, as long as
//! outputs come from the same source in any order. Pure: who keeps the state decides where.

mod codec;
mod detector;
mod drift;
mod family;
mod field;
mod finding;
mod numbers;
mod rank;
mod series;
mod spread;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod words;

pub use codec::DecodeError;
pub use detector::{Detector, Summary};
pub use finding::{Finding, Settings, Severity};
