"""The rules under promtool: syntax, unit tests with true durations, both languages, and the document's queries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from shipped_files import DATA

from hagane.observability.definitions import DEFINITIONS
from hagane.observability.monitoring import LANGUAGES, export_alerts

pytestmark = pytest.mark.needs("prometheus")
HERE = Path(__file__).parent / "promtool"


def promtool(*arguments: object, given: bytes = b"") -> str:
    command = ["promtool", *(str(argument) for argument in arguments)]
    ended = subprocess.run(command, input=given, capture_output=True, check=False)
    said = (ended.stdout + ended.stderr).decode()
    assert ended.returncode == 0, said
    return said


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rules_are_valid_in_every_language(tmp_path, language):
    export_alerts(tmp_path, language=language)
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "recording.yml", tmp_path / "alerts.yml")
    assert said.count("SUCCESS: 7 rules found") == 2


def test_the_unit_tests_hold_with_true_durations(tmp_path):
    export_alerts(tmp_path, language="ja")
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "alerts.test.yml")


def test_the_unit_tests_notice_a_rule_that_is_wrong(tmp_path):
    export_alerts(tmp_path)
    rules = tmp_path / "alerts.yml"
    rules.write_text(rules.read_text().replace("> 0.10", "> 0.20"))
    command = ["promtool", "test", "rules", str(tmp_path / "alerts.test.yml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_every_alert_has_a_test_that_it_fires_and_one_that_it_stays_silent():
    alerts = set(re.findall(r"- alert: (\w+)", (DATA / "rules/en/alerts.yml").read_text()))
    tests = yaml.safe_load((DATA / "rules/alerts.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["promql_expr_test"]]
    fires = {name for case in cases for name in alerts if name in str(case["exp_samples"]) and "firing" in str(case)}
    silent = {name for case in cases for name in alerts if name in case["expr"] and case["exp_samples"] == []}
    assert fires == alerts
    assert silent == alerts


def test_the_document_s_queries_are_wrong_as_described_and_ours_are_right(tmp_path):
    export_alerts(tmp_path)
    for file in HERE.iterdir():
        shutil.copy(file, tmp_path)
    mark_the_shipped_ones(tmp_path / "alerts.yml", tmp_path / "shipped.yml")
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "document.test.yml")


def mark_the_shipped_ones(source: Path, target: Path) -> None:
    """Tell our alerts from the document's of the same names by a label; summaries are not compared here."""
    groups = yaml.safe_load(source.read_text())["groups"]
    for group in groups:
        for rule in group["rules"]:
            rule["labels"]["source"] = "shipped"
            del rule["annotations"]
    target.write_text(yaml.safe_dump({"groups": groups}))


SUMMARIES = {
    "en": {
        "summary": "Agent error rate is above 10 %",
        "description": "100% of the runs of slow (hagane) fail.",
    },
    "ja": {
        "summary": "Agent エラー率が 10% を超えています",
        "description": "slow（hagane）の実行の 100% が失敗しています。",
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_summaries_are_filled_in_in_the_chosen_language(tmp_path, language):
    export_alerts(tmp_path, language=language)
    series = 'agent_execution_total{job="hagane", agent="slow", status="error"}'
    labels = {"job": "hagane", "agent": "slow", "severity": "critical"}
    expected = {"exp_labels": labels, "exp_annotations": SUMMARIES[language]}
    case = {"eval_time": "15m", "alertname": "HighErrorRate", "exp_alerts": [expected]}
    test = {"interval": "1m", "input_series": [{"series": series, "values": "0+3x20"}], "alert_rule_test": [case]}
    file = tmp_path / "summaries.test.yml"
    file.write_text(yaml.safe_dump({"rule_files": ["recording.yml", "alerts.yml"], "tests": [test]}))
    assert "SUCCESS" in promtool("test", "rules", file)


def test_the_languages_differ_in_their_texts_only():
    def without_texts(language: str) -> object:
        groups = yaml.safe_load((DATA / f"rules/{language}/alerts.yml").read_text())["groups"]
        for group in groups:
            for rule in group["rules"]:
                assert set(rule.pop("annotations")) == {"summary", "description"}
        return groups

    assert without_texts("en") == without_texts("ja")


def test_the_document_s_names_and_japanese_summaries_are_kept():
    groups = yaml.safe_load((DATA / "rules/ja/alerts.yml").read_text())["groups"]
    told = {rule["alert"]: rule["annotations"]["summary"] for group in groups for rule in group["rules"]}
    assert told["HighErrorRate"] == "Agent エラー率が 10% を超えています"
    assert told["HighLatency"] == "P95 レイテンシが 30 秒を超えています"
    assert told["LLMTokenQuotaNearLimit"] == "LLM トークン使用量が 1 時間で 10 万を超えました"


EXPORTING = """
import inspect, sys, urllib.request
from hagane.observability import serve_metrics, standard

for name, declare in vars(standard).items():
    if name.startswith("declare_"):
        declare(*inspect.signature(declare).parameters)
with serve_metrics() as server, urllib.request.urlopen(server.url, timeout=20) as answer:
    sys.stdout.buffer.write(answer.read())
"""


def test_what_is_exported_passes_prometheus_own_check_of_metrics():
    # In a process of its own: what other tests register, some without a help text, is not ours.
    exported = subprocess.run([sys.executable, "-c", EXPORTING], capture_output=True, timeout=120, check=True).stdout
    assert exported.count(b"# HELP ") >= len(DEFINITIONS)
    promtool("check", "metrics", given=exported)
