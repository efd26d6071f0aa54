"""The cases of litellm_cases.py, in a process of their own.

LiteLLM takes seconds to import, changes the environment, and leaves sockets and threads behind, which the rest of the
tests, where a warning is an error, would trip over.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CASES = HERE / "litellm_cases.py"
NAMES = [node.name for node in ast.parse(CASES.read_text()).body if getattr(node, "name", "").startswith("test_")]


@pytest.fixture(scope="module")
def outcomes() -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-W", "ignore", "-p", "no:unraisableexception", str(CASES)]
    command += ["-p", "no:cacheprovider", "--rootdir", str(HERE.parents[1])]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return result.stdout + result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_litellm(name: str, outcomes: str) -> None:
    passed = [line for line in outcomes.splitlines() if line.startswith("PASSED") and line.endswith(f"::{name}")]
    assert passed, outcomes[-8000:]
