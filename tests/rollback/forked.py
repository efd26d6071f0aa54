"""Processes by fork, for programs that kill many: what was imported once costs a child nothing."""

from __future__ import annotations

import gc
import itertools
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

PATIENCE = 60.0


def fork(work: Callable[[], object]) -> int:
    """Start `work` in a process of its own and give its pid; it ends with 1, and says why, if `work` raises."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Served:
    """An object in a process of its own; its methods take and give JSON."""

    def __init__(self, make: Callable[[], object]) -> None:
        (asked, asking), (told, telling) = os.pipe(), os.pipe()

        def serve() -> None:
            os.close(asking)
            os.close(told)
            served = make()
            with open(asked) as questions, open(telling, "w") as answers:
                for line in questions:
                    name, arguments = json.loads(line)
                    print(json.dumps(_outcome(lambda: getattr(served, name)(*arguments))), file=answers, flush=True)  # noqa: B023

        self.pid = fork(serve)
        os.close(asked)
        os.close(telling)
        self._questions: TextIO = open(asking, "w")  # noqa: SIM115
        self._answers: TextIO = open(told)  # noqa: SIM115

    def ask(self, name: str, *arguments: object) -> Any:
        print(json.dumps([name, arguments]), file=self._questions, flush=True)
        return _value(self._answers.readline())


def _outcome(work: Callable[[], object]) -> dict[str, object]:
    try:
        return {"value": work()}
    except BaseException:
        return {"fault": traceback.format_exc()}


def _value(line: str) -> Any:
    outcome = json.loads(line or '{"fault": "the process has ended"}')
    if "fault" in outcome:
        raise AssertionError(outcome["fault"])
    return outcome["value"]


def side_by_side(works: list[Callable[[], object]]) -> list[Any]:
    """What each gives as JSON, every one in a process of its own; ends this process with 1 at the first that fails."""
    gc.freeze()
    waiting: dict[int, tuple[int, int]] = {}
    for number, work in enumerate(works):
        told, telling = os.pipe()

        def tell(work: Callable[[], object] = work, telling: int = telling) -> None:
            with open(telling, "w") as file:
                json.dump(_outcome(work), file)

        waiting[told] = (number, fork(tell))
        os.close(telling)
    found: list[Any] = [None] * len(works)
    while waiting:
        for told in select.select(list(waiting), [], [])[0]:
            number, pid = waiting.pop(told)
            with open(told) as file:
                line = file.read()
            os.waitpid(pid, 0)
            try:
                found[number] = _value(line)
            except AssertionError as fault:
                print(f"worker {number} failed: {fault}", file=sys.stderr, flush=True)
                for _, other in waiting.values():
                    os.kill(other, signal.SIGKILL)
                sys.exit(1)
    return found


class Life:
    """A process that tells when it has done something, from its fork to its death."""

    def __init__(self, work: Callable[[int], object], size: int) -> None:
        self._reading, writing = os.pipe()
        self._size = size
        self.told: list[int] = []
        self.times: list[float] = []
        self.begun = time.monotonic()

        def live() -> None:
            os.close(self._reading)
            signal.alarm(int(PATIENCE))
            work(writing)

        self.pid = fork(live)
        os.close(writing)

    def hear(self, seconds: float = PATIENCE) -> bool:
        """Wait so long for the next word; False if none came, or none will come."""
        if not select.select([self._reading], [], [], seconds)[0] or not (word := os.read(self._reading, self._size)):
            return False
        self.told.append(int.from_bytes(word, "big"))
        self.times.append(time.monotonic() - self.begun)
        return True

    def kill(self, words: int, then: float) -> None:
        """Kill it so many seconds after it told so many words; it may have ended by itself."""
        while len(self.told) < words and self.hear():
            pass
        time.sleep(then)
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> int:
        """How it ended, after the last of what it told was heard: 0, a signal below 0, or a failure."""
        while self.hear():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._reading)
        return os.waitstatus_to_exitcode(status)


class Pace:
    """How long a life takes until it tells something, and from then to the next; both change with the machine."""

    def __init__(self) -> None:
        self.first, self.next = 0.05, 0.01

    def learn(self, times: list[float]) -> None:
        if times:
            self.first += (times[0] - self.first) / 8
        for before, after in itertools.pairwise(times):
            self.next += (after - before - self.next) / 16
