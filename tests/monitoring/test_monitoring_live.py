"""Real daemons with the shipped files: every expression has data, alerts fire, are delivered, and end."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from known_pipelines import RETRIES, ROLLBACKS, VERDICTS, WAITING
from monitoring_stack import wait_for
from shipped_files import dashboard, expressions, filled_in, panels, rule_name, rules

pytestmark = pytest.mark.needs("prometheus", "alertmanager")

# An alert's limits, and what the same expression compares with so that ordinary work has data.
LIMITS = re.compile(r"> (?:[\d.]+ \* )?[\d.]+$|> 0\.10\b|> 14\.4 \* 0\.01|> 6 \* 0\.01|>= 10\b", re.MULTILINE)


def has_number(vector: list[dict[str, Any]]) -> bool:
    return any(not math.isnan(float(sample["value"][1])) for sample in vector)


@pytest.mark.parametrize(("title", "expression"), expressions(), ids=[title for title, _ in expressions()])
def test_every_query_of_every_panel_returns_data(running, title, expression):
    wait_for(f"data of {title}: {expression}", lambda: has_number(running.stack.query(expression)))


@pytest.mark.parametrize(("variable", "wanted"), [("job", {"hagane"}), ("agent", {"classify", "answer", "analyse"})])
def test_the_choices_of_the_dashboard_are_there(running, variable, wanted):
    asked = next(choice["query"] for choice in dashboard()["templating"]["list"] if choice["name"] == variable)
    selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", filled_in(asked)).groups()
    # What Grafana sends to Prometheus for label_values.
    wait_for(asked, lambda: wanted <= set(running.stack.api(f"label/{label}/values", **{"match[]": selector})))


@pytest.mark.parametrize("rule", [rule for rule in rules() if "record" in rule], ids=rule_name)
def test_every_recording_rule_returns_data_and_records_it(running, rule):
    wait_for(rule["expr"], lambda: has_number(running.stack.query(rule["expr"])))
    wait_for(rule["record"], lambda: has_number(running.stack.query(rule["record"])))


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule], ids=rule_name)
def test_every_alert_would_return_data_if_its_limit_were_lower(running, rule):
    if rule["alert"] == "HaganeTargetAbsent":
        # Its data is the absence: of another job there is one.
        assert has_number(running.stack.query(rule["expr"].replace("hagane", "nothing")))
        assert not running.stack.query(rule["expr"])
        return
    expression = rule["expr"].replace("== 0", "== 1") if rule["alert"] == "HaganeTargetDown" else rule["expr"]
    expression = LIMITS.sub(">= 0", expression.strip())
    assert expression != rule["expr"].strip()
    wait_for(expression, lambda: has_number(running.stack.query(expression)))


def test_prometheus_evaluates_every_shipped_rule_without_an_error(running):
    def loaded() -> dict[str, str]:
        groups = running.stack.api("rules")["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    wanted = {rule_name(rule): "ok" for rule in rules()}
    wait_for("every rule's health", lambda: loaded() == wanted)


def test_the_demo_is_scraped_and_counted_exactly(running):
    runs = f'agent_execution_total{{instance="{running.demo}", status="success"}}'

    def counted() -> dict[str, float]:
        return {sample["metric"]["agent"]: float(sample["value"][1]) for sample in running.stack.query(runs)}

    # The script of the demo: one retry of the analysis, one rollback to the start, see its report.
    found = wait_for("the demo's runs", lambda: counted().get("report", 0) >= 1 and counted())
    assert found["load"] >= 2
    assert found["analyse"] >= 2
    assert running.stack.query(f'sandbox_execution_total{{instance="{running.demo}", outcome="ok"}} > 0')


def panel(running: Any, title: str) -> list[tuple[dict[str, str], float]]:
    """What the panel shows of the program whose work is known: labels and values."""
    asked = next(target["expr"] for one in panels() if one["title"] == title for target in one["targets"])
    # Grafana's variable stands in quotation marks; what follows them narrows the query to one target.
    selected = filled_in(asked, job=f'hagane", instance="{running.known}', interval="1h")
    return [(sample["metric"], float(sample["value"][1])) for sample in running.stack.query(selected)]


@pytest.mark.parametrize(
    ("title", "labels", "metric", "wanted"),
    [
        ("Retries of the Past Hour", ("pipeline", "stage"), "pipeline_stage_retries_total", RETRIES),
        ("Rollbacks of the Past Hour", ("pipeline", "stage"), "pipeline_rollbacks_total", ROLLBACKS),
        ("Gate Verdicts of the Past Hour", ("pipeline", "gate", "verdict"), "pipeline_gate_verdicts_total", VERDICTS),
        ("Runs That Wait for a Person", ("pipeline",), "pipeline_escalations_waiting", WAITING),
    ],
)
def test_the_panels_of_pipelines_show_what_was_done(running, title, labels, metric, wanted):
    running.stack.said("known", "(done: )")

    def counted() -> dict[tuple[str, ...], float]:
        found = running.stack.query(f'{metric}{{instance="{running.known}"}}')
        series = {tuple(one["metric"][label] for label in labels): float(one["value"][1]) for one in found}
        return {key: value for key, value in series.items() if key in wanted}

    def shown() -> dict[tuple[str, ...], float]:
        # `increase` extends to the window's ends by up to half a scrape, which few samples show as much.
        found = {tuple(labelled[label] for label in labels): round(value) for labelled, value in panel(running, title)}
        return {key: float(value) for key, value in found.items() if key in wanted}

    wait_for(f"the counts behind {title}", lambda: counted() == wanted)
    wait_for(f"{title} {wanted}", lambda: shown() == wanted)


def test_the_panel_of_checkpoint_bytes_shows_what_was_stored(running):
    stored = json.loads(running.stack.said("known", "done: (.*)"))["blob_bytes"]
    assert stored > 10_000

    def shown() -> float:
        [(labelled, rate)] = panel(running, "Checkpoint Bytes") or [({}, 0.0)]
        assert labelled.get("store", "sqlite") == "sqlite"
        return rate * 3600

    wait_for(f"{stored} bytes", lambda: 0.9 * stored <= shown() <= 1.25 * stored)


def received(running: Any, pattern: str) -> str:
    return running.stack.said("receiver", f"(?m)^({pattern})$")


def test_a_quota_alert_fires_from_the_tokens_of_all_types_together(running):
    wait_for("the quota alert", lambda: any(name == "LLMTokenQuotaNearLimit" for name, _ in running.stack.alerts()))
    line = received(running, "firing LLMTokenQuotaNearLimit job=hagane provider=.*")
    assert line.endswith("severity=warning: LLM token usage exceeded 100,000 in one hour")


def test_errors_of_the_model_fire_alerts_that_reach_the_webhook_and_end_with_their_cause(running):
    running.models.failing.set()
    try:
        line = received(running, "firing HighErrorRate agent=classify .*")
        assert line == (
            "firing HighErrorRate agent=classify job=hagane severity=critical: Agent error rate is above 10 %"
        )
        received(running, "firing AgentErrorBudgetBurnFast agent=classify .*")
        received(running, "firing AgentErrorBudgetBurnSlow agent=classify .*")
        ratio = running.stack.query('job_agent:agent_errors:ratio_rate5m{agent="classify"}')
        assert float(ratio[0]["value"][1]) > 0.10
    finally:
        running.models.failing.clear()
    # Each end is told once, unlike the beginning, which is told again and again at these intervals: what the receiver
    # does not print as a line of its own would be waited for in vain.
    for alert in ("HighErrorRate", "AgentErrorBudgetBurnFast", "AgentErrorBudgetBurnSlow"):
        received(running, f"resolved {alert} agent=classify .*")
    assert ("HighErrorRate", "classify") not in running.stack.alerts()


def test_a_target_that_is_gone_fires_an_alert_with_its_name(running):
    pattern = f"(?m)^firing HaganeTargetDown instance={re.escape(running.demo)} .*$"
    # It was down before the demo began, too.
    wait_for("no such alert", lambda: ("HaganeTargetDown", running.demo) not in running.stack.alerts())
    before = len(re.findall(pattern, running.stack.log("receiver")))
    running.stack.stop("demo")
    lines = wait_for("one more", lambda: re.findall(pattern, running.stack.log("receiver"))[before:])
    assert lines[0].endswith("job=hagane severity=critical: A target does not answer")
    assert not running.stack.query(f'up{{instance="{running.application}"}} == 0')
