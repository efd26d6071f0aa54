//! The texts of an output against the texts of their fields.

use super::family::{SILENT_BELOW, Test};
use super::field::{REFUSAL, TRUNCATED, TextMemory};
use super::finding::{Finding, Severity};
use super::numbers::{self, NumberTest, show};
use super::series::Series;
use super::text::{Figures, LOOPING, SCRIPTS, Shares, characters, distance};

/// A sign that more accepted texts than this share have is usual for its field.
const USUAL: f64 = 0.05;
/// Lengths are compared by their logarithm; one scale is at least a factor of e^0.35, so a stranger is 16 times as long.
const LENGTH_FLOOR: f64 = 0.35;
/// Repetition and compression are shares; differences of a few hundredths say nothing.
const SHARE_FLOOR: f64 = 0.05;
/// Below this many characters texts are labels, whose lengths say nothing about each other.
const LABEL: f64 = 40.0;
/// A text with fewer changed letters than this share is not far off in its script.
const OTHER_SCRIPT: f64 = 0.5;
/// Of so many remembered texts, those with the most unusual scripts do not count as examples.
const SCRIPT_OUTLIERS: f64 = 0.08;

/// A test of the text family, and what to say if it is believed.
pub(super) type Case = (Test, Finding);

/// What a text says of itself, whatever others are like; usual signs are left out.
pub(super) fn signs(path: &str, figures: &Figures, memory: Option<&TextMemory>) -> Vec<Finding> {
    let is_usual = |sign: usize| {
        memory.is_some_and(|memory| {
            memory.signs.len() >= SILENT_BELOW && memory.count(sign) as f64 > USUAL * memory.signs.len() as f64
        })
    };
    let mut found = Vec::new();
    if figures.truncated_json && !is_usual(TRUNCATED) {
        found.push(finding(path, "truncated_json", Severity::Action, "whole JSON", "JSON that ends too early".into()));
    }
    if let Some(phrase) = figures.refusal
        && !is_usual(REFUSAL)
    {
        found.push(finding(path, "refusal", Severity::Warning, "an answer", format!("a refusal: \"{phrase}\"")));
    }
    let knows_loops = memory.is_some_and(|memory| memory.repetition.len() >= SILENT_BELOW);
    if let Some(share) = figures.repetition.filter(|share| *share >= LOOPING && !knows_loops) {
        found.push(finding(path, "repetition", Severity::Warning, "a text that goes on", repeated(share)));
    }
    found
}

/// The tests that compare a text with those of its field.
pub(super) fn cases(path: &str, figures: &Figures, memory: &TextMemory, alpha: f64) -> Vec<Case> {
    let known = memory.signs.len();
    let mut cases = Vec::new();
    cases.extend(length_case(path, figures, &memory.length, alpha));
    if let Some((share, found)) = share_test(&memory.repetition, figures.repetition, alpha) {
        let expected = format!("a share of repeated passages {}", around(&found, known));
        cases.push((found.test, finding(path, "repetition", Severity::Warning, &expected, repeated(share))));
    }
    if let Some((ratio, found)) = share_test(&memory.compression, figures.compression, alpha) {
        let expected = format!("a compression ratio {}", around(&found, known));
        cases.push((found.test, finding(path, "compression", Severity::Warning, &expected, show(ratio))));
    }
    if let Some((shares, test)) = figures.scripts.and_then(|shares| Some((shares, script_test(memory, &shares)?))) {
        let expected =
            format!("letters as in {known} accepted texts ({})", script_words(&memory.mean_scripts(&shares)));
        let actual = script_words(&shares.map(|share| f64::from(share) / 255.0));
        cases.push((test, finding(path, "script", Severity::Warning, &expected, actual)));
    }
    cases
}

fn length_case(path: &str, figures: &Figures, lengths: &Series, alpha: f64) -> Option<Case> {
    let found = numbers::test(lengths, figures.length, LENGTH_FLOOR, alpha)?;
    let label = LABEL.ln_1p();
    if !figures.blank && figures.length < label && found.spread.median < label {
        return None;
    }
    let (low, high) = (found.spread.median - found.bulk, found.spread.median + found.bulk);
    let bounds = format!("{} to {} characters", characters(low.max(0.0)), characters(high));
    let expected = format!("{bounds}, as in {} accepted outputs", lengths.len());
    Some(if figures.blank {
        (found.test, finding(path, "empty_text", Severity::Warning, &expected, "nothing but white space".into()))
    } else {
        let actual = format!("{} characters", characters(figures.length));
        (found.test, finding(path, "unusual_length", Severity::Warning, &expected, actual))
    })
}

fn share_test(series: &Series, share: Option<f64>, alpha: f64) -> Option<(f64, NumberTest)> {
    let share = share?;
    Some((share, numbers::test(series, share, SHARE_FLOOR, alpha)?))
}

/// The rank test on the distance from the mean shares, the candidate's among them.
fn script_test(memory: &TextMemory, shares: &Shares) -> Option<Test> {
    let known = memory.scripts.len();
    if known < SILENT_BELOW {
        return None;
    }
    let mean = memory.mean_scripts(shares);
    let own = distance(&mean, shares);
    let mut distances: Vec<f64> = memory.scripts.iter().map(|shares| distance(&mean, shares)).collect();
    distances.sort_by(f64::total_cmp);
    let no_nearer = known - distances.partition_point(|&distance| distance < own);
    let p_value = (no_nearer + 1) as f64 / (known + 1) as f64;
    let usual = distances[((1.0 - SCRIPT_OUTLIERS) * (known - 1) as f64) as usize];
    let apart = if own > OTHER_SCRIPT { own / usual } else { 0.0 };
    Some(Test { p_value, examples: known, known, apart })
}

fn around(found: &NumberTest, known: usize) -> String {
    let (low, high) = (found.spread.median - found.bulk, found.spread.median + found.bulk);
    format!("from {} to {}, as in {known} accepted texts", show(low.max(0.0)), show(high))
}

fn repeated(share: f64) -> String {
    format!("{} % of it is repeated", show((share * 100.0).round()))
}

fn script_words(shares: &[f64; SCRIPTS.len()]) -> String {
    let there = SCRIPTS.iter().zip(shares).filter(|(_, share)| **share >= 0.01);
    there.map(|(name, share)| format!("{name} {:.0} %", share * 100.0)).collect::<Vec<_>>().join(", ")
}

fn finding(path: &str, rule: &'static str, severity: Severity, expected: &str, actual: String) -> Finding {
    Finding { path: path.to_owned(), rule, severity, expected: expected.to_owned(), actual }
}
