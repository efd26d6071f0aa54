//! Which scripts the letters of a text belong to.

/// The scripts that are told apart: what agents are mostly asked to write in, and all others together.
pub(in super::super) const SCRIPTS: [&str; 6] = ["Latin", "Han", "kana", "Hangul", "Cyrillic", "other"];

/// Shares of the letters by script, in 255ths.
pub(in super::super) type Shares = [u8; SCRIPTS.len()];

/// The shares of a text's letters, and how many letters there are; none for a text without letters.
pub(in super::super) fn shares(text: &str) -> Option<(Shares, usize)> {
    let mut counts = [0_usize; SCRIPTS.len()];
    for letter in text.chars().filter(|character| character.is_alphabetic()) {
        counts[script(letter)] += 1;
    }
    let letters: usize = counts.iter().sum();
    (letters > 0).then(|| (counts.map(|count| (count as f64 / letters as f64 * 255.0).round() as u8), letters))
}

fn script(letter: char) -> usize {
    match letter {
        'A'..='Z' | 'a'..='z' | '\u{aa}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{ff21}'..='\u{ff5a}' => 0,
        '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => 1,
        '\u{20000}'..='\u{3ffff}' => 1,
        '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => 2,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}' => 3,
        '\u{400}'..='\u{52f}' => 4,
        _ => 5,
    }
}

/// How far two texts are apart by their scripts: 0 for the same shares, 1 for no letter in common.
pub(in super::super) fn distance(one: &[f64; SCRIPTS.len()], other: &Shares) -> f64 {
    one.iter().zip(other).map(|(share, other)| (share - f64::from(*other) / 255.0).abs()).sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dominant(text: &str) -> &'static str {
        let (shares, _) = shares(text).unwrap();
        let place = (0..SCRIPTS.len()).max_by_key(|place| shares[*place]).unwrap();
        SCRIPTS[place]
    }

    #[test]
    fn every_script_is_known() {
        assert_eq!(dominant("Überraschung, naïve"), "Latin");
        assert_eq!(dominant("分析结果如下"), "Han");
        assert_eq!(dominant("これはひらがなとカタカナ"), "kana");
        assert_eq!(dominant("분석 결과입니다"), "Hangul");
        assert_eq!(dominant("результаты анализа"), "Cyrillic");
        assert_eq!(dominant("نتائج التحليل"), "other");
        assert_eq!(shares("123 --- !!"), None);
    }

    #[test]
    fn distance_is_the_share_of_letters_that_changed() {
        let latin = shares("abcd").unwrap().0;
        let as_share = |shares: Shares| shares.map(|share| f64::from(share) / 255.0);
        assert_eq!(distance(&as_share(latin), &latin), 0.0);
        assert_eq!(distance(&as_share(latin), &shares("漢字").unwrap().0), 1.0);
        let half = distance(&as_share(latin), &shares("ab漢字").unwrap().0);
        assert!((half - 0.5).abs() < 0.01);
    }
}
