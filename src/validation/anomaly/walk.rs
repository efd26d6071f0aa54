//! An output as paths: what each path holds, with all elements of a list under one path.

use std::collections::BTreeMap;

use super::super::observed::Observed;
use super::finding::Settings;

/// Names of the kinds, in the order of their places in `Seen::kinds` and of the counts that are kept.
pub(super) const KINDS: [&str; 7] = ["null", "boolean", "number", "string", "array", "object", "something else"];
/// The place of objects among the kinds.
pub(super) const OBJECT: usize = 5;
/// A path that would be longer is not followed.
const LONGEST_PATH: usize = 512;

/// What one output has at one path.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen<'a> {
    /// How often each kind stands there.
    pub kinds: [usize; KINDS.len()],
    /// The number, if the path is outside of lists; or how many elements a list has.
    pub number: Option<f64>,
    /// Whether that number counts something: whole numbers are a step apart at least.
    pub is_whole: bool,
    /// The text, if the path is outside of lists.
    pub text: Option<&'a str>,
    /// The numbers there that are NaN or infinite: one of them, and how many.
    pub not_finite: Option<(f64, usize)>,
}

impl Seen<'_> {
    /// How many values stand there.
    pub(super) fn instances(&self) -> usize {
        self.kinds.iter().sum()
    }

    fn note_number(&mut self, value: &Observed, in_list: bool) {
        let Some(number) = value.number() else { return };
        if !number.is_finite() {
            let count = self.not_finite.map_or(0, |(_, count)| count);
            self.not_finite = Some((number, count + 1));
        } else if !in_list {
            (self.number, self.is_whole) = (Some(number), matches!(value, Observed::Integer(_)));
        }
    }
}

/// Everything that `output` has, by path. Objects are followed, lists become `path[]`.
pub(super) fn walk<'a>(output: &'a Observed, settings: &Settings) -> BTreeMap<String, Seen<'a>> {
    let mut walker = Walker { seen: BTreeMap::new(), settings };
    walker.visit("", output, false);
    walker.seen
}

/// The object that `path` is an entry of.
pub(super) fn parent(path: &str) -> Option<&str> {
    if path.is_empty() || path.ends_with("[]") { None } else { Some(path.rfind('.').map_or("", |dot| &path[..dot])) }
}

struct Walker<'a, 's> {
    seen: BTreeMap<String, Seen<'a>>,
    settings: &'s Settings,
}

impl<'a> Walker<'a, '_> {
    fn visit(&mut self, path: &str, value: &'a Observed, in_list: bool) {
        if path.len() > LONGEST_PATH || self.settings.ignores(path) {
            return;
        }
        self.note(path, value, in_list);
        match value {
            Observed::Object(entries) => {
                for (key, entry) in entries {
                    // A dot in a key would make two places one; such a key is written so that it stays apart.
                    let key = key.replace('.', "\u{b7}");
                    let below = if path.is_empty() { key } else { format!("{path}.{key}") };
                    self.visit(&below, entry, in_list);
                }
            }
            Observed::Array(items) => {
                let element = format!("{path}[]");
                items.iter().for_each(|item| self.visit(&element, item, true));
            }
            _ => {}
        }
    }

    fn note(&mut self, path: &str, value: &'a Observed, in_list: bool) {
        if !self.seen.contains_key(path) {
            self.seen.insert(path.to_owned(), Seen::default());
        }
        let Some(seen) = self.seen.get_mut(path) else { return };
        seen.kinds[kind(value)] += 1;
        match value {
            Observed::Integer(_) | Observed::Number(_) => seen.note_number(value, in_list),
            _ if in_list => {}
            Observed::Array(items) => (seen.number, seen.is_whole) = (Some(items.len() as f64), true),
            Observed::String(text) => seen.text = Some(text),
            _ => {}
        }
    }
}

fn kind(value: &Observed) -> usize {
    match value {
        Observed::Null => 0,
        Observed::Bool(_) => 1,
        Observed::Integer(_) | Observed::Number(_) => 2,
        Observed::String(_) => 3,
        Observed::Array(_) => 4,
        Observed::Object(_) => OBJECT,
        Observed::Other(_) => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(entries: &[(&str, Observed)]) -> Observed {
        Observed::Object(entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect())
    }

    #[test]
    fn elements_of_a_list_share_a_path() {
        let row = |mass| object(&[("mass", Observed::Number(mass))]);
        let output = object(&[
            ("rows", Observed::Array(vec![row(1.0), row(f64::NAN), row(f64::INFINITY), object(&[])])),
            ("note", Observed::String("x".into())),
        ]);
        let seen = walk(&output, &Settings::default());
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["", "note", "rows", "rows[]", "rows[].mass"]);
        assert_eq!(seen["rows"].number, Some(4.0));
        assert_eq!(seen["rows[].mass"].number, None);
        assert_eq!(seen["rows[].mass"].instances(), 3);
        assert_eq!(seen["rows[].mass"].not_finite, Some((f64::INFINITY, 2)));
        assert_eq!(seen["note"].text, Some("x"));
    }

    #[test]
    fn the_parent_of_a_path_is_the_object_around_it() {
        assert_eq!(["a", "a.b", "rows[].mass"].map(parent), [Some(""), Some("a"), Some("rows[]")]);
        assert_eq!(["", "rows[]"].map(parent), [None, None]);
    }

    #[test]
    fn ignored_and_endless_paths_are_not_followed() {
        let settings = Settings { ignored: vec!["a".into()], ..Settings::default() };
        let output = object(&[("a", object(&[("b", Observed::Null)])), (&"k".repeat(600), Observed::Null)]);
        assert_eq!(walk(&output, &settings).into_keys().collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn keys_with_dots_are_no_paths() {
        let seen = object(&[("a.b", Observed::Null)]);
        assert!(walk(&seen, &Settings::default()).contains_key("a\u{b7}b"));
    }
}
