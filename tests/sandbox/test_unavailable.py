"""Where the kernel refuses, the sandbox says which step failed and what to do, and never runs the code bare."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
from hagane.sandbox import get_sandbox
from hagane.errors import SandboxUnavailable
try:
    print('ran:', get_sandbox('local').run('print(1)').stdout)
except SandboxUnavailable as error:
    print('unavailable:', error)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_refused_user_namespaces_name_the_step_and_the_remedy() -> None:
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script, sys.executable, textwrap.dedent(PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("unavailable: no local sandbox here: make namespaces failed"), done
    assert "max_user_namespaces" in done.stdout
    assert "ran:" not in done.stdout
