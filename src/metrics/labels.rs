//! From the labels of a call to the one series they name.

use std::borrow::Cow;

use super::cells::Kind;
use super::error::MetricError;
use super::names::{check_label_names, escape_label_value};

/// How a call names a series.
#[derive(Clone, Copy)]
pub enum LabelSet<'a> {
    /// All values, in the order of the family's label names.
    Values(&'a [&'a str]),
    /// All values, by label name.
    Named(&'a [(&'a str, &'a str)]),
    /// Values by label name; a label left out is empty, which to Prometheus is a label that is not there.
    Partial(&'a [(&'a str, &'a str)]),
}

/// A label's value has no more bytes; what is longer is cut there.
pub const MOST_VALUE: usize = 1024;

/// Label names and values in the order in which they are written.
pub(super) type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// The labels of a call, in the order of the metric's label names, or by name if it has none (an open family).
pub(super) fn resolve<'a>(
    metric: &str,
    names: Option<&'a [String]>,
    given: LabelSet<'a>,
) -> Result<Pairs<'a>, MetricError> {
    match (names, given) {
        (Some(names), LabelSet::Values(values)) if names.len() == values.len() => {
            Ok(names.iter().map(String::as_str).zip(values.iter().copied()).collect())
        }
        (None, LabelSet::Values([])) => Ok(Vec::new()),
        (_, LabelSet::Values(values)) => {
            let given = format!("{} values", values.len());
            Err(mismatch(metric, names, given, "give one value per label, in their order, or name them"))
        }
        (Some(names), LabelSet::Named(pairs)) => in_order(metric, names, pairs, true),
        (Some(names), LabelSet::Partial(pairs)) => in_order(metric, names, pairs, false),
        (None, LabelSet::Named(pairs) | LabelSet::Partial(pairs)) => {
            // An empty label is no label to Prometheus: two such series would be one, written twice.
            let mut pairs: Pairs<'a> = pairs.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
            pairs.sort_unstable();
            Ok(pairs)
        }
    }
}

/// Cuts values that are longer than `MOST_VALUE`; returns the name and the length of the first.
pub(super) fn cut_long_values<'a>(pairs: &mut Pairs<'a>) -> Option<(&'a str, usize)> {
    let mut first = None;
    for (name, value) in pairs.iter_mut().filter(|(_, value)| value.len() > MOST_VALUE) {
        first.get_or_insert((*name, value.len()));
        *value = cut(value, MOST_VALUE);
    }
    first
}

/// The beginning of a text, at most so many bytes, no character in part.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

fn in_order<'a>(
    metric: &str,
    names: &'a [String],
    pairs: &'a [(&'a str, &'a str)],
    all: bool,
) -> Result<Pairs<'a>, MetricError> {
    let unknown = pairs.iter().any(|(given, _)| !names.iter().any(|name| name == given));
    if unknown || (all && pairs.len() != names.len()) {
        let given = pairs.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        return Err(mismatch(metric, Some(names), given, "give the metric's own labels"));
    }
    let value = |name: &str| pairs.iter().find(|(given, _)| *given == name).map_or("", |(_, value)| *value);
    Ok(names.iter().map(|name| (name.as_str(), value(name))).collect())
}

fn mismatch(metric: &str, names: Option<&[String]>, given: String, remedy: &'static str) -> MetricError {
    let expected = names.unwrap_or_default().join(", ");
    MetricError::Labels { metric: metric.to_owned(), expected, given, remedy }
}

/// `a="1",b="2"`, escaped.
pub(super) fn render(pairs: &[(&str, &str)]) -> String {
    let mut rendered = String::new();
    for (position, (name, value)) in pairs.iter().enumerate() {
        rendered.push_str(if position == 0 { "" } else { "," });
        rendered.push_str(name);
        rendered.push_str("=\"");
        escape_label_value(value, &mut rendered);
        rendered.push('"');
    }
    rendered
}

/// As `render`, in the one way in which a label set is written wherever it is shown: by name, without empty labels,
/// which to Prometheus are labels that are not there.
pub(super) fn render_canonical(pairs: &[(&str, &str)]) -> String {
    let mut pairs: Pairs<'_> = pairs.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
    pairs.sort_unstable();
    render(&pairs)
}

/// What `render_canonical` writes of the labels that `render` wrote as `text`; `None` if it is not what `render` could
/// have written for a metric of this type.
pub(super) fn canonical(text: &str, kind: Kind) -> Option<Cow<'_, str>> {
    let mut names: [&str; FEW] = [""; FEW];
    let (mut more, mut count) = (Vec::new(), 0);
    let (mut rest, mut last, mut in_order) = (text, "", true);
    while !rest.is_empty() {
        let (name, length, after) = first_label(rest)?;
        match names.get_mut(count) {
            Some(place) => *place = name,
            None => more.push(name),
        }
        count += 1;
        in_order &= last < name && length > 0;
        (rest, last) = (after, name);
    }
    let few = names[..count.min(FEW)].iter().copied();
    check_label_names("", kind, few.chain(more.iter().copied())).ok()?;
    Some(if in_order { text.into() } else { sorted(text).into() })
}

/// The first label's name, the length of its value, and what follows its comma; `None` if `render` wrote no such text.
fn first_label(text: &str) -> Option<(&str, usize, &str)> {
    let (name, after) = text.split_once("=\"")?;
    let length = escaped_length(after)?;
    match &after[length + 1..] {
        "" => Some((name, length, "")),
        more if more.len() > 1 && more.starts_with(',') => Some((name, length, &more[1..])),
        _ => None,
    }
}

/// The same labels by name, the empty ones left out. Values stay as they are escaped: each has one escaped form.
fn sorted(text: &str) -> String {
    let (mut labels, mut rest) = (Vec::new(), text);
    while let Some((name, length, after)) = first_label(rest) {
        if length > 0 {
            labels.push((name, &rest[..name.len() + length + 3]));
        }
        rest = after;
    }
    labels.sort_unstable();
    labels.into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(",")
}

/// So many label names are checked without taking memory for them.
const FEW: usize = 8;

/// How long the value is whose closing quote comes first; `None` if it is not escaped as it should be.
pub(super) fn escaped_length(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            b'\n' => return None,
            b'\\' if !matches!(bytes.next(), Some((_, b'\\' | b'"' | b'n'))) => return None,
            _ => {}
        }
    }
    None
}

/// Bytes that no UTF-8 text contains stand between the parts, so different labels never share a key.
pub(super) fn key_of(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut key = Vec::with_capacity(pairs.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
    for (name, value) in pairs {
        key.extend_from_slice(name.as_bytes());
        key.push(0xFE);
        key.extend_from_slice(value.as_bytes());
        key.push(0xFF);
    }
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_is_cut_between_two_characters_and_said_with_its_length() {
        let long = "鋼".repeat(400);
        let mut pairs: Pairs<'_> = vec![("a", "short"), ("b", &long), ("c", &long)];
        assert_eq!(cut_long_values(&mut pairs), Some(("b", 1200)));
        assert_eq!(pairs.iter().map(|(_, value)| value.len()).collect::<Vec<_>>(), [5, 1023, 1023]);
        assert_eq!(cut_long_values(&mut pairs), None);
    }

    #[test]
    fn labels_that_nobody_rendered_are_told_apart() {
        for bad in ["a", "a=\"", "a=\"1", "a=\"1\",", "a=\"1\"b=\"2\"", "a=\"\\x\"", "a=\"\n\"", "=\"1\"", "a=\"1\"} 5"]
        {
            assert!(canonical(bad, Kind::Counter).is_none(), "{bad}");
        }
        assert!(canonical("a=\"1\",a=\"2\"", Kind::Counter).is_none());
        assert!(canonical("le=\"1\"", Kind::Histogram).is_none());
    }

    proptest! {
        #[test]
        fn labels_in_any_order_with_and_without_empty_ones_are_one_text(
            values in proptest::collection::vec(any::<String>(), 12),
            count in 0..12_usize,
            turn in any::<prop::sample::Index>(),
        ) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
            let mut pairs: Vec<_> = names.into_iter().zip(values.iter().map(String::as_str)).take(count).collect();
            let wanted = render_canonical(&pairs);
            pairs.rotate_left(if count == 0 { 0 } else { turn.index(count) });
            pairs.insert(count / 2, ("nothing", ""));
            let rendered = render(&pairs);
            prop_assert_eq!(canonical(&rendered, Kind::Counter).unwrap(), wanted.as_str());
            prop_assert_eq!(canonical(&wanted, Kind::Counter).unwrap(), wanted.as_str());
            prop_assert_eq!(render_canonical(&pairs), wanted);
        }

        #[test]
        fn two_label_sets_share_a_key_only_if_they_are_the_same(
            one in proptest::collection::vec(("[a-c]{0,2}", "[a-c]{0,2}"), 0..3),
            other in proptest::collection::vec(("[a-c]{0,2}", "[a-c]{0,2}"), 0..3),
        ) {
            let borrow = |pairs: &'_ [(String, String)]| -> Vec<u8> {
                key_of(&pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
            };
            prop_assert_eq!(borrow(&one) == borrow(&other), one == other);
        }
    }
}
