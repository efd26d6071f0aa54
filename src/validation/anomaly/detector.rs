//! The baseline of one stage: what accepted outputs were like, and what is unusual about the next.

use std::collections::BTreeMap;

use super::super::observed::Observed;
use super::drift::{self, Known};
use super::family::{SILENT_BELOW, decide};
use super::field::Field;
use super::finding::{Finding, Settings, Severity};
use super::numbers::{self, NumberTest, show};
use super::series::RING;
use super::text::Figures;
use super::walk::{OBJECT, Seen, parent, walk};
use super::words;

/// How many paths a stage may have; further ones are not remembered.
pub(super) const MAX_PATHS: usize = 512;
/// Of how many paths numbers and texts are kept.
pub(super) const MAX_MEASURED: usize = 64;
/// The scale of whole numbers is at least half of the step between two of them.
const WHOLE_FLOOR: f64 = 0.5;
/// How many findings an output may have.
const MAX_FINDINGS: usize = 50;

/// The baseline of one stage of one version of a pipeline.
///
/// `judge` never changes it; `observe` teaches it an output that was accepted. It holds no clock and knows no store:
/// `encode` and `decode` (in `codec`) turn it into bytes and back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detector {
    pub(super) outputs: u32,
    pub(super) novel: u32,
    pub(super) fields: BTreeMap<String, Field>,
}

/// What is known of the numbers at one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The path; of a list the number of its elements is meant.
    pub path: String,
    /// How many accepted numbers are remembered.
    pub known: usize,
    /// Their median.
    pub median: f64,
    /// The least number that belongs.
    pub low: f64,
    /// The greatest number that belongs.
    pub high: f64,
    /// How many remembered numbers stand so far off that they do not count as examples.
    pub strangers: usize,
    /// Whether it is a counter or a clock, of which nothing is said.
    pub is_running: bool,
}

impl Detector {
    /// A baseline that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many accepted outputs it knows; the count halves whenever it would exceed the ring.
    #[must_use]
    pub fn outputs(&self) -> u32 {
        self.outputs
    }

    /// Learns an output that was accepted.
    pub fn observe(&mut self, output: &Observed, settings: &Settings) {
        let seen = walk(output, settings);
        let brings_new = !self.is_full() && seen.keys().any(|path| !self.fields.contains_key(path));
        self.novel += u32::from(brings_new && self.outputs as usize >= SILENT_BELOW);
        self.outputs += 1;
        let mut measured = self.fields.values().filter(|field| field.is_measured()).count();
        for (path, here) in &seen {
            if !self.fields.contains_key(path) {
                if self.is_full() {
                    continue;
                }
                self.fields.insert(path.clone(), Field::default());
            }
            let around = parent(path).and_then(|around| seen.get(around));
            let is_complete = around.is_none_or(|around| here.instances() >= around.kinds[OBJECT]);
            let Some(field) = self.fields.get_mut(path) else { continue };
            let was_measured = field.is_measured();
            field.learn(here, is_complete, was_measured || measured < MAX_MEASURED);
            measured += usize::from(!was_measured && field.is_measured());
        }
        if self.outputs as usize >= RING {
            self.fade();
        }
    }

    /// What is unusual about `output`, the surest findings first.
    #[must_use]
    pub fn judge(&self, output: &Observed, settings: &Settings) -> Vec<Finding> {
        let seen = walk(output, settings);
        let mut findings = not_finite(&seen);
        findings.extend(self.unusual_numbers(&seen, settings.alpha));
        findings.extend(self.unusual_texts(&seen, settings.alpha));
        let known = Known { fields: &self.fields, outputs: self.outputs, novel: self.novel, is_full: self.is_full() };
        findings.extend(drift::judge(&known, &seen, settings));
        if !settings.may_act {
            findings.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings.truncate(MAX_FINDINGS);
        findings
    }

    /// What is known of every path with numbers.
    #[must_use]
    pub fn summary(&self) -> Vec<Summary> {
        self.fields.iter().filter_map(|(path, field)| summary(path, field)).collect()
    }

    pub(super) fn is_full(&self) -> bool {
        self.fields.len() >= MAX_PATHS
    }

    /// Halves all counts; a path that has faded away is forgotten.
    fn fade(&mut self) {
        self.outputs /= 2;
        self.novel /= 2;
        self.fields.values_mut().for_each(Field::fade);
        self.fields.retain(|_, field| field.present > 0);
    }

    fn unusual_numbers(&self, seen: &BTreeMap<String, Seen<'_>>, alpha: f64) -> Vec<Finding> {
        let test = |(path, here): (&String, &Seen<'_>)| {
            let (field, number) = (self.fields.get(path)?, here.number?);
            let floor = if here.is_whole { WHOLE_FLOOR } else { 0.0 };
            Some((path.clone(), number, numbers::test(&field.numbers, number, floor, alpha)?))
        };
        let tested: Vec<_> = seen.iter().filter_map(test).collect();
        let tests: Vec<_> = tested.iter().map(|(_, _, found)| found.test).collect();
        let severities = decide(&tests, alpha);
        let say = |((path, number, found), severity): ((String, f64, NumberTest), Option<Severity>)| {
            let (severity, expected) = (severity?, expected_numbers(&found));
            Some(Finding { path, rule: "unusual_value", severity, expected, actual: show(number) })
        };
        tested.into_iter().zip(severities).filter_map(say).collect()
    }

    fn unusual_texts(&self, seen: &BTreeMap<String, Seen<'_>>, alpha: f64) -> Vec<Finding> {
        let (mut findings, mut cases) = (Vec::new(), Vec::new());
        for (path, text) in seen.iter().filter_map(|(path, here)| Some((path, here.text?))) {
            let memory = self.fields.get(path).and_then(|field| field.text.as_deref());
            let figures = Figures::of(text);
            findings.extend(words::signs(path, &figures, memory));
            if let Some(memory) = memory {
                cases.extend(words::cases(path, &figures, memory, alpha));
            }
        }
        let tests: Vec<_> = cases.iter().map(|(test, _)| *test).collect();
        let believed = cases.into_iter().zip(decide(&tests, alpha));
        findings
            .extend(believed.filter_map(|((_, finding), severity)| Some(Finding { severity: severity?, ..finding })));
        findings
    }
}

fn not_finite(seen: &BTreeMap<String, Seen<'_>>) -> Vec<Finding> {
    let say = |(path, here): (&String, &Seen<'_>)| {
        let (number, count) = here.not_finite?;
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        Some(Finding {
            path: path.clone(),
            rule: "not_finite",
            severity: Severity::Action,
            expected: "a finite number".into(),
            actual: format!("{number}{more}"),
        })
    };
    seen.iter().filter_map(say).collect()
}

fn expected_numbers(found: &NumberTest) -> String {
    let (low, high) = (found.spread.median - found.bulk, found.spread.median + found.bulk);
    format!("{} to {}, as in {} accepted outputs", show(low), show(high), found.test.known)
}

fn summary(path: &str, field: &Field) -> Option<Summary> {
    let sorted = field.numbers.sorted();
    let spread = super::spread::Spread::of(sorted, 0.0)?;
    let belonging = spread.belonging(sorted);
    Some(Summary {
        path: path.to_owned(),
        known: sorted.len(),
        median: spread.median,
        low: *belonging.first()?,
        high: *belonging.last()?,
        strangers: sorted.len() - belonging.len(),
        is_running: field.numbers.is_running(),
    })
}
