"""What the local sandbox promises to code that means no harm, and to the host that runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import corpus
import pytest

from hagane import _core
from hagane.errors import ProviderError, SandboxClosedError, SandboxStartError
from hagane.observability import get_metrics
from hagane.sandbox import (
    ExecutionResult,
    LocalProvider,
    ResourceLimits,
    SandboxConfig,
    SandboxProvider,
    get_sandbox,
)


@pytest.fixture
async def sandbox() -> AsyncIterator[LocalProvider]:
    async with LocalProvider() as provider:
        yield provider


async def test_the_result_reads_as_attributes_and_as_a_mapping(sandbox: LocalProvider) -> None:
    result = await sandbox.execute("import sys; print(6 * 7); print('oops', file=sys.stderr)")
    assert (result.stdout, result.stderr, result.exit_code, result.error) == ("42\n", "oops\n", 0, None)
    assert dict(result) == {"stdout": "42\n", "stderr": "oops\n", "exit_code": 0, "files": {}}
    assert result.success
    assert result.output == "42\n\n[stderr]\noops\n"


async def test_files_go_in_and_come_out(sandbox: LocalProvider) -> None:
    code = "import helper, os; os.mkdir('out'); open('out/b.bin', 'wb').write(helper.twice(open('a.bin', 'rb').read()))"
    files = {"a.bin": bytes(range(256)), "helper.py": b"def twice(x): return x + x\n", "empty": b""}
    result = await sandbox.execute(code, files=files)
    assert result.error is None, result.stderr
    assert result.files == {"out/b.bin": bytes(range(256)) * 2}


async def test_a_large_file_makes_the_round_trip(sandbox: LocalProvider) -> None:
    content = os.urandom(20 << 20)
    result = await sandbox.execute("import shutil; shutil.copy('in', 'out')", files={"in": content})
    assert result.files == {"out": content}


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "", "a\0b", "a//b", "./a"])
async def test_a_bad_file_name_is_refused_before_anything_runs(sandbox: LocalProvider, name: str) -> None:
    with pytest.raises(ValueError, match="files:"):
        await sandbox.execute("print(1)", files={name: b""})


async def test_an_uncaught_exception_shows_only_the_codes_own_frames(sandbox: LocalProvider) -> None:
    result = await sandbox.execute("def f():\n    return {}['price']\nf()")
    assert result.exit_code == 1
    assert result.error == "KeyError: 'price'"
    assert ".runner.py" not in result.stderr
    assert "line 2, in f" in result.stderr


@pytest.mark.parametrize(
    ("code", "exit_code", "error"),
    [
        ("raise SystemExit(3)", 3, None),
        ("import sys; sys.exit('bye')", 1, None),
        ("import sys; sys.exit(124)", 124, None),
        ("import os; os._exit(137)", 137, None),
        ("import os; os.kill(os.getpid(), 11)", 139, "Killed: by signal SIGSEGV (11)"),
        ("while True: pass", 124, "Timeout: the code ran for"),
        ("x = [bytearray(1 << 20) for _ in range(2000)]", 1, "MemoryError"),
        ("while True: print('x' * 10_000_000)", 137, "OutputLimit:"),
    ],
)
async def test_the_ending_comes_from_the_kernel(
    sandbox: LocalProvider, code: str, exit_code: int, error: str | None
) -> None:
    timeout = 1.0 if "True: pass" in code else 30.0
    result = await sandbox.execute(code, timeout=timeout)
    assert result.exit_code == exit_code
    assert (result.error or "").startswith(error or "")
    assert (result.error is None) == (error is None)


async def test_memory_is_bounded_for_the_whole_tree(sandbox: LocalProvider) -> None:
    code = """
    import os, time
    for _ in range(4):
        if os.fork() == 0:
            held = bytearray(300 << 20)
            time.sleep(20)
    time.sleep(20)
    """
    result = await sandbox.execute(textwrap.dedent(code), timeout=30)
    assert (result.exit_code, (result.error or "").split(":")[0]) == (137, "MemoryLimit")


async def test_output_beyond_the_cap_is_cut_and_said_so(sandbox: LocalProvider) -> None:
    result = await sandbox.execute("print('x' * (5 << 20))")
    assert result.truncated
    assert len(result.stdout) == 1 << 20


async def test_bytes_that_are_not_utf8_stay_readable(sandbox: LocalProvider) -> None:
    result = await sandbox.execute(r"import sys; sys.stdout.buffer.write(b'\xff ok'); print('\ud800')")
    assert result.stdout == "\\xff ok\\ud800\n"


async def test_lines_printed_before_a_timeout_are_kept(sandbox: LocalProvider) -> None:
    result = await sandbox.execute("print('so far'); import time; time.sleep(60)", timeout=1)
    assert (result.exit_code, result.stdout) == (124, "so far\n")


async def test_the_environment_is_minimal_and_what_is_added(
    sandbox: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    result = await sandbox.execute("import os; print(sorted(os.environ))", env={"CITY": "大阪"})
    assert eval(result.stdout) == ["CITY", "HOME", "LANG", "PATH", "TMPDIR"]


@pytest.mark.parametrize("env", [{"": "x"}, {"A=B": "x"}, {"A": "x\0y"}])
async def test_an_impossible_variable_is_refused(sandbox: LocalProvider, env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="env:"):
        await sandbox.execute("print(1)", env=env)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e9])
async def test_an_impossible_timeout_is_refused(sandbox: LocalProvider, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout is"):
        await sandbox.execute("print(1)", timeout=timeout)


async def test_runs_share_nothing(sandbox: LocalProvider) -> None:
    plant = """
    for name in ("/tmp/x", "/dev/shm/x", "x"):
        open(name, "w").write("1")
    import builtins
    builtins.x = 1
    """
    assert (await sandbox.execute(textwrap.dedent(plant))).success
    seen = await sandbox.execute(
        "import os; print([os.path.exists(p) for p in ('/tmp/x', '/dev/shm/x', 'x')], 'x' in dir(__builtins__))"
    )
    assert seen.stdout == "[False, False, False] False\n"


async def test_runs_at_the_same_time_do_not_mix(sandbox: LocalProvider) -> None:
    results = await asyncio.gather(*(sandbox.execute(f"print({n} * 2)") for n in range(12)))
    assert [int(result.stdout) for result in results] == [n * 2 for n in range(12)]


async def test_isolation_is_reported(sandbox: LocalProvider) -> None:
    isolation = (await sandbox.execute("pass")).isolation
    assert isolation is not None
    assert isolation.level == "L2"
    assert {"namespaces", "seccomp"} <= set(isolation.mechanisms)
    assert any(mechanism.startswith("landlock:") for mechanism in isolation.mechanisms)


async def test_the_kernel_confirms_the_walls(sandbox: LocalProvider) -> None:
    result = await sandbox.execute("print(open('/proc/self/status').read())")
    status = dict(line.split(":\t") for line in result.stdout.splitlines() if ":\t" in line)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}


def test_a_synchronous_twin_needs_no_event_loop() -> None:
    sandbox = LocalProvider()
    assert sandbox.run("print(1)").stdout == "1\n"
    asyncio.run(sandbox.close())


async def test_a_closed_sandbox_refuses_to_run() -> None:
    sandbox = get_sandbox("local")
    await sandbox.close()
    await sandbox.close()
    with pytest.raises(SandboxClosedError, match="is closed"):
        await sandbox.execute("print(1)")


async def test_cancelling_the_task_kills_the_run(sandbox: LocalProvider) -> None:
    task = asyncio.create_task(sandbox.execute("import time; time.sleep(60)"))
    while not corpus.leftovers(patience=0):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert corpus.leftovers() == []
    assert (await sandbox.execute("print(1)")).stdout == "1\n"


async def test_a_supervisor_killed_in_the_middle_is_the_sandboxs_fault(sandbox: LocalProvider) -> None:
    task = asyncio.create_task(sandbox.execute("import time; time.sleep(60)"))
    while not corpus.leftovers(patience=0):
        await asyncio.sleep(0.01)
    for supervisor in [child for child in corpus.descendants(os.getpid()) if corpus._is_supervisor(child)]:
        with contextlib.suppress(ProcessLookupError):  # an earlier test's, just ending
            os.kill(supervisor, 9)
    # Its children go with it, and whichever end is seen first is told.
    with pytest.raises(ProviderError, match=r"supervisor has ended|init is gone"):
        await task
    assert (await sandbox.execute("print(1)")).stdout == "1\n"


@pytest.mark.parametrize(
    ("command", "executable", "step"),
    [
        (["/nowhere/python"], sys.executable, "start the supervisor"),
        (LocalProvider()._command, "/nowhere/python", "start /nowhere/python"),
    ],
)
def test_a_sandbox_that_cannot_start_says_which_step_failed(command: list[str], executable: str, step: str) -> None:
    request = _core.SandboxRequest("pass", env={}, files={}, timeout=timedelta(seconds=9), memory=1 << 29, disk=1 << 20)
    with pytest.raises(SandboxStartError, match=re.escape(step)):
        _core.LocalSandbox(command, executable, []).execute_blocking(request)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"files": {"a": 5}}, "files: 'a' is int"),
        ({"files": {"a": "x"}}, "files: 'a' is str"),
        ({"env": {"A": 1}}, "env: 'A'"),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(TypeError, match=named):
        LocalProvider().run("print(1)", **arguments)


async def test_a_cancelled_run_is_counted(sandbox: LocalProvider) -> None:
    runs = get_metrics().counter("sandbox_execution_total")
    before = runs.get(labels={"provider": "local", "outcome": "cancelled"})
    task = asyncio.create_task(sandbox.execute("import time; time.sleep(60)"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert runs.get(labels={"provider": "local", "outcome": "cancelled"}) == before + 1


class Echo(SandboxProvider):
    """A provider of somebody else's, with nothing but `execute`."""

    async def execute(self, code: str, **options: Any) -> ExecutionResult:
        await asyncio.sleep(0)
        return ExecutionResult(stdout=code)


async def test_every_provider_has_a_synchronous_twin_even_inside_a_running_loop() -> None:
    assert Echo().run("hello").stdout == "hello"


def test_what_the_sandbox_does_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="hagane")
    _core._flush_logs()
    LocalProvider().run("pass")
    _core._flush_logs()
    assert any(r.name.startswith("hagane.sandbox.local") and "supervisor started" in r.message for r in caplog.records)


async def test_a_dead_supervisor_is_replaced(sandbox: LocalProvider) -> None:
    await sandbox.execute("pass")
    supervisors = [child for child in corpus.descendants(os.getpid()) if corpus._is_supervisor(child)]
    for supervisor in supervisors:
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor, 9)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(
        Path(f"/proc/{pid}/task").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text() for pid in supervisors
    ):
        await asyncio.sleep(0.01)
    assert (await sandbox.execute("print(1)")).stdout == "1\n"


def test_a_killed_host_leaves_nothing_behind() -> None:
    code = "import os, time; os.fork(); time.sleep(300)"
    program = f"from hagane.sandbox import get_sandbox; get_sandbox('local').run({code!r})"
    host = subprocess.Popen([sys.executable, "-c", program])
    below: list[int] = []
    while len(below) < 4:  # supervisor, init, worker, its child
        assert host.poll() is None
        below = corpus.descendants(host.pid)
        time.sleep(0.01)
    host.kill()
    host.wait()
    deadline = time.monotonic() + 5
    while left := [pid for pid in below if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_a_sandbox_works_in_a_forked_child_and_still_in_the_parent() -> None:
    program = """
    import os
    from hagane.sandbox import get_sandbox
    sandbox = get_sandbox('local')
    assert sandbox.run('print(1)').stdout == '1\\n'
    child = os.fork()
    if child == 0:
        os._exit(0 if sandbox.run('print(2)').stdout == '2\\n' else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert sandbox.run('print(3)').stdout == '3\\n'
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)], check=True, timeout=60)


@pytest.mark.parametrize(
    "limits",
    [
        ResourceLimits(network_enabled=True),
        ResourceLimits(allowed_hosts=["example.org"]),
        ResourceLimits(max_cpu_percent=50),
    ],
)
def test_a_limit_that_cannot_be_enforced_is_an_error(limits: ResourceLimits) -> None:
    with pytest.raises(ValueError, match="local provider"):
        LocalProvider(SandboxConfig(resource_limits=limits))


def test_an_unknown_provider_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown sandbox provider 'cloud'; known are local and auto"):
        get_sandbox("cloud")
