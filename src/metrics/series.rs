//! One series: a set of labels and its cell, with what only some of them have.

use std::sync::OnceLock;

use super::cells::Counter;
use super::error::MetricError;
use super::exemplars::Exemplars;
use super::exposition::Exemplar;
use super::histogram::Histogram;
use super::native::Native;

/// One series: its labels, rendered once, and its cell.
pub struct Series<C> {
    pub(super) labels: Box<[(String, String)]>,
    pub(super) rendered: String,
    /// The value.
    pub cell: C,
    // When it was made, in seconds since the epoch.
    pub(super) created: f64,
    pub(super) exemplars: Exemplars,
    pub(super) native: OnceLock<Box<Native>>,
}

impl<C> Series<C> {
    /// Label names and values, in the order of the metric's label names.
    pub fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    /// `a="1",b="2"`, escaped, by name and without empty values; empty for a series without labels.
    pub(super) fn rendered(&self) -> &str {
        &self.rendered
    }

    pub(super) fn created(&self) -> f64 {
        self.created
    }

    pub(super) fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }

    pub(super) fn native(&self) -> Option<&Native> {
        self.native.get().map(Box::as_ref)
    }
}

impl Series<Counter> {
    /// Adds an amount and keeps the exemplar. Nothing is kept of an amount that is refused.
    pub fn increment(&self, amount: f64, exemplar: Exemplar) -> Result<(), MetricError> {
        self.cell.increment(amount)?;
        self.exemplars.put(1, 0, exemplar);
        Ok(())
    }
}

impl Series<Histogram> {
    /// Counts a value, also on the logarithmic scale if the family keeps one.
    #[inline]
    pub fn observe(&self, value: f64) -> Result<(), MetricError> {
        self.cell.observe(value)?;
        if let Some(native) = self.native.get() {
            native.observe(value);
        }
        Ok(())
    }

    /// Keeps the exemplar of a value that was observed.
    pub fn exemplify(&self, value: f64, exemplar: Exemplar) {
        let bounds = self.cell.bounds();
        self.exemplars.put(bounds.as_slice().len() + 1, bounds.bucket(value), exemplar);
    }
}
