"""What an attacker brings along: raw system calls, and how the attempt is told from its outcome."""

from __future__ import annotations

import platform
import textwrap

from hagane.sandbox import ExecutionResult, LocalProvider

# Raw system calls, and a child that does something for a while.
PRELUDE = """\
import ctypes, mmap, os, signal, socket, sys, threading, time
C = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    return C.syscall(*arguments), ctypes.get_errno()
def child(work):
    if os.fork() == 0:
        work()
        os._exit(0)
"""
NUMBERS = {
    "x86_64": {"sched_setaffinity": 203, "clone": 56, "exit": 60},
    "aarch64": {"sched_setaffinity": 122, "clone": 220, "exit": 93},
}


def attack(sandbox: LocalProvider, code: str, **options: object) -> ExecutionResult:
    numbers = "".join(f"{name} = {number}\n" for name, number in NUMBERS[platform.machine()].items())
    return sandbox.run(PRELUDE + numbers + textwrap.dedent(code), **options)  # type: ignore[arg-type]


def kind(result: ExecutionResult) -> str:
    return (result.error or "").split(":")[0]
