//! A series' labels, back from the text they were rendered to once.

use std::borrow::Cow;

/// Names and values of `a="1",b="2"` as `metrics::labels::render` writes it.
pub(in crate::metrics) fn pairs(rendered: &str) -> Pairs<'_> {
    Pairs(rendered)
}

/// What is still to be read.
pub(in crate::metrics) struct Pairs<'a>(&'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.trim_start_matches(',').split_once("=\"")?;
        let end = closing_quote(rest)?;
        self.0 = &rest[end + 1..];
        Some((name, unescape(&rest[..end])))
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => out.push('\n'),
                other => out.extend(other),
            },
            (other, false) => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::labels::render;

    proptest! {
        #[test]
        fn labels_come_back_as_they_were(given in proptest::collection::vec(("[a-z_]{1,5}", any::<String>()), 0..4)) {
            let borrowed: Vec<_> = given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let rendered = render(&borrowed);
            let back: Vec<_> = pairs(&rendered).map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
            prop_assert_eq!(back, given);
        }

        #[test]
        fn no_text_brings_the_reader_down(text in any::<String>()) {
            prop_assert!(pairs(&text).count() <= text.len());
        }
    }
}
