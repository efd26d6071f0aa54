"""`install()` under a program written for AgentFlow, here a stand-in with its signatures, each in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHECK_API = HERE.parent / "data" / "check_api.py"
FACTS = HERE.parent / "data" / "agentflow-api-0130.json"
BEFORE = "import hagane; report = hagane.install(); import agentflow.observability, agentflow.sandbox"
AFTER = "import agentflow.observability, agentflow.sandbox; import hagane; report = hagane.install()"
either = pytest.mark.parametrize("order", [BEFORE, AFTER], ids=["installed first", "imported first"])


def run(*lines: str) -> str:
    """Run a program with the stand-in on its path; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(lines)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE / "standin"), *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_stand_in_has_agentflows_signatures() -> None:
    done = subprocess.run(
        [sys.executable, str(CHECK_API), str(FACTS), "agentflow", "--only", r"^observability\.metrics$"],
        env={**os.environ, "PYTHONPATH": str(HERE / "standin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_install_imports_no_agentflow() -> None:
    out = run("import sys, hagane; report = hagane.install()", "print('agentflow' in sys.modules, report.awaited)")
    assert out == "False ['agentflow.observability.metrics', 'agentflow.sandbox']\n"


@either
def test_every_binding_of_a_name_is_hagane_s(order: str) -> None:
    out = run(
        order,
        "import agentflow.observability.metrics as home, agentflow.observability as package, hagane",
        "ours = hagane.observability",
        "for name in ('Counter', 'Gauge', 'Histogram', 'MetricsCollector', 'get_metrics', 'setup_metrics'):",
        "    assert getattr(home, name) is getattr(package, name) is getattr(ours, name), name",
        "print(report.awaited, report.skipped)",
    )
    assert out == "[] {}\n"


def test_instruments_bound_before_count_in_the_new_registry_with_what_they_held() -> None:
    out = run(
        "from agentflow.observability import get_metrics, Counter",
        "collector = get_metrics()",
        "counter = collector.counter('calls', 'Calls', ['tool']); counter.inc(2, {'tool': 'a'}); counter.inc(5)",
        "gauge = collector.gauge('depth', 'Depth'); gauge.set(7)",
        "latency = collector.histogram('latency', 'Latency', buckets=(1, 2)); latency.observe(0.5)",
        "untouched = collector.counter('untouched', 'Not used again'); untouched.inc(3)",
        "import hagane; hagane.install()",
        "counter.inc(labels={'tool': 'a'}); gauge.dec(); latency.observe(1.5)",
        "with latency.time(): pass",
        "collector.counter('calls', 'Calls', ['tool']).inc(labels={'tool': 'a'})",
        "assert counter.get({'tool': 'a'}) == 4 and gauge.get() == 6 and latency.get_stats()['count'] == 3",
        "text = hagane.observability.get_metrics().to_prometheus()",
        "assert collector.to_prometheus() == text",
        "ours = (line for line in text.splitlines() if line.startswith('agentflow_') and '_sum' not in line)",
        "print(*sorted(ours), sep='\\n')",
    )
    assert out.splitlines() == [
        'agentflow_calls{tool=""} 5',
        'agentflow_calls{tool="a"} 4',
        "agentflow_depth 6",
        'agentflow_latency_bucket{le="+Inf"} 3',
        'agentflow_latency_bucket{le="1.0"} 2',
        'agentflow_latency_bucket{le="2.0"} 3',
        "agentflow_latency_count 3",
        "agentflow_untouched 3",
    ]


def test_an_instrument_that_hagane_refuses_stays_agentflow_s_and_does_not_raise() -> None:
    out = run(
        "import logging, sys; logging.basicConfig(stream=sys.stdout, format='%(message)s')",
        "from agentflow.observability import Counter",
        "counter = Counter('no good name')",
        "import hagane; hagane.install()",
        "counter.inc(2)",
        "print(counter.get())",
    )
    assert "Counter 'no good name' stays AgentFlow's: " in out
    assert out.endswith("\n2.0\n")


@either
def test_the_decorator_that_the_document_names_appears(order: str) -> None:
    out = run(
        order,
        "from agentflow.observability import metrics_tracked",
        "from agentflow.observability.decorators import metrics_tracked as same",
        "assert metrics_tracked is same is hagane.observability.metrics_tracked",
        "hagane.uninstall()",
        "import sys",
        "print(hasattr(agentflow.observability, 'metrics_tracked'),",
        "      'agentflow.observability.decorators' in sys.modules)",
    )
    assert out == "False False\n"


@either
def test_get_sandbox_gives_hagane_s(order: str) -> None:
    out = run(
        order,
        "from agentflow.sandbox import get_sandbox, SandboxConfig, SandboxProvider",
        "from agentflow.sandbox.base import ResourceLimits",
        "sandbox = get_sandbox(config=SandboxConfig(timeout=5, extra={'a': 1}))",
        "assert isinstance(sandbox, hagane.sandbox.LocalProvider) and isinstance(sandbox, SandboxProvider)",
        "assert type(sandbox.config) is hagane.sandbox.SandboxConfig and sandbox.config.timeout == 5",
        "print(sandbox.run('print(6 * 7)').stdout, end='')",
        "print(type(get_sandbox('docker')).__module__)",
        "try: get_sandbox('nowhere')",
        "except ValueError as error: print(error)",
    )
    assert out == "42\nagentflow.sandbox.base\nUnknown sandbox provider: nowhere\n"


def test_uninstall_puts_everything_back() -> None:
    out = run(
        "import agentflow.observability as package, agentflow.observability.metrics as home, agentflow.sandbox",
        "from agentflow.observability import get_metrics",
        "def state():",
        "    modules = (package, home, agentflow.sandbox)",
        "    classes = (home.Counter, home.Gauge, home.Histogram, home.MetricsCollector)",
        "    return [{**vars(each)} for each in (*modules, *classes)], get_metrics",
        "counter = get_metrics().counter('calls'); counter.inc()",
        "before = state()",
        "import hagane",
        "with hagane.install() as report: assert state() != before and report.rebound; counter.inc()",
        "assert state() == before",
        "counter.inc()",
        "print(counter.get(), get_metrics().to_prometheus(), hagane.install().parts)",
    )
    assert out == "2.0 the stand-in's own ('metrics', 'sandbox')\n"


def test_installing_twice_changes_nothing_more() -> None:
    out = run(
        "import agentflow.observability, agentflow.sandbox, hagane",
        "first = str(hagane.install(['metrics']))",
        "assert str(hagane.install('metrics')) == first",
        "print(hagane.install().parts); hagane.uninstall(); hagane.uninstall()",
    )
    assert out == "('metrics', 'sandbox')\n"


def test_a_name_whose_signature_is_unknown_is_left_alone_and_told() -> None:
    out = run(
        "import agentflow.sandbox",
        "def get_sandbox(provider='microsandbox', config=None, *, region): return 'theirs'",
        "agentflow.sandbox.get_sandbox = get_sandbox",
        "import hagane; report = hagane.install('sandbox')",
        "assert agentflow.sandbox.get_sandbox is get_sandbox",
        "print(report.skipped)",
    )
    assert out == "{'agentflow.sandbox.get_sandbox': \"its replacement has no parameter 'region'\"}\n"


def test_a_module_of_another_shape_is_left_as_it_was() -> None:
    out = run(
        "import logging, sys; logging.basicConfig(stream=sys.stdout, format='%(message)s')",
        "import agentflow.observability.metrics as home, hagane",
        "home._metrics_instance = object()",
        "before = {**vars(home)}",
        "report = hagane.install('metrics')",
        "assert {**vars(home)} == before",
        "print(report.skipped, report.replaced)",
    )
    assert "agentflow.observability.metrics is left as it is: AttributeError" in out
    assert out.endswith("attribute '_prefix'\"} []\n")


def test_an_unknown_part_is_a_value_error() -> None:
    import hagane

    with pytest.raises(ValueError, match="'telemetry' is no part that can be installed; the parts are metrics, "):
        hagane.install(["telemetry"])
