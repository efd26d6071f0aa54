"""Killed at every step and at random moments, resumed in another process: nothing lost, nothing repeated, nothing torn.

`make crash` sets HAGANE_CRASH_TRIALS to the full count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("crash_driver.py")
# Another one each time; a failure says which.
SEED = os.environ.get("HAGANE_CRASH_SEED") or str(time.time_ns() % 1_000_000)
RUNS = int(os.environ.get("HAGANE_CRASH_TRIALS", "100"))


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield "sqlite"
        return
    psycopg = pytest.importorskip("psycopg")
    url, schema = request.getfixturevalue("service")("postgres"), f"engine_{uuid.uuid4().hex}"
    yield f"{url}#{schema}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


def crash(place: str, folder: Path, mode: str, count: int) -> dict[str, Any]:
    command = [sys.executable, DRIVER, place, folder, mode, str(count), SEED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_pipeline_killed_at_every_step_goes_on_with_nothing_lost(place: str, tmp_path: Path) -> None:
    told = crash(place, tmp_path, "points", 0)
    assert told["deaths"] == told["trials"] == told["steps"] > 100


def test_a_pipeline_killed_at_random_moments_goes_on_with_nothing_lost(place: str, tmp_path: Path) -> None:
    told = crash(place, tmp_path, "random", RUNS)
    assert told["trials"] == RUNS
    # Most kills come before the end.
    assert told["deaths"] > told["kills"] / 2
