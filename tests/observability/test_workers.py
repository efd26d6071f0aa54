"""uvicorn with four workers under load, one of them killed: every worker shows the exact sum."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from metric_scrapes import Scrape
from process_helpers import environment

CLIENTS = 8


def ask(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.fixture
def served(tmp_path):
    """The port, the ledger and the process of a uvicorn that is up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ledger = tmp_path / "ledger"
    command = [sys.executable, "-m", "uvicorn", "worker_app:app", "--workers", "4", "--port", str(port)]
    variables = environment(tmp_path / "cells") | {"LEDGER": str(ledger), "PYTHONPATH": str(Path(__file__).parent)}
    program = subprocess.Popen([*command, "--log-level", "error"], env=variables)
    try:
        for _ in range(600):
            try:
                ask(port, "/metrics")
                break
            except OSError:
                time.sleep(0.1)
        yield port, ledger, program
    finally:
        program.terminate()
        program.wait(timeout=30)


def load(port: int, requests: int) -> list[str]:
    """Ask from several threads; returns the workers that answered. A connection that breaks is not asked again."""
    answers: list[str] = []

    def client() -> None:
        for _ in range(requests):
            try:
                answers.append(ask(port, "/hit"))
            except (OSError, http.client.HTTPException):
                answers.append("")

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def totals(port: int) -> tuple[float | None, float | None]:
    seen = Scrape(ask(port, "/metrics"))
    return seen.value("agentflow_hits_total"), seen.value("agentflow_seconds_count")


def test_four_workers_of_which_one_is_killed_show_exact_totals(served):
    port, ledger, _ = served
    answers = load(port, 50)
    assert "" not in answers
    assert len(set(answers)) > 1
    # Asked often enough that several workers answer: each has the sum of all.
    assert {totals(port) for _ in range(12)} == {(400, 400)}

    victim = int(answers[-1])
    os.kill(victim, signal.SIGKILL)
    later = load(port, 50)
    counted = ledger.stat().st_size
    hits, observed = totals(port)
    # Only what the victim was doing at its last moment may stand in the metric and not yet in the ledger.
    assert counted - 400 >= sum(answer != "" for answer in later)
    assert 0 <= hits - counted <= 1
    assert 0 <= hits - observed <= 1
    assert {totals(port) for _ in range(12)} == {(hits, observed)}
