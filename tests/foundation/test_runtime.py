"""The runtime of the bindings: awaiting, blocking, Ctrl-C, fork, and silence at the end of a program."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from hagane import _core
from hagane.errors import InternalError


async def test_a_rust_future_is_awaited_beside_python_ones():
    results = await asyncio.gather(*(_core._sleep(0.05) for _ in range(50)), asyncio.sleep(0.05, result="python"))
    assert results == [None] * 50 + ["python"]


async def test_the_awaiting_task_keeps_its_context():
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")
    await _core._sleep(0.001)
    assert variable.get() == "mine"


async def test_a_timeout_cancels_the_wait():
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(_core._sleep(60), timeout=0.05)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_an_impossible_duration_is_a_value_error(seconds):
    with pytest.raises(ValueError, match="cannot sleep"):
        _core._sleep_sync(seconds)


async def test_a_panic_in_an_awaited_task_is_an_error_of_ours():
    with pytest.raises(InternalError, match="hagane itself failed: asked to panic; please report it"):
        await _core._panic()
    await _core._sleep(0.001)


def test_a_panic_in_a_blocking_wait_is_an_error_of_ours_and_leaves_a_runtime_that_works():
    with pytest.raises(InternalError, match="hagane itself failed: asked to panic; please report it"):
        _core._panic_sync()
    _core._sleep_sync(0.001)


def test_an_awaitable_without_a_loop_is_a_runtime_error():
    with pytest.raises(RuntimeError, match="no running event loop"):
        _core._sleep(0.1)


def test_the_synchronous_twin_lets_other_threads_run():
    counted = threading.Event()
    thread = threading.Thread(target=counted.set)
    waiting = threading.Thread(target=_core._sleep_sync, args=(0.3,))
    waiting.start()
    thread.start()
    assert counted.wait(5)
    waiting.join()


def test_the_synchronous_twin_works_inside_a_running_loop():
    async def main() -> None:
        _core._sleep_sync(0.01)

    asyncio.run(main())


def test_ctrl_c_interrupts_a_blocking_wait():
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _core._sleep_sync(60)
    # Not a matter of speed: without the check it would wait out its minute.
    assert time.monotonic() - begin < 30
    timer.join()


def run_python(code: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-W", "ignore::ResourceWarning", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


FORK = """
import asyncio, os, signal, sys
from hagane import _core

async def wait():
    await asyncio.gather(*(_core._sleep(0.01) for _ in range(10)))

asyncio.run(wait())
depth = 0
while depth < 3:
    pid = os.fork()
    if pid:
        break
    depth += 1
    signal.alarm(20)
    asyncio.run(wait())
    _core._sleep_sync(0.01)
if pid:
    _, status = os.waitpid(pid, 0)
    asyncio.run(wait())
    sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_child_and_its_own_children_wait_on_runtimes_of_their_own():
    result = run_python(FORK)
    assert (result.returncode, result.stderr) == (0, "")


FORK_WHILE_BUSY = """
import asyncio, os, signal, sys
from hagane import _core

async def main():
    pending = [asyncio.ensure_future(_core._sleep(0.001 * n)) for n in range(200)]
    for _ in range(10):
        await asyncio.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            for _ in range(5):
                _core._sleep_sync(0.001)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    await asyncio.gather(*pending)

asyncio.run(main())
"""


def test_a_child_forked_under_load_can_wait():
    result = run_python(FORK_WHILE_BUSY)
    assert (result.returncode, result.stderr) == (0, "")


def test_an_exit_handler_registered_after_the_import_can_still_wait():
    code = (
        "import atexit; from hagane import _core; atexit.register(lambda: (_core._sleep_sync(0.01), print('waited')))"
    )
    result = run_python(code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "waited\n", "")


def test_an_exit_handler_that_comes_too_late_is_told():
    code = "import atexit\natexit.register(lambda: _core._sleep_sync(0.01))\nfrom hagane import _core"
    result = run_python(code)
    assert "hagane's runtime has shut down with the interpreter" in result.stderr


def test_a_runtime_that_cannot_start_says_why():
    code = """
import os, resource
from hagane import _core
resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    _core._sleep_sync(0.01)
except RuntimeError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
_core._sleep_sync(0.01)
print("now it can")
"""
    result = run_python(code)
    first, second = result.stdout.splitlines()
    assert (result.returncode, result.stderr) == (0, "")
    assert first.startswith("cannot start hagane's runtime: Too many open files")
    assert second == "now it can"
