"""Every standard metric is declared at 0 and moved by the function that reports it."""

from __future__ import annotations

import inspect

import pytest

from hagane.observability import standard
from hagane.observability.definitions import DEFINITIONS

REPORTS = {
    "agent_execution_total": (
        lambda: standard.declare_agent("s"),
        lambda: standard.agent_run("s", "success", 1.0),
        {"agent": "s", "status": "success"},
    ),
    "agent_execution_duration_seconds": (
        lambda: standard.declare_agent("t"),
        lambda: standard.agent_run("t", "error", 1.0),
        {"agent": "t"},
    ),
    "agent_executions_in_progress": (
        lambda: standard.declare_agent("u"),
        lambda: standard.agent_started("u"),
        {"agent": "u"},
    ),
    "agent_queue_depth": (
        lambda: standard.declare_agent("v"),
        lambda: standard.agent_queued("v"),
        {"agent": "v"},
    ),
    "llm_request_total": (
        lambda: standard.declare_llm("p", "m1"),
        lambda: standard.llm_call("p", "m1", status="error", seconds=1.0),
        {"provider": "p", "model": "m1", "status": "error"},
    ),
    "llm_latency_seconds": (
        lambda: standard.declare_llm("p", "m2"),
        lambda: standard.llm_call("p", "m2", status="success", seconds=1.0),
        {"provider": "p", "model": "m2"},
    ),
    "llm_tokens_total": (
        lambda: standard.declare_llm("p", "m3"),
        lambda: standard.llm_call("p", "m3", status="success", seconds=1.0, output_tokens=1),
        {"provider": "p", "model": "m3", "type": "output"},
    ),
    "llm_estimated_tokens_total": (
        lambda: standard.declare_llm("p", "m5"),
        lambda: standard.llm_estimated_tokens("p", "m5", 0, 1),
        {"provider": "p", "model": "m5", "type": "output"},
    ),
    "llm_time_to_first_token_seconds": (
        lambda: standard.declare_llm("p", "m6"),
        lambda: standard.llm_first_token("p", "m6", 0.2),
        {"provider": "p", "model": "m6"},
    ),
    "llm_cost_total": (
        lambda: standard.declare_llm_cost("p", "m7", "USD"),
        lambda: standard.llm_cost("p", "m7", "USD", 1.0),
        {"provider": "p", "model": "m7", "currency": "USD"},
    ),
    "pipeline_stage_duration_seconds": (
        lambda: standard.declare_stage("p", "s1"),
        lambda: standard.stage_run("p", "s1", 1.0),
        {"pipeline": "p", "stage": "s1"},
    ),
    "pipeline_stage_retries_total": (
        lambda: standard.declare_stage("p", "s2"),
        lambda: standard.stage_retry("p", "s2"),
        {"pipeline": "p", "stage": "s2"},
    ),
    "pipeline_rollbacks_total": (
        lambda: standard.declare_stage("p", "s3"),
        lambda: standard.rollback("p", "s3"),
        {"pipeline": "p", "stage": "s3"},
    ),
    "pipeline_gate_verdicts_total": (
        lambda: standard.declare_gate("p", "g"),
        lambda: standard.gate_verdict("p", "g", "failed"),
        {"pipeline": "p", "gate": "g", "verdict": "failed"},
    ),
    "pipeline_escalations_waiting": (
        lambda: standard.declare_stage("w1", "s"),
        lambda: standard.pipeline_waiting("w1", 1),
        {"pipeline": "w1"},
    ),
    "hitl_approval_total": (
        lambda: standard.declare_approval("a"),
        lambda: standard.approval("a", "expired"),
        {"action": "a", "status": "expired"},
    ),
    "hitl_requested_total": (
        lambda: standard.declare_approval("b"),
        lambda: standard.approval_requested("b"),
        {"action": "b"},
    ),
    "hitl_waiting": (
        lambda: standard.declare_approval("c"),
        lambda: standard.approval_waiting("c", 1),
        {"action": "c"},
    ),
    "hitl_escalations_waiting": (
        lambda: standard.declare_approval("d"),
        lambda: standard.escalation_waiting("d", 1),
        {"action": "d"},
    ),
    "hitl_wait_seconds": (
        lambda: standard.declare_approval("e"),
        lambda: standard.approval_waited("e", "rejected", 12.0),
        {"action": "e", "status": "rejected"},
    ),
    "sandbox_execution_total": (
        lambda: standard.declare_sandbox("s1"),
        lambda: standard.sandbox_run("s1", "memory_limit", 1.0),
        {"provider": "s1", "outcome": "memory_limit"},
    ),
    "sandbox_execution_duration_seconds": (
        lambda: standard.declare_sandbox("s2"),
        lambda: standard.sandbox_run("s2", "ok", 1.0),
        {"provider": "s2"},
    ),
    "checkpoint_bytes_total": (
        lambda: standard.declare_store("c1"),
        lambda: standard.checkpoint_saved("c1", 1, 0.01),
        {"store": "c1"},
    ),
    "checkpoint_duration_seconds": (
        lambda: standard.declare_store("c2"),
        lambda: standard.checkpoint_saved("c2", 100, 0.01),
        {"store": "c2"},
    ),
}


def test_every_standard_metric_has_its_report():
    assert REPORTS.keys() == DEFINITIONS.keys()


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_declared_at_zero_then_reported_is_an_increase_of_one(name, scrape):
    declare, report, labels = REPORTS[name]
    sample = f"{name}_count" if DEFINITIONS[name].kind == "histogram" else name
    declare()
    assert scrape().value(sample, **labels) == 0
    report()
    assert scrape().value(sample, **labels) == 1


def test_tokens_are_counted_by_type_and_as_reported(scrape):
    standard.llm_call("p", "m4", status="success", seconds=0.5, input_tokens=120, output_tokens=7)
    tokens = [scrape().value("llm_tokens_total", provider="p", model="m4", type=kind) for kind in ("input", "output")]
    assert tokens == [120, 7]


def test_the_latency_alert_has_an_exact_bound(scrape):
    standard.agent_run("s-bound", "success", 30.0)
    standard.agent_run("s-bound", "success", 30.5)
    assert scrape().value("agent_execution_duration_seconds_bucket", agent="s-bound", le="30.0") == 1


def test_a_run_that_ended_is_no_longer_in_progress(scrape):
    standard.agent_started("s-gauge")
    standard.agent_ended("s-gauge")
    assert scrape().value("agent_executions_in_progress", agent="s-gauge") == 0


@pytest.mark.parametrize("name", standard.__all__)
def test_no_report_ever_raises(name, caplog, monkeypatch):
    monkeypatch.setattr(standard, "_complained", set())
    report = getattr(standard, name)
    if not inspect.isfunction(report):
        pytest.fail(f"{name} is no report")
    report()  # Not even its own arguments are there.
    assert f"{name} could not write its metric" in caplog.text
