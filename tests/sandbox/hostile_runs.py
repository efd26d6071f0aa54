"""A process that does nothing but hostile runs, twice, and prints what it has before and after the second time."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import tempfile
from pathlib import Path

import corpus

from hagane.sandbox import SandboxConfig, get_sandbox

RUNS = int(os.environ.get("HAGANE_HOSTILE_RUNS", "50"))

HOSTILE = [
    "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(100)\n    os._exit(0)",
    "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "import os\nos.kill(-1, 9)",
    "while True: print('x' * 1000000)",
    "import threading, time\n[threading.Thread(target=time.sleep, args=(100,)).start() for _ in range(50)]",
    "import os\nfor i in range(5000): os.mkdir(f'd{i}')",
    "import socket\ns = [socket.socketpair() for _ in range(100)]\nraise ValueError('x')",
    "import os\nos.closerange(0, 100)\nos.abort()",
    "import tempfile, mmap\nm = mmap.mmap(-1, 1 << 26)\nf = tempfile.mkdtemp()\n1 / 0",
]


def state() -> dict[str, object]:
    gc.collect()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "temporary files": sorted(os.listdir(tempfile.gettempdir())),
        "children": sorted(corpus.descendants(os.getpid())),
    }


async def attack() -> None:
    async with get_sandbox("local", SandboxConfig(memory_mb=256)) as sandbox:
        for start in range(0, RUNS, 4):
            codes = [HOSTILE[number % len(HOSTILE)] for number in range(start, min(start + 4, RUNS))]
            await asyncio.gather(*(sandbox.execute(code, timeout=0.5) for code in codes))
        assert corpus.leftovers() == []


if __name__ == "__main__":
    asyncio.run(attack())  # what the runtime and the loop keep for good is there now
    before = state()
    asyncio.run(attack())
    print(json.dumps([before, state()]))
