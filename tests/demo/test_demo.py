"""The main job, end to end, as a user sees it."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from demo_command import Demo

SVG = "{http://www.w3.org/2000/svg}"
TOLD = [
    "approval: a policy on imports",
    "step 1 failed: The code failed: KeyError: 'bill_length_m'",
    "gate completeness failed (score 50)",
    "↻ retry analyse, attempt 2, with feedback (gate completeness)",
    "gate completeness passed (score 100)",
    "gate consistency failed (score 50)",
    "↶ rollback load ◀── report, with feedback (gate consistency)",
    "gate consistency passed (score 100)",
    "run success",
    "| Adelie | 152 | 38.79 | 18.35 | 189.95 | 3700.66 | 2008.01 |",
    "checkpoint database: ",
    "metrics: http://127.0.0.1:",
]


def test_the_penguins_from_the_failed_gate_to_the_report(demo: Demo) -> None:
    done = demo.run()
    assert (done.returncode, done.stderr) == (0, "")
    place = -1
    for words in TOLD:
        place = done.stdout.find(words, place + 1)
        assert place >= 0, f"{words!r} is missing or out of order in:\n{done.stdout}"
    assert "\x1b" not in done.stdout
    assert list(demo.report()) == ["plot.svg", "report.md"]
    assert demo.report()["report.md"].decode() in done.stdout
    assert done.stdout.count("approval") == 1


def test_the_figure_is_well_formed_and_labelled(demo: Demo) -> None:
    assert demo.run().returncode == 0
    figure = ElementTree.fromstring(demo.report()["plot.svg"])
    words = [element.text for element in figure.iter(f"{SVG}text")]
    assert words[0] == "Means by species: penguins.csv (344 rows)"
    assert {"bill_length_mm", "body_mass_g", "Adelie", "Chinstrap", "Gentoo", "mean", "species"} <= set(words)
    bars = [bar for bar in figure.iter(f"{SVG}rect") if bar.find(f"{SVG}title") is not None]
    assert len(bars) == 5 * 3
    assert bars[0].find(f"{SVG}title").text == "Adelie: 38.79"  # type: ignore[union-attr]


def test_the_report_may_be_named_by_its_file(demo: Demo) -> None:
    assert demo.run("--report", "out/penguins.md").returncode == 0
    assert sorted(path.name for path in (demo.directory / "out").iterdir()) == ["penguins.md", "plot.svg"]


SAMPLES = [
    'agent_execution_total{agent="analyse",status="success"} 3',
    'agent_execution_duration_seconds_count{agent="analyse"} 3',
    'llm_request_total{model="demo-script",provider="scripted",status="success"} 5',
    'llm_latency_seconds_count{model="demo-script",provider="scripted"} 5',
    'pipeline_stage_duration_seconds_count{pipeline="demo",stage="analyse"} 3',
    'pipeline_stage_duration_seconds_count{pipeline="demo",stage="report"} 2',
    'hitl_approval_total{action="execute_code",status="approved"} 5',
    'pipeline_rollbacks_total{pipeline="demo",stage="load"} 1',
]


@pytest.fixture
def metrics(demo: Demo) -> Iterator[str]:
    process = demo.start("--serve", "60")
    assert process.stdout is not None
    address = next(line.split()[1] for line in process.stdout if line.startswith("metrics: "))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=10) as response:
        yield response.read().decode()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert "stopped serving" in rest


def test_the_seven_standard_metrics_are_served_and_ctrl_c_ends_it(metrics: str) -> None:
    lines = set(metrics.splitlines())
    assert [sample for sample in SAMPLES if sample not in lines] == []
    tokens = [line for line in lines if line.startswith("llm_tokens_total{")]
    assert len(tokens) == 2
    assert all(float(line.rsplit(" ", 1)[1]) > 0 for line in tokens)


def test_a_terminal_without_arrows_still_gets_the_timeline(demo: Demo) -> None:
    done = demo.run(PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rollback load ?" in done.stdout


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_done_without(demo: Demo, closed: str) -> None:
    done = demo.run_in(["sh", "-c", f'exec "$@" {closed}', "sh"])
    assert (done.returncode, done.stderr) == (0, "")
    assert list(demo.report()) == ["plot.svg", "report.md"]


MODULES = [
    "argparse",
    "pathlib",
    "hagane.commands.parser",
    "hagane.demo.command",
    "hagane.rollback",
    "asyncio",
    "hagane.demo.session",
    "http",
]
INTERRUPTING = """
import os, signal, sys
class Finder:
    def find_spec(name, path, target=None):
        if name == sys.argv[0]:
            sys.argv[0] = ""
            os.kill(os.getpid(), signal.SIGINT)
sys.argv = [sys.argv[1], "demo"]
sys.meta_path.insert(0, Finder)
from hagane.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", MODULES)
def test_ctrl_c_during_the_imports_is_silent(demo: Demo, module: str) -> None:
    done = demo.run_program(INTERRUPTING, module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert demo.tree() == {}
