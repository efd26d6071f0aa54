//! From the labels of a call to the one series they name.

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

/// Whether `text` is what `render` could have written for a metric of this type.
pub(super) fn is_rendered(text: &str, kind: Kind) -> bool {
    let mut names: [&str; FEW] = [""; FEW];
    let (mut more, mut count) = (Vec::new(), 0);
    let mut rest = text;
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once("=\"") else { return false };
        let Some(length) = escaped_length(after) else { return false };
        match names.get_mut(count) {
            Some(place) => *place = name,
            None => more.push(name),
        }
        count += 1;
        rest = match &after[length + 1..] {
            "" => "",
            more if more.len() > 1 && more.starts_with(',') => &more[1..],
            _ => return false,
        };
    }
    let few = names[..count.min(FEW)].iter().copied();
    check_label_names("", kind, few.chain(more.iter().copied())).is_ok()
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
    fn labels_that_nobody_rendered_are_told_apart() {
        for bad in ["a", "a=\"", "a=\"1", "a=\"1\",", "a=\"1\"b=\"2\"", "a=\"\\x\"", "a=\"\n\"", "=\"1\"", "a=\"1\"} 5"]
        {
            assert!(!is_rendered(bad, Kind::Counter), "{bad}");
        }
        assert!(!is_rendered("a=\"1\",a=\"2\"", Kind::Counter));
        assert!(!is_rendered("le=\"1\"", Kind::Histogram));
    }

    proptest! {
        #[test]
        fn what_was_rendered_is_recognised(one in any::<String>(), other in any::<String>()) {
            prop_assert!(is_rendered(&render(&[("a", &one), ("b", &other)]), Kind::Counter));
            prop_assert!(is_rendered("", Kind::Counter));
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
