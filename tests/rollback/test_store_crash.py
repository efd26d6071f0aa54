"""SIGKILL at random moments and at every failpoint: nothing that was acknowledged is lost, nothing is torn.

`make crash` asks for 10,000 kills of each store; a test run makes do with 100.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from store_crash import SERVER_SIDE

from hagane import _core

TRIALS = int(os.environ.get("HAGANE_CRASH_TRIALS", "100"))


def crash(place: str) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("store_crash.py")), place, "--trials", str(TRIALS)]
    command += ["--each", str(max(TRIALS // 100, 1))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 3 * TRIALS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["stored"] > 0
    assert summary["kills"] >= summary["random"] == TRIALS
    # Most are killed while they work, not while they open the store.
    assert summary["working"] > TRIALS / 2
    return summary


def test_sqlite_survives_kills(tmp_path: Path) -> None:
    crash(str(tmp_path / "runs.db"))
    files = [path for path in tmp_path.iterdir() if path.name.startswith("runs.db") and "-" not in path.name]
    assert len(files) > 1
    for path in files:
        with sqlite3.connect(path) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        raw.close()


def test_postgres_survives_kills(postgres_place: tuple[str, str]) -> None:
    crash("|".join(postgres_place))


@pytest.mark.parametrize("place", ["sqlite", "postgres"])
@pytest.mark.skipif(
    not hasattr(_core, "_failpoints"), reason="built without failpoints: maturin develop --features failpoints"
)
def test_each_failpoint_is_passed_by_a_writer(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    where, expected = str(tmp_path / "runs.db"), set(_core._failpoints())
    if place == "postgres":
        where, expected = "|".join(request.getfixturevalue("postgres_place")), expected - SERVER_SIDE
    command = [sys.executable, str(Path(__file__).with_name("store_crash.py")), where, "--trials", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert json.loads(done.stdout)["at failpoints"] == len(expected), done.stdout + done.stderr
    assert len(expected) >= 4
