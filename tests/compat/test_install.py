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


SHOW = """
def show(word, *endings):
    text = hagane.observability.get_metrics().to_prometheus()
    lines = [line for line in text.splitlines() if word in line and not line.startswith('#')]
    return sorted(line for line in lines if not endings or line.split('{')[0].split(' ')[0].endswith(endings))
"""
WARNINGS = "import logging, sys; logging.basicConfig(stream=sys.stdout, format='%(message)s')"


@either
def test_what_agentflow_counts_is_shown_from_now_on_and_from_before(order: str) -> None:
    out = run(
        "from agentflow.observability import get_metrics" if order == AFTER else "",
        "held = get_metrics().counter('held', 'Held', ['tool']) if 'get_metrics' in vars() else None",
        "held and (held.inc(2, {'tool': 'a'}), held.inc(5))",
        order,
        SHOW,
        "metrics = agentflow.observability.get_metrics()",
        "metrics.counter('held', 'Held', ['tool']).inc(labels={'tool': 'a'})",
        "metrics.gauge('depth').set(7); metrics.gauge('depth').dec()",
        "latency = metrics.histogram('latency', buckets=(1, 2)); latency.observe(1.5)",
        "with latency.time(): pass",
        "print(*show('agentflow_held'), *show('agentflow_depth'), *show('agentflow_latency_bucket'), sep='\\n')",
    )
    before = ["agentflow_held 5", 'agentflow_held{tool="a"} 3'] if order == AFTER else []
    assert out.splitlines() == [
        *(before or ['agentflow_held{tool="a"} 1']),
        "agentflow_depth 6",
        'agentflow_latency_bucket{le="+Inf"} 2',
        'agentflow_latency_bucket{le="1.0"} 1',
        'agentflow_latency_bucket{le="2.0"} 2',
    ]


def test_a_program_sees_its_own_classes_totals_and_errors_as_before() -> None:
    out = run(
        "from agentflow.observability import Counter, get_metrics",
        "class Loud(Counter):",
        "    def inc(self, value=1, labels=None):",
        "        Counter.inc(self, value * 10, labels)",
        "import hagane, pickle; from agentflow.observability.metrics import MetricValue",
        "loud, value = Loud('loud'), MetricValue(1)",
        "hagane.install()",
        SHOW,
        "loud.inc(); Loud('other').inc()",
        "assert isinstance(loud, Counter) and loud.get() == 10 and pickle.loads(pickle.dumps(value)) == value",
        "print(get_metrics().to_prometheus(), show('loud'), show('other'))",
    )
    assert out == "the stand-in's own ['loud 10'] ['other 10']\n"


REFUSED = {
    "a name": "get_metrics().counter('検索').inc()",
    "a label": "get_metrics().counter('ask', '', ['のラベル']).inc(labels={'のラベル': 'x'})",
    "not a number": "get_metrics().counter('nan').inc(float('nan'))",
    "two kinds": "get_metrics().counter('both').inc(); get_metrics().gauge('both').set(1)",
    "other labels": "Counter('x', '', ['a']).inc(); Counter('x', '', ['b']).inc()",
    "an odd label": "get_metrics().counter('odd', '', ['a']).inc(1, {'b': 'c'})",
    "no description": "get_metrics().counter('none', None).inc()",
    "a standard name": "Counter('agent_execution_total', '', ['who']).inc()",
    "no hash": "Odd('odd').inc()",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_only_agentflow_allows_goes_on(case: str) -> None:
    out = run(
        WARNINGS,
        "from agentflow.observability import Counter, get_metrics",
        "class Odd(Counter):",
        "    def __eq__(self, other): return True",
        "import hagane; hagane.install()",
        REFUSED[case],
        "from prometheus_client.parser import text_string_to_metric_families as parse",
        "list(parse(hagane.observability.get_metrics().to_prometheus()))",
        "print('went on')",
    )
    assert out.endswith("went on\n")


def test_what_is_not_shown_is_told_once() -> None:
    out = run(WARNINGS, "from agentflow.observability import Counter", "import hagane; hagane.install()",
              "counter = Counter('検索'); counter.inc(); counter.inc(); print(counter.get())")  # fmt: skip
    assert out.count("Counter '検索' is not shown by hagane: ") == 1
    assert out.endswith("\n2.0\n")


def test_no_count_is_doubled_or_lost_while_threads_count_and_it_comes_and_goes() -> None:
    out = run(
        "import sys, threading; sys.setswitchinterval(1e-6)",
        "from agentflow.observability import get_metrics",
        "import hagane",
        SHOW,
        "counters = [get_metrics().counter(f'c{n}') for n in range(4)]",
        "latency = get_metrics().histogram('latency')",
        "def count(counter):",
        "    for _ in range(3000): counter.inc(); latency.observe(1)",
        "threads = [threading.Thread(target=count, args=(counter,)) for counter in counters]",
        "for thread in threads: thread.start()",
        "while any(thread.is_alive() for thread in threads): hagane.install('metrics'); hagane.uninstall()",
        "for thread in threads: thread.join()",
        "hagane.install('metrics')",
        "theirs = [f'agentflow_c{n} {c.get():.0f}' for n, c in enumerate(counters)]",
        "assert show('agentflow_c') == theirs, (show('agentflow_c'), theirs)",
        "print(show('latency_count') == [f\"agentflow_latency_count {latency.get_stats()['count']}\"])",
    )
    assert out == "True\n"


def test_what_was_counted_while_uninstalled_is_caught_up_with() -> None:
    out = run(
        "from agentflow.observability import get_metrics; import hagane",
        SHOW,
        "counter = get_metrics().counter('calls')",
        "counter.inc()",
        "for _ in range(3):",
        "    with hagane.install(): counter.inc()",
        "    counter.inc()",
        "hagane.install()",
        "print(counter.get(), show('calls'))",
    )
    assert out == "7 ['agentflow_calls 7']\n" or out == "7.0 ['agentflow_calls 7']\n"


def test_a_child_of_a_fork_counts_on() -> None:
    out = run(
        "import os, threading",
        "from agentflow.observability import get_metrics; import hagane; hagane.install()",
        SHOW,
        "counter = get_metrics().counter('calls'); done = threading.Event()",
        "def count():",
        "    while not done.is_set(): counter.inc()",
        "thread = threading.Thread(target=count); thread.start()",
        "for _ in range(20):",
        "    pid = os.fork()",
        "    if pid == 0: counter.inc(); os._exit(0)",
        "    assert os.waitpid(pid, 0)[1] == 0",
        "done.set(); thread.join(); print('done')",
    )
    assert out == "done\n"


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
        "import os; os.environ['AGENTFLOW_SANDBOX'] = 'docker'; print(type(get_sandbox()).__name__)",
        "try: get_sandbox('nowhere')",
        "except ValueError as error: print(error)",
    )
    assert out == "42\nagentflow.sandbox.base\nDockerProvider\nUnknown sandbox provider: nowhere\n"


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
        "with hagane.install() as report: assert state() != before and report.replaced; counter.inc()",
        "assert state() == before",
        "counter.inc()",
        "print(counter.get(), get_metrics().to_prometheus(), hagane.install().parts)",
    )
    assert out == "3.0 the stand-in's own ('metrics', 'sandbox')\n"


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
        "def get_sandbox(provider='microsandbox', config=None, *, region=None): return 'theirs'",
        "agentflow.sandbox.get_sandbox = get_sandbox",
        "import hagane; report = hagane.install('sandbox')",
        "assert agentflow.sandbox.get_sandbox is get_sandbox",
        "print(report.skipped)",
    )
    assert out == "{'agentflow.sandbox.get_sandbox': \"its replacement has no parameter 'region'\"}\n"


def test_a_module_of_another_shape_is_left_as_it_was() -> None:
    out = run(
        WARNINGS,
        "import agentflow.observability.metrics as home, hagane",
        "del home.Histogram; before = {**vars(home)}, {**vars(home.Counter)}, {**vars(home.Gauge)}",
        "report = hagane.install('metrics')",
        "assert ({**vars(home)}, {**vars(home.Counter)}, {**vars(home.Gauge)}) == before",
        "print(report.skipped, report.replaced)",
    )
    assert "agentflow.observability.metrics is left as it is: KeyError: 'Histogram'" in out
    assert out.endswith("{'agentflow.observability.metrics': \"KeyError: 'Histogram'\"} []\n")


def test_a_name_bound_while_installed_is_put_back_too() -> None:
    out = run(
        "import agentflow.sandbox, hagane; original = [agentflow.sandbox.get_sandbox]",
        "hagane.install()",
        "from agentflow.sandbox import get_sandbox",
        "assert get_sandbox is not original[0]",
        "hagane.uninstall()",
        "print(get_sandbox is original[0] is agentflow.sandbox.get_sandbox)",
    )
    assert out == "True\n"


def test_what_somebody_else_replaced_since_is_left_alone() -> None:
    out = run(
        WARNINGS,
        "import agentflow.sandbox, hagane; hagane.install()",
        "agentflow.sandbox.get_sandbox = mine = lambda *a: None",
        "hagane.uninstall(); print(agentflow.sandbox.get_sandbox is mine)",
    )
    assert out == ("agentflow.sandbox.get_sandbox was replaced by something else since; it is left as it is\nTrue\n")


def test_an_unknown_part_is_a_value_error() -> None:
    import hagane

    with pytest.raises(ValueError, match="the parts are metrics, sandbox"):
        hagane.install(["telemetry"])


def test_a_log_handler_and_a_signal_handler_that_count_do_not_wait_for_themselves() -> None:
    out = run(
        AFTER,
        SHOW,
        "import faulthandler, logging, signal; faulthandler.dump_traceback_later(60, exit=True)",
        "metrics = agentflow.observability.get_metrics()",
        "warned = metrics.counter('warned'); ticks = metrics.counter('t')",
        "class Counting(logging.Handler):",
        "    def emit(self, record):",
        "        warned.inc()",
        "        raise RuntimeError('this handler is broken too')",
        "logging.getLogger('hagane.compat').addHandler(Counting())",
        "metrics.counter('not a name').inc()",
        "metrics.gauge('also not a name').set(1)",
        "signal.signal(signal.SIGALRM, lambda *_: ticks.inc()); signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)",
        "for _ in range(30_000): ticks.inc()",
        "signal.setitimer(signal.ITIMER_REAL, 0)",
        "shown = show('agentflow_t ')[0].split()[1]",
        "print(show('agentflow_warned'), float(shown) == ticks.get() > 30_000)",
    )
    assert out == "['agentflow_warned 2'] True\n"
