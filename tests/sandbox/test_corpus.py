"""Every row of the hostile corpus is contained, as root and as an ordinary user, on one sandbox that is reused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import corpus
import pytest

import hagane
from hagane.sandbox import SandboxConfig, SandboxProvider, get_sandbox


@pytest.fixture(scope="module")
def host() -> Iterator[corpus.Bait]:
    with pytest.MonkeyPatch.context() as patch, corpus.bait() as caught:
        patch.setenv("AGENT_API_KEY", corpus.CANARY)
        yield caught


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[SandboxProvider]:
    async with get_sandbox("local", SandboxConfig(memory_mb=512)) as provider:
        yield provider


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", corpus.rows(), ids=lambda row: row["id"])
async def test_a_hostile_row_is_contained(row: dict[str, Any], sandbox: SandboxProvider, host: corpus.Bait) -> None:
    assert await corpus.problems(row, sandbox, host) == []


SYSTEM_PYTHON = next((path for path in map(Path, ("/usr/bin/python3.11", "/usr/bin/python3")) if path.exists()), None)


@pytest.mark.skipif(os.getuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.skipif(SYSTEM_PYTHON is None, reason="needs an interpreter that others can read: apt-get install python3")
def test_all_rows_are_contained_for_an_ordinary_user() -> None:
    # The checkout and its interpreter may lie in a folder that only root can enter.
    place = Path("/var/tmp") / f"hagane-{os.getpid()}"
    try:
        shutil.copytree(Path(hagane.__file__).parent, place / "hagane")
        (place / "tests" / "sandbox").mkdir(parents=True)
        (place / "tests" / "data").mkdir()
        shutil.copy(corpus.__file__, place / "tests" / "sandbox")
        shutil.copy(corpus.DATA, place / "tests" / "data")
        done = subprocess.run(
            [SYSTEM_PYTHON, place / "tests" / "sandbox" / "corpus.py"],
            env={"PYTHONPATH": str(place), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
            user=65532,
            group=65532,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["121 rows, 0 problems"]), done.stderr
