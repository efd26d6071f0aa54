"""The hostile corpus: bait on the host, one row in the sandbox, and what must be true afterwards.

`python corpus.py` runs all rows and prints one line per row that is not contained; for users that pytest is not run as.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hagane.sandbox import ExecutionResult, SandboxConfig, SandboxProvider, get_sandbox

CANARY = "CANARY-7f3a91"
DATA = Path(__file__).parent.parent / "data" / "abuse.jsonl"


def rows() -> list[dict[str, Any]]:
    with DATA.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@dataclass
class Bait:
    """What an attacker would like to reach on the host, and whether it was reached."""

    folder: Path
    victim: subprocess.Popen[bytes]
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket
    abstract: socket.socket
    touched: list[str] = field(default_factory=list)

    def names(self) -> dict[str, str]:
        return {
            "CANARY_FILE": str(self.folder / "canary.txt"),
            "CANARY_DIR": str(self.folder / "canary"),
            "VICTIM_PID": str(self.victim.pid),
            "PORT": str(self.tcp.getsockname()[1]),
            "UNIX_PATH": self.unix.getsockname(),
            "ABSTRACT": self.abstract.getsockname()[1:].decode(),
            "PWN": str(self.folder / "pwned"),
            "HOSTNAME": socket.gethostname(),
        }

    def fill(self, code: str) -> str:
        for name, value in self.names().items():
            code = code.replace("{" + name + "}", value)
        return code


@contextlib.contextmanager
def bait() -> Iterator[Bait]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        (folder / "canary.txt").write_text(CANARY)
        (folder / "canary").mkdir()
        (folder / "canary" / "secret.txt").write_text(CANARY)
        victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", CANARY])
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(tcp.getsockname())
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(folder / "s"))
        (folder / "s").chmod(0o777)
        unix.listen()
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0hagane-bait-{os.getpid()}")
        abstract.listen()
        caught = Bait(folder, victim, tcp, udp, unix, abstract)
        for name, listener in (("tcp", tcp), ("unix", unix), ("abstract", abstract)):
            threading.Thread(target=_accept, args=(name, listener, caught.touched), daemon=True).start()
        udp.settimeout(0.0)
        yield caught
        for listener in (tcp, unix, abstract):
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(name: str, listener: socket.socket, touched: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()
            touched.append(name)


def limits(row: dict[str, Any]) -> float:
    """The timeout to run a row with, in seconds."""
    return 3.0 if row.get("timeout_expected") else float(row.get("max_wall", 20)) - 1


async def problems(row: dict[str, Any], sandbox: SandboxProvider, host: Bait) -> list[str]:
    """Run one row; what is wrong afterwards, in words."""
    timeout = limits(row)
    started = time.monotonic()
    result = await sandbox.execute(host.fill(row["code"]), timeout=timeout)
    elapsed = time.monotonic() - started
    return [*_in_result(row, result), *_in_time(row, result, timeout, elapsed), *_on_host(row, host, result)]


def _in_result(row: dict[str, Any], result: ExecutionResult) -> Iterator[str]:
    if any("BREACH" in line for line in result.stdout.splitlines()):
        yield f"breach: {result.stdout[:200]!r}"
    if row["cls"] == "benign" and not result.success:
        yield f"benign code failed: {result.error} {result.stderr[-300:]}"
    if (wanted := row.get("expect_stdout")) is not None and wanted not in result.stdout:
        yield f"stdout lacks {wanted!r}: {result.stdout[:200]!r} {result.stderr[-300:]!r}"
    if (code := row.get("expect_exit")) is not None and result.exit_code != code:
        yield f"exit code {result.exit_code}, not {code}"


def _in_time(row: dict[str, Any], result: ExecutionResult, timeout: float, elapsed: float) -> Iterator[str]:
    timed_out = (result.error or "").startswith("Timeout")
    if timed_out != bool(row.get("timeout_expected")) and row["id"] not in MAY_TIME_OUT:
        yield f"{'unexpected' if timed_out else 'no'} timeout"
    if timed_out and not timeout <= elapsed <= timeout + 2:
        yield f"killed after {elapsed:.2f} s, timeout {timeout} s"


def _on_host(row: dict[str, Any], host: Bait, result: ExecutionResult) -> Iterator[str]:
    with contextlib.suppress(OSError):
        host.udp.recv(100)
        host.touched.append("udp")
    if host.touched:
        yield f"the host's sockets were reached: {host.touched}"
    if host.victim.poll() is not None:
        yield "the victim process is dead"
    if (host.folder / "pwned").exists():
        yield "a file was written on the host"
    if any(CANARY.encode() in content for content in result.files.values()):
        yield "the canary came back in a file"
    if sum(map(len, result.files.values())) > 8 << 20 or len(result.stdout) > 2 << 20:
        yield "a large result came back"
    if row.get("host_check") == "no_leftover" and (left := leftovers()):
        yield f"processes left: {left}"


# One huge computation or recursion: a fast machine finishes it, a slow one runs into the limit; both hold.
MAY_TIME_OUT = {"rs08", "rs10", "ip03", "ip05"}


def descendants(root: int) -> list[int]:
    """All processes below `root`, by the kernel's lists of children."""
    found = []
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def leftovers(patience: float = 0.5) -> list[int]:
    """Processes below any supervisor of this process that are still there after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        children = [child for child in descendants(os.getpid()) if _is_supervisor(child)]
        # An init is a fork of its supervisor and shows the same command line; only what is below one is left over.
        left = [process for child in children for process in descendants(child)]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.01)


def _is_supervisor(pid: int) -> bool:
    try:
        return b"supervise_sandboxes" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def run_all() -> int:
    failed = 0
    async with get_sandbox("local", SandboxConfig(memory_mb=512)) as sandbox:
        with bait() as host:
            for row in rows():
                for problem in await problems(row, sandbox, host):
                    failed += 1
                    print(row["id"], problem)
    print(f"{len(rows())} rows, {failed} problems")
    return failed


if __name__ == "__main__":
    os.environ["AGENT_API_KEY"] = CANARY
    sys.exit(asyncio.run(run_all()) > 0)
