"""The shipped dashboard, checked mechanically. No Grafana has rendered it."""

from __future__ import annotations

import itertools
import subprocess
import sys
import urllib.request

import pytest
import services
from prometheus_client.parser import text_string_to_metric_families
from promql_names import matchers, names
from shipped_files import DATA, ROOT, dashboard, expressions, filled_in, panels, rule_name, rules

from hagane.observability import serve_metrics, standard
from hagane.observability.definitions import DEFINITIONS

# Gone from Grafana 11, though the document's JSON has two of them.
REMOVED = {"graph", "singlestat", "table-old", "grafana-piechart-panel", "grafana-worldmap-panel"}
BY_PROMETHEUS = {"job", "instance"}


def sdk() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("the SDK needs Python 3.11")
    services.package("grafana_foundation_sdk")


def rendered_by_the_generator() -> str:
    sdk()
    command = [sys.executable, ROOT / "tools/dashboards", "--print"]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True).stdout


def test_the_generator_reproduces_the_shipped_file():
    assert rendered_by_the_generator() == (DATA / "dashboards/hagane.json").read_text(encoding="utf-8")


def test_the_sdks_types_read_the_file_and_write_the_same():
    sdk()
    import json

    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    read = Dashboard.from_json(dashboard())
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == dashboard()
    kinds = {type(target).__module__.rpartition(".")[2] for panel in read.panels for target in panel_targets(panel)}
    assert kinds == {"prometheus"}


def panel_targets(panel):
    return getattr(panel, "targets", None) or ()


def test_ids_are_unique_and_no_panel_type_is_a_removed_one():
    everything = dashboard()["panels"]
    ids = [panel["id"] for panel in everything]
    assert len(set(ids)) == len(ids)
    kinds = {panel["type"] for panel in everything}
    assert kinds == {"row", "timeseries", "stat", "gauge"}
    assert not kinds & REMOVED


def test_no_panel_lies_over_another_or_over_the_edge():
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard()["panels"]]
    for (one, a), (other, b) in itertools.combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, (one, other)
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for _, place in places)


def test_the_documents_six_panels_come_first_and_in_its_order():
    titles = [panel["title"] for panel in panels()][:6]
    assert titles == [
        "Agent Success Rate",
        "Mean Latency",
        "Error Rate",
        "LLM Tokens",
        "Concurrent Executions",
        "Queue Depth",
    ]
    written = [panel["description"].partition(".")[0] for panel in panels()][:6]
    assert written == ["Agent 成功率", "平均レイテンシ", "エラー率", "LLM トークン", "同時実行数", "キュー深度"]


def test_the_source_is_a_variable_and_every_query_asks_for_the_chosen_job():
    assert [variable["name"] for variable in dashboard()["templating"]["list"]] == ["datasource", "job", "agent"]
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert 'job=~"$job"' in target["expr"], panel["title"]
            if "agent_" in target["expr"]:
                assert 'agent=~"$agent"' in target["expr"], panel["title"]


def test_rates_are_over_grafanas_interval_and_never_of_a_single_instance():
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            assert "rate(" not in expression or "[$__rate_interval]" in expression, panel["title"]
            assert "instance" not in names(filled_in(expression))[1]


def known() -> dict[str, set[str]]:
    """Every metric that there is, with its labels: the standard ones, the exporter's own, recorded ones."""
    found: dict[str, set[str]] = {"up": BY_PROMETHEUS}
    for definition in DEFINITIONS.values():
        labels = BY_PROMETHEUS | set(definition.label_names)
        if definition.kind == "histogram":
            found[f"{definition.name}_bucket"] = labels | {"le"}
            found[f"{definition.name}_sum"] = found[f"{definition.name}_count"] = labels
        else:
            found[definition.name] = labels
    for rule in rules():
        if "record" in rule:
            # Its labels stand in its name: job_agent:... has job and agent.
            found[rule["record"]] = set(rule["record"].partition(":")[0].split("_"))
    return {**found, **exported()}


def exported() -> dict[str, set[str]]:
    """What the exporter says of itself, read from a scrape of it."""
    with serve_metrics() as server:
        for _ in range(2):
            with urllib.request.urlopen(server.url, timeout=20) as answer:
                text = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found: dict[str, set[str]] = {}
    for sample in samples:
        if sample.name.startswith("hagane_exporter_"):
            found.setdefault(sample.name, set(BY_PROMETHEUS)).update(sample.labels)
    return found


@pytest.mark.needs("prometheus", "alertmanager")
@pytest.mark.parametrize(
    ("where", "expression"),
    [*expressions(), *((rule_name(rule), rule["expr"]) for rule in rules())],
    ids=[*(title for title, _ in expressions()), *map(rule_name, rules())],
)
def test_every_metric_and_label_that_is_asked_for_exists(running, where, expression):
    metrics, labels = names(running.stack.api("format_query", query=expression))
    assert metrics
    there = known()
    assert metrics - there.keys() == set()
    assert labels - set.union(*(there[metric] for metric in metrics)) == set()


def emitted() -> dict[str, dict[str, set[str]]]:
    """What the code writes for labels whose values it chooses itself: by metric and label."""
    found: dict[str, dict[str, set[str]]] = {}
    for declare, arguments in DECLARED.items():
        getattr(standard, declare)(*arguments)
    with serve_metrics() as server:
        for accepted in ("text/plain", "application/openmetrics-text"):
            with urllib.request.urlopen(urllib.request.Request(server.url, headers={"Accept": accepted})) as answer:
                text = answer.read().decode()
        with urllib.request.urlopen(server.url) as answer:
            text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for label, value in sample.labels.items():
                found.setdefault(sample.name, {}).setdefault(label, set()).add(value)
    return found


DECLARED = {
    "declare_agent": ("a",),
    "declare_llm": ("p", "m"),
    "declare_llm_cost": ("p", "m", "USD"),
    "declare_stage": ("p", "s"),
    "declare_gate": ("p", "g"),
    "declare_approval": ("a",),
    "declare_sandbox": ("local",),
    "declare_store": ("memory",),
}
# These name things of the program that is watched, and are checked against a running one.
NAMES_OF_THINGS = {"job", "instance", "agent", "provider", "model", "pipeline", "stage", "gate", "action", "store"}


def unknown_values(expression: str, there: dict[str, dict[str, set[str]]]) -> list[tuple[str, str, str]]:
    """Metric, label and value of each matcher that asks for a value that nothing writes."""
    return [
        (metric, label, value)
        for metric, label, value in matchers(expression)
        if label not in NAMES_OF_THINGS and value not in there.get(metric, {}).get(label, set())
    ]


def test_every_label_value_that_is_asked_for_is_one_that_the_code_writes():
    there = emitted()
    asked = [*expressions(), *((rule_name(rule), rule["expr"]) for rule in rules())]
    assert [(where, unknown_values(text, there)) for where, text in asked if unknown_values(text, there)] == []
    assert {value for _, text in asked for _, label, value in matchers(text) if label == "status"}
    wrong = 'sum(rate(agent_execution_total{job="x",status=~"success|failure"}[5m]))'
    assert unknown_values(wrong, there) == [("agent_execution_total", "status", "failure")]


def test_the_reader_of_matchers_takes_alternatives_apart():
    text = """sum(rate(a_total{x="1", y=~"b|c"}[5m])) / d{z!="e"}"""
    assert matchers(text) == [("a_total", "x", "1"), ("a_total", "y", "b"), ("a_total", "y", "c"), ("d", "z", "e")]


def test_the_reader_of_names_finds_them_all():
    text = """
    (sum by (job, le) (rate(a_bucket{x="by (q) {z}", y!~'b'}[5m])) or 0 * on (k) c:d:e5m offset 1m > bool 1e3)
      and unless_not / ignoring (m) group_left (n) f
    """
    assert names(text) == ({"a_bucket", "c:d:e5m", "unless_not", "f"}, {"job", "le", "x", "y", "k", "m", "n"})
