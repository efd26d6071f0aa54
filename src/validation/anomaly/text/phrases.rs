//! Texts that say of themselves that something went wrong: cut JSON, and a model's refusal.

use serde::de::IgnoredAny;

/// Refusals stand at the beginning; further on the same words are mostly quoted. In characters.
const BEGINNING: usize = 300;

/// In lower case, with plain apostrophes. Phrases that polite letters also use are not here unless they go on to refuse.
const REFUSALS: &[&str] = &[
    "as an ai language model",
    "as a large language model",
    "i cannot assist with",
    "i can't assist with",
    "i cannot help with",
    "i can't help with",
    "i cannot comply",
    "i can't comply",
    "i cannot fulfill",
    "i can't fulfill",
    "i cannot provide",
    "i can't provide",
    "i'm not able to help",
    "i'm not able to provide",
    "i am not able to help",
    "i am not able to provide",
    "i'm unable to",
    "i am unable to",
    "i must decline",
    "i'm sorry, but i can",
    "i'm sorry, i can",
    "i am sorry, but i can",
    "ai言語モデルとして",
    "aiアシスタントとして、",
    "お手伝いできません",
    "お手伝いすることはできません",
    "お答えできません",
    "お答えすることはできません",
    "回答できません",
    "回答することはできません",
    "ご要望にはお応えできません",
    "ご要望にお応えできません",
    "提供できません",
    "提供することはできません",
    "対応することはできません",
    "作为一个人工智能",
    "作为人工智能",
    "作为一个ai",
    "作为ai",
    "我无法提供",
    "我无法协助",
    "我无法帮助",
    "我无法回答",
    "我不能提供",
    "我不能协助",
    "抱歉，我无法",
    "抱歉，我不能",
    "抱歉,我无法",
    "抱歉,我不能",
    "無法提供協助",
    "我無法提供",
    "我無法協助",
    "抱歉，我無法",
    "抱歉，我不能",
    "作為一個人工智慧",
    "作為ai",
];

/// The phrase near the beginning of `text` with which a model refuses, in English, Japanese or Chinese.
pub(super) fn refusal(text: &str) -> Option<&'static str> {
    let plain = |character: char| if character == '\u{2019}' { '\'' } else { character };
    let beginning: String = text.trim_start().chars().take(BEGINNING).map(plain).collect();
    let beginning = beginning.to_lowercase();
    REFUSALS.iter().find(|phrase| beginning.contains(**phrase)).copied()
}

/// Whether `text` begins as JSON, bare or in a fence, and ends before the JSON does.
pub(super) fn is_truncated_json(text: &str) -> bool {
    let text = text.trim();
    if let Some(fenced) = text.strip_prefix("```") {
        let body = fenced.trim_start_matches(|character: char| character.is_ascii_alphanumeric()).trim_start();
        // Without its closing fence, what looks like JSON was cut even where the last bracket is there.
        return match body.split_once("```") {
            Some((inside, _)) => ends_too_early(inside.trim_end()),
            None => body.starts_with(['{', '[']) && (ends_too_early(body) || is_json(body)),
        };
    }
    ends_too_early(text)
}

fn ends_too_early(text: &str) -> bool {
    text.starts_with(['{', '['])
        && text.len() > 1
        && serde_json::from_str::<IgnoredAny>(text).is_err_and(|error| error.is_eof())
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_known_in_three_languages() {
        for text in [
            "I\u{2019}m sorry, but I can\u{2019}t help with that.",
            "As an AI language model, I have no access to the file.",
            "申し訳ありませんが、そのご質問にはお答えできません。",
            "AI言語モデルとして、個人的な意見はありません。",
            "很抱歉，我无法提供该信息。",
            "抱歉，我無法協助這個要求。",
        ] {
            assert!(refusal(text).is_some(), "{text}");
        }
    }

    #[test]
    fn ordinary_texts_refuse_nothing() {
        for text in [
            "The assistant was asked whether it can help with tables, and it can.",
            "申し訳ございませんが、発送が一日遅れます。",
            "抱歉让您久等了，报告如下。",
            "",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
        let quoted = format!("{} The model said: I cannot assist with that.", "Findings follow here. ".repeat(20));
        assert_eq!(refusal(&quoted), None);
    }

    #[test]
    fn json_that_stops_early_is_cut() {
        for text in
            ["{\"a\": 1", "[1, 2", "{\"a\": \"open", "```json\n{\"a\": [1, 2\n```", "```json\n{\"a\": 1}", "  [{"]
        {
            assert!(is_truncated_json(text), "{text}");
        }
        for text in [
            "{\"a\": 1}",
            "[1] see below",
            "[note] a text",
            "{name} is a template",
            "prose {",
            "```\n{}\n```",
            "{",
            "```sh\nls\n```",
            "```python\nx = [",
            "",
        ] {
            assert!(!is_truncated_json(text), "{text}");
        }
    }
}
