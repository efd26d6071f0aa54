"""Programs that end with work pending: no traceback, no hang, exit status 0; 200 starts and exits in all."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

STARTS = 40

PROGRAMS = {
    "asyncio.run returns with work pending": """
async def main():
    for _ in range(20):
        asyncio.ensure_future(_core._sleep(0.002))
        asyncio.ensure_future(_core._sleep(60))
    await _core._sleep(0.001)
asyncio.run(main())
""",
    "the loop is closed under the work": """
loop = asyncio.new_event_loop()
async def main():
    return [_core._sleep(0.001) for _ in range(50)] + [_core._sleep(60)]
futures = loop.run_until_complete(main())
loop.close()
_core._sleep_sync(0.01)
""",
    "a daemon thread goes on waiting in a loop": """
async def main():
    while True:
        await asyncio.gather(*(_core._sleep(0.0005) for _ in range(5)))
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
time.sleep(0.02)
""",
    "daemon threads block": """
def work():
    while True:
        _core._sleep_sync(0.0005)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
threading.Thread(target=_core._sleep_sync, args=(60,), daemon=True).start()
time.sleep(0.02)
""",
    "log records and exceptions are under way": """
import logging
logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, "w"))
async def main():
    futures = [_core._sleep(0.001 * n) for n in range(20)]
    _core._emit_logs("debug", 500)
    try:
        await asyncio.wait_for(_core._sleep(60), 0.005)
    except asyncio.TimeoutError:
        pass
asyncio.run(main())
""",
}


def run_once(body: str) -> tuple[int, str]:
    command = [sys.executable, "-c", f"import asyncio, os, threading, time\nfrom hagane import _core\n{body}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_in_silence_with_work_pending(name):
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(run_once, [PROGRAMS[name]] * STARTS))
    assert [outcome for outcome in outcomes if outcome != (0, "")] == []
