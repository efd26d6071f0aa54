"""The example's webhook prints each alert as a line of its own, also when several come at once."""

from __future__ import annotations

import json
import threading
import urllib.request

from monitoring_stack import EXAMPLE, Stack, wait_for

THREADS, MESSAGES, ALERTS = 8, 25, 4


def post(url: str, name: str) -> None:
    alerts = [
        {"status": "firing", "labels": {"alertname": name, "n": str(n)}, "annotations": {}} for n in range(ALERTS)
    ]
    for _ in range(MESSAGES):
        request = urllib.request.Request(url, data=json.dumps({"alerts": alerts}).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()


def test_alerts_that_come_at_once_are_lines_of_their_own(tmp_path):
    with Stack(tmp_path) as stack:
        stack.python("receiver", EXAMPLE / "receiver.py", "--port", 0)
        url = stack.said("receiver", r"listening on (\S+)")
        threads = [threading.Thread(target=post, args=(url, f"Alert{number}")) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expected = sorted(f"firing Alert{a} n={n}: " for a in range(THREADS) for n in range(ALERTS))
        lines = wait_for("all lines", lambda: len(got := stack.log("receiver").split("\n")[1:-1]) > 0 and got)
    assert len(lines) == THREADS * MESSAGES * ALERTS
    assert sorted(set(lines)) == expected
