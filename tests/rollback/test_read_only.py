"""A database that cannot be written is refused when it is opened, not at the first checkpoint."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hagane.rollback import SqliteStore

PROGRAM = """
import sys
from hagane.errors import StoreError
from hagane.rollback import SqliteStore
try:
    SqliteStore(sys.argv[1])
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_a_read_only_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    SqliteStore(str(path)).close()
    before = path.read_bytes()
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$0" -c "$2" "$3"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    done = subprocess.run(
        [*command, sys.executable, str(path), PROGRAM, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "read-only" in done.stdout, done
    assert "name another file" in done.stdout
    assert path.read_bytes() == before
