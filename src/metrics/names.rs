//! The exposition format's rules for names, and its escapes.

use super::cells::Kind;
use super::error::MetricError;
use super::registry::DROPS;

/// Checks a metric's name: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub(super) fn check_metric_name(name: &str) -> Result<(), MetricError> {
    if is_name(name, true) { Ok(()) } else { Err(MetricError::Name { name: name.to_owned() }) }
}

/// Checks a metric's label names, each by itself and together.
pub(super) fn check_label_names<'a>(
    metric: &str,
    kind: Kind,
    labels: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), MetricError> {
    for (position, label) in labels.clone().enumerate() {
        let reason = if !is_name(label, false) {
            "it must match [a-zA-Z_][a-zA-Z0-9_]*"
        } else if label.starts_with("__") {
            "names that begin with two underscores are Prometheus' own"
        } else if label == "le" && kind == Kind::Histogram {
            "a histogram writes its buckets under it"
        } else if labels.clone().take(position).any(|earlier| earlier == label) {
            "it is given twice"
        } else {
            continue;
        };
        return Err(MetricError::LabelName { metric: metric.to_owned(), label: label.to_owned(), reason });
    }
    Ok(())
}

/// Who writes samples of this name beside the registry, so that no metric may: Prometheus takes neither of two series
/// that are one.
pub(super) fn reserved_for(sample: &str) -> Option<&'static str> {
    if OF_PROCESS.contains(&sample) {
        Some("the process itself")
    } else if sample.starts_with("hagane_exporter_") || sample.starts_with("hagane_multiprocess_") {
        Some("the exporter itself")
    } else if sample == DROPS {
        Some("the registry itself")
    } else {
        None
    }
}

/// What Prometheus' client libraries write of a process. Other names that begin with `process_` are anybody's.
const OF_PROCESS: [&str; 10] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_network_receive_bytes_total",
    "process_network_transmit_bytes_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
];

fn is_name(name: &str, colon: bool) -> bool {
    let head = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (colon && byte == b':');
    match name.as_bytes() {
        [first, rest @ ..] => head(*first) && rest.iter().all(|&byte| head(byte) || byte.is_ascii_digit()),
        [] => false,
    }
}

/// Appends `text` as HELP wants it: a backslash and a line feed are escaped, a quote is not.
pub(super) fn escape_help(text: &str, out: &mut String) {
    escape(text, false, out);
}

/// Appends `value` as a label's value: a backslash, a line feed and a quote are escaped.
pub(super) fn escape_label_value(value: &str, out: &mut String) {
    escape(value, true, out);
}

fn escape(text: &str, quotes: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_follow_the_exposition_format() {
        for good in ["a", "_a", "http:requests_total", "A9"] {
            assert!(check_metric_name(good).is_ok(), "{good}");
        }
        for bad in ["", "9a", "a-b", "a.b", "a b", "名", "a\n"] {
            assert!(check_metric_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn label_names_are_checked_one_by_one_and_together() {
        let check = |kind, labels: &[&'static str]| check_label_names("m", kind, labels.iter().copied());
        assert!(check(Kind::Counter, &["a", "le"]).is_ok());
        for bad in [&["a:b"][..], &["__name__"], &["a", "b", "a"], &[""]] {
            assert!(check(Kind::Counter, bad).is_err(), "{bad:?}");
        }
        assert!(check(Kind::Histogram, &["le"]).is_err());
    }

    fn unescape(text: &str) -> String {
        let mut out = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match (character, character == '\\') {
                (_, true) => match characters.next() {
                    Some('n') => out.push('\n'),
                    Some(other) => out.push(other),
                    None => panic!("a lone backslash at the end of {text:?}"),
                },
                (other, false) => out.push(other),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn an_escaped_label_value_stays_in_its_quotes_and_comes_back(value in any::<String>()) {
            let mut escaped = String::new();
            escape_label_value(&value, &mut escaped);
            prop_assert!(!escaped.contains('\n'));
            let bare_quote = escaped.replace("\\\\", "").replace("\\\"", "").contains('"');
            prop_assert!(!bare_quote);
            prop_assert_eq!(unescape(&escaped), value);
        }

        #[test]
        fn an_escaped_help_stays_on_its_line_and_comes_back(value in any::<String>()) {
            let mut escaped = String::new();
            escape_help(&value, &mut escaped);
            prop_assert!(!escaped.contains('\n'));
            prop_assert_eq!(unescape(&escaped), value);
        }
    }
}
