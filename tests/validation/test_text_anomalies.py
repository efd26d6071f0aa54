from __future__ import annotations

import random

import pytest

from hagane.validation import AnomalyDetector

SENTENCE = (
    "the species differ in length and depth of bill while body mass separates only one group from two others "
    "females are lighter than males on every island and season counts stay low after winter storms"
)
WORDS = SENTENCE.split()
JAPANESE = "このデータによると、くちばしの長さは種によって大きく異なり、体重の差は小さいことが分かりました。"
CHINESE = "数据显示，不同物种的喙长差异很大，而体重差异较小，三个岛屿之间没有明显区别。"


def prose(draw: random.Random) -> str:
    sentences = (" ".join(draw.choices(WORDS, k=draw.randint(8, 16))) for _ in range(draw.randint(4, 9)))
    return ". ".join(sentence.capitalize() for sentence in sentences) + "."


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    detector, draw = AnomalyDetector(), random.Random(8)
    for _ in range(450):
        detector.learn("report", {"summary": prose(draw)})
    return detector


def rules(detector: AnomalyDetector, text: str) -> set[str]:
    report = detector.judge("report", {"summary": text})
    return {issue.rule for issue in (*report.issues, *report.warnings)}


def test_texts_like_the_others_are_rarely_reported(detector: AnomalyDetector) -> None:
    draw = random.Random(9)
    assert sum(bool(rules(detector, prose(draw))) for _ in range(300)) <= 9


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty_text"),
        ("Done.", "unusual_length"),
        ("species " * 5000, "unusual_length"),
        ("The bill is long and the body is heavy. " * 15, "repetition"),
        (JAPANESE * 3, "script"),
        (CHINESE * 4, "script"),
        ("".join(random.Random(3).choices("!#$%&+/0123456789<=>?@ABCXYZabcxyz", k=400)), "compression"),
        ('{"rows": [{"mass": 3', "truncated_json"),
        ("As an AI language model, I cannot look at files.", "refusal"),
        ("申し訳ございませんが、そのご依頼にはお答えできません。", "refusal"),
        ("抱歉，我无法协助完成这个请求。", "refusal"),
    ],
)
def test_unusual_texts_are_told_by_what_is_unusual(detector: AnomalyDetector, text: str, rule: str) -> None:
    assert rule in rules(detector, text)


def test_a_refusal_only_warns_and_cut_json_does_not() -> None:
    report = AnomalyDetector().judge("report", {"summary": "I'm sorry, but I can't help with that."})
    assert (report.issues, [warning.rule for warning in report.warnings]) == ((), ["refusal"])
    report = AnomalyDetector().judge("report", {"summary": '```json\n{"a": 1'})
    assert ([issue.rule for issue in report.issues], report.warnings) == (["truncated_json"], ())


def test_japanese_is_no_anomaly_among_japanese() -> None:
    detector, draw = AnomalyDetector(), random.Random(4)
    for _ in range(200):
        detector.learn("report", {"summary": "".join(draw.sample(list(JAPANESE), 40))})
    assert rules(detector, "".join(draw.sample(list(JAPANESE), 40))) == set()
    assert "script" in rules(detector, "The species differ in the length and the depth of the bill.")
