//! The detector as a whole.

mod behaviour;
mod distributions;
mod false_alarms;

use super::super::observed::Observed;
use super::*;

/// An output with the given entries.
fn object(entries: Vec<(&str, Observed)>) -> Observed {
    Observed::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// An output with numbers under `x0`, `x1`, ...
fn numbers(values: &[f64]) -> Observed {
    let named = values.iter().enumerate().map(|(place, value)| (format!("x{place}"), Observed::Number(*value)));
    Observed::Object(named.collect())
}

/// The rules of all findings with their severities.
fn rules(findings: &[Finding]) -> Vec<(&'static str, Severity)> {
    findings.iter().map(|finding| (finding.rule, finding.severity)).collect()
}
