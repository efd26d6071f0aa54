"""After many hostile runs the host is as it was: processes, zombies, mounts, descriptors, temporary files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_nothing_is_left_after_hostile_runs(tmp_path: Path) -> None:
    # In a process of its own: here other tests' descriptors come and go, and others write into the shared folder.
    program = Path(__file__).with_name("hostile_runs.py")
    done = subprocess.run(
        ["env", f"TMPDIR={tmp_path}", sys.executable, program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    assert after == before
