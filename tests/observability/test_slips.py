"""What a newcomer's slip is answered with, and what a notebook shows."""

from __future__ import annotations

import subprocess
import sys

import pytest
import services

from hagane.errors import MetricError


def test_one_label_name_instead_of_a_list_is_said(collector):
    for make in (collector.counter, collector.gauge, collector.histogram):
        with pytest.raises(MetricError, match=r"label_names takes a list of names: \['agent'\]"):
            make("runs", "", "agent")


def test_collectors_and_metrics_show_what_they_are(collector):
    shown = [collector.counter("runs_total", "", ["agent", "status"]), collector.gauge("depth", "", [])]
    assert [repr(one) for one in shown] == ["<Counter runs_total{agent, status}>", "<Gauge depth{}>"]
    assert repr(collector.histogram("seconds")) == "<Histogram seconds{...}>"
    assert repr(collector) == "<MetricsCollector prefix='', 3 metrics>"


USER = """
from hagane.observability import get_metrics, metrics_tracked

class Agent:
    @metrics_tracked
    async def run(self, text: str) -> int:
        return len(text)
    @metrics_tracked(agent="x")
    def step(self, *, size: int) -> str:
        return "x" * size

async def use(agent: Agent) -> None:
    counted: int = await agent.run("text")
    stepped: str = agent.step(size=counted)
    get_metrics().counter("a_total", labels={"x": 1}).inc(2.0, {"trace_id": stepped})
    get_metrics().counter("a_total").inc(labels={"x": 1})
    get_metrics().histogram("h", buckets=[1, 2]).labels().observe(0.5)
"""
WRONG = USER.replace('agent.run("text")', "agent.run(1)").replace(
    'counter("a_total").inc(labels', 'counter("a_total").inc(lables'
)


@pytest.mark.parametrize(("program", "faults"), [(USER, 0), (WRONG, 2)], ids=["right", "wrong"])
def test_an_editor_knows_the_types(tmp_path, program, faults):
    services.package("mypy")
    file = tmp_path / "program.py"
    file.write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", str(tmp_path), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.stdout.count("error: ") == faults, done.stdout
