//! Paths that are new, missing, or hold another kind of value than before.

use std::collections::BTreeMap;

use super::family::{SILENT_BELOW, Test, decide};
use super::field::Field;
use super::finding::{Finding, Settings, Severity};
use super::walk::{KINDS, OBJECT, Seen, parent};

/// How many new paths are named in one finding.
const NAMED: usize = 5;

/// The known paths of a stage and how often outputs brought a new one.
pub(super) struct Known<'a> {
    pub fields: &'a BTreeMap<String, Field>,
    /// Accepted outputs.
    pub outputs: u32,
    /// Accepted outputs that brought a new path after the first `SILENT_BELOW`.
    pub novel: u32,
    /// Whether new paths are not remembered any more.
    pub is_full: bool,
}

/// One test of one path and what to say if it is believed.
type Case<'a> = (Test, Option<(&'a str, &'static str, String, &'static str)>);

/// Everything about the paths of an output that accepted outputs do not have.
pub(super) fn judge(known: &Known<'_>, seen: &BTreeMap<String, Seen<'_>>, settings: &Settings) -> Vec<Finding> {
    let judged = known.fields.iter().filter(|(path, _)| !settings.ignores(path));
    let mut cases: Vec<Case<'_>> = judged.map(|(path, field)| path_case(known, path, field, seen)).collect();
    cases.retain(|(test, _)| test.known >= SILENT_BELOW);
    let new = new_paths(known, seen, settings);
    let (news, said) = novelty(known, &new);
    let tests: Vec<Test> = cases.iter().map(|(test, _)| *test).chain([news]).collect();
    let severities = decide(&tests, settings.alpha);
    let believed_news = severities.last().copied().flatten().is_some();
    let found = cases.into_iter().zip(severities).filter_map(|((_, case), severity)| {
        let (path, rule, expected, actual) = case?;
        Some(Finding { path: path.to_owned(), rule, severity: severity?, expected, actual: actual.to_owned() })
    });
    let mut findings: Vec<Finding> = found.collect();
    findings.extend(said.filter(|_| believed_news));
    findings
}

/// What is unusual about one known path; something usual has a p-value of 1.
fn path_case<'a>(known: &Known<'_>, path: &'a str, field: &Field, seen: &BTreeMap<String, Seen<'_>>) -> Case<'a> {
    let objects = |found: Option<&Seen<'_>>| found.map_or(0, |there| there.kinds[OBJECT]);
    let here = seen.get(path);
    let around = parent(path);
    let instances = here.map_or(0, Seen::instances);
    if instances < around.map_or(0, |around| objects(seen.get(around))) {
        let before = around.and_then(|around| known.fields.get(around)).map_or(0, |field| field.kinds[OBJECT]);
        let test = Test::of_a_rare_thing(before.saturating_sub(field.complete) as usize, before as usize);
        let expected = format!("a value, as in {} of {before} accepted outputs", field.complete);
        return (test, Some((path, "missing_path", expected, "missing")));
    }
    let kinds = here.map(|there| there.kinds).unwrap_or_default();
    let strangest = (0..KINDS.len()).filter(|&kind| kinds[kind] > 0).min_by_key(|&kind| field.kinds[kind]);
    let Some(kind) = strangest else {
        return (Test::of_a_rare_thing(field.present as usize, field.present as usize), None);
    };
    let test = Test::of_a_rare_thing(field.kinds[kind] as usize, field.present as usize);
    let usual = (0..KINDS.len()).max_by_key(|&kind| field.kinds[kind]).unwrap_or(kind);
    let expected = format!("{}, as in {} of {} accepted outputs", KINDS[usual], field.kinds[usual], field.present);
    (test, Some((path, "retyped_path", expected, KINDS[kind])))
}

/// Paths that no accepted output had, without those below another new one.
fn new_paths<'a>(known: &Known<'_>, seen: &'a BTreeMap<String, Seen<'_>>, settings: &Settings) -> Vec<&'a str> {
    let is_new = |path: &str| !known.fields.contains_key(path) && !settings.ignores(path);
    let below_known = |path: &str| match parent(path) {
        Some(around) => !is_new(around),
        None => path.strip_suffix("[]").is_none_or(|list| !is_new(list)),
    };
    seen.keys().map(String::as_str).filter(|path| is_new(path) && below_known(path)).collect()
}

/// New fields are no reason to make an output again: the finding is never more than a warning.
fn novelty(known: &Known<'_>, new: &[&str]) -> (Test, Option<Finding>) {
    let judged = (known.outputs as usize).saturating_sub(SILENT_BELOW);
    if new.is_empty() || known.is_full {
        return (Test::of_a_rare_thing(judged, judged), None);
    }
    let more = if new.len() > NAMED { format!(" and {} more", new.len() - NAMED) } else { String::new() };
    let finding = Finding {
        path: new[0].to_owned(),
        rule: "new_path",
        severity: Severity::Warning,
        expected: format!("no fields but those of {} accepted outputs", known.outputs),
        actual: format!("new: {}{more}", new[..new.len().min(NAMED)].join(", ")),
    };
    (Test::of_a_rare_thing(known.novel as usize, judged), Some(finding))
}
