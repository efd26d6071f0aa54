//! What can be measured about a text without understanding it.

mod phrases;
mod scripts;

pub(super) use scripts::{SCRIPTS, Shares, distance, shares};

/// Only this much from the beginning and as much from the end of a long text is measured, in bytes.
const HALF_SAMPLE: usize = 16_384;
/// Shorter texts have no repetition and no compression ratio, in bytes.
const LEAST_MEASURED: usize = 200;
/// Shorter texts have no script, in letters.
const LEAST_LETTERS: usize = 8;
/// A text that repeats itself at least so much is reported without knowing others.
pub(super) const LOOPING: f64 = 0.9;
/// Repetition is counted over windows of this many characters: longer than most words, shorter than a sentence.
const WINDOW: usize = 16;

/// The figures of one text; none where the text is too short for one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    /// Nothing but white space.
    pub blank: bool,
    /// It begins as JSON and ends before the JSON does.
    pub truncated_json: bool,
    /// A phrase near its beginning with which models refuse.
    pub refusal: Option<&'static str>,
    /// Natural logarithm of one more than the number of characters; a blank text has none.
    pub length: f64,
    /// The share of its character windows that stand in it more than once, 0 to 1.
    pub repetition: Option<f64>,
    /// Compressed size over size.
    pub compression: Option<f64>,
    /// The shares of its letters by script.
    pub scripts: Option<Shares>,
}

impl Figures {
    pub(super) fn of(text: &str) -> Self {
        let sample = sample(text);
        let measured = sample.len() >= LEAST_MEASURED;
        let blank = text.trim().is_empty();
        Self {
            blank,
            truncated_json: phrases::is_truncated_json(text),
            refusal: phrases::refusal(text),
            length: if blank { 0.0 } else { (text.chars().count() as f64).ln_1p() },
            repetition: measured.then(|| repetition(&sample)),
            compression: if measured { compression(&sample) } else { None },
            scripts: shares(&sample).filter(|(_, letters)| *letters >= LEAST_LETTERS).map(|(shares, _)| shares),
        }
    }
}

/// How many characters a logarithmic length stands for.
pub(super) fn characters(length: f64) -> u64 {
    length.exp_m1().round() as u64
}

fn sample(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= 2 * HALF_SAMPLE {
        return text.into();
    }
    let (mut head, mut tail) = (HALF_SAMPLE, text.len() - HALF_SAMPLE);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    [&text[..head], &text[tail..]].concat().into()
}

fn repetition(text: &str) -> f64 {
    let characters: Vec<char> = text.chars().collect();
    let mut windows: Vec<&[char]> = characters.windows(WINDOW).collect();
    if windows.is_empty() {
        return 0.0;
    }
    windows.sort_unstable();
    let all = windows.len();
    windows.dedup();
    1.0 - windows.len() as f64 / all as f64
}

/// Zstandard at its fastest level, because it has no header that would weigh on short texts.
fn compression(text: &str) -> Option<f64> {
    let compressed = zstd::bulk::compress(text.as_bytes(), 1).ok()?;
    Some(compressed.len() as f64 / text.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROSE: &str = "The three species differ most in the length and the depth of the bill, and less in the mass of \
        the body. Gentoo penguins are the heaviest, and their flippers are the longest; males are heavier than females \
        in each of the species. On Torgersen only Adelie penguins were counted, in all three years of the study.";

    #[test]
    fn a_loop_repeats_itself_and_prose_does_not() {
        let stuck = "I will now analyse the data. ".repeat(40);
        let (prose, stuck) = (Figures::of(PROSE), Figures::of(&stuck));
        assert!(prose.repetition.unwrap() < 0.1, "{prose:?}");
        assert!(stuck.repetition.unwrap() > LOOPING, "{stuck:?}");
        assert!(stuck.compression.unwrap() < 0.1 && prose.compression.unwrap() > 0.4);
    }

    #[test]
    fn short_texts_have_no_figures_that_need_length() {
        let figures = Figures::of("ok");
        assert_eq!((figures.repetition, figures.compression, figures.scripts), (None, None, None));
        assert_eq!(characters(figures.length), 2);
        assert!(!figures.blank && Figures::of(" \n\t\u{3000}").blank && Figures::of("").blank);
    }

    #[test]
    fn of_a_long_text_both_ends_are_measured() {
        let text = format!("{}{}", PROSE.repeat(100), "あ".repeat(40_000));
        let shares = Figures::of(&text).scripts.unwrap();
        assert!(shares.iter().filter(|share| **share > 0).count() == 2, "{shares:?}");
        assert_eq!(characters(Figures::of(&text).length), text.chars().count() as u64);
    }

    proptest! {
        #[test]
        fn any_text_has_figures(text in any::<String>(), times in 1..400usize) {
            let figures = Figures::of(&text.repeat(times));
            prop_assert!(figures.length >= 0.0 && figures.length.is_finite());
            prop_assert!(figures.repetition.is_none_or(|share| (0.0..=1.0).contains(&share)));
            prop_assert!(figures.compression.is_none_or(|ratio| ratio > 0.0 && ratio.is_finite()));
        }
    }
}
