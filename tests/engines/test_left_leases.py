"""A run whose store failed is gone on with by the same program, without waiting for its own lease to end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pipeline_helpers import Scripted, stages

from hagane.engines import PipelineEngine
from hagane.errors import LeaseHeld
from hagane.rollback import MemoryStore

FULL = """
import os, subprocess, sys
from hagane.engines import PipelineEngine, StageConfig
from hagane.errors import StoreError
from hagane.rollback import SqliteStore
folder, calls = sys.argv[1], []
def stage(name):
    def agent(inputs):
        calls.append(name)
        return {name: os.urandom(150_000)}
    return StageConfig(name, agent)
engine = PipelineEngine([stage(name) for name in "abcd"], checkpoint_store=SqliteStore(folder + "/s.db"))
try:
    engine.run_sync({}, thread_id="t")
except StoreError as error:
    print(type(error).__name__)
subprocess.run(["mount", "-o", "remount,size=20m", folder], check=True)
print(engine.resume_sync("t")["status"], calls.count("a"))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_after_a_full_disk_the_same_program_resumes_at_once(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=500k none "$1" && exec "$0" -c "$2" "$1"'
    spaces = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    command = [*spaces, "sh", "-c", script, sys.executable, str(tmp_path), FULL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == ["StoreError", "success 1"], done.stderr


async def test_a_stream_that_was_left_open_is_named_by_whoever_finds_the_thread_held() -> None:
    engine = PipelineEngine(stages(a=Scripted({"x": 1}), b=Scripted({"x": 2})), checkpoint_store=MemoryStore())
    async with aclosing(engine.run_stream({}, "t")) as events:
        async for event in events:
            if event["type"] == "checkpoint":
                break
        with pytest.raises(LeaseHeld, match=r"this very process.*aclosing"):
            await engine.resume("t")
    result: dict[str, Any] = await engine.resume("t")
    assert (result["status"], result["attempts"]["a"]) == ("success", 1)
