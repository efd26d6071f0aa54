"""Faults M17 and M18 of AgentFlow's metrics: a million observations, and a scrape of many series."""

from __future__ import annotations

import subprocess
import sys
import threading

MILLION = """
import re, sys
from hagane.observability import MetricsCollector

collector, kept = MetricsCollector(prefix=""), []
child = collector.histogram("seconds", "", ["agent"]).labels("a")
observe = child.observe if sys.argv[1] == "hagane" else kept.append
child.observe(0.001)
# The peak of this very program: getrusage would tell that of the one that started it.
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
before, length = peak(), len(collector.to_prometheus())
for number in range(1_000_000):
    observe(number / 1000)
print(peak() - before, len(collector.to_prometheus()) - length)
"""


def grown(which: str) -> tuple[int, int]:
    """KiB of memory and characters of text that a million observations added, in a process of their own."""
    command = [sys.executable, "-c", MILLION, which]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    memory, text = map(int, done.stdout.split())
    return memory, text


def test_m17_m18_a_million_observations_take_no_memory_and_do_not_lengthen_a_scrape():
    memory, text = grown("hagane")
    # Kept observations would be 8 to 32 MB; the text may grow by the digits of its numbers.
    assert memory < 4096
    assert text < 300
    assert grown("a list, as AgentFlow has it")[0] > 8192


def test_m18_a_scrape_does_not_keep_others_from_their_metrics(collector):
    family = collector.counter("many_total", "", ["number"])
    for number in range(9_000):
        family.labels(str(number)).inc()
    collector.histogram("seconds", "", ["agent"]).labels("a").observe(1)
    made, begun = [], threading.Event()

    def work() -> None:
        begun.wait()
        for number in range(100):
            collector.counter(f"made_meanwhile_{len(made)}_total").inc()
            made.append(number)

    # No thread is ever told to give way, so the other one gets on only if the scrape itself lets go of the GIL, and it
    # could not register anything if the scrape held the registry.
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        begun.set()
        for _ in range(200):
            text = collector.to_prometheus()
            if made:
                break
        progress = len(made)
    finally:
        sys.setswitchinterval(before)
    thread.join(60)
    assert progress > 0
    assert text.count("\nmany_total{") == 9_000
