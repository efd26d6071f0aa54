"""Runs the command as a user does: in a process of its own, in a directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "hagane", "demo"]


class Demo:
    """`hagane demo` in one working directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("HAGANE_", "AGENTFLOW_", "E2B_"))
            },
            "PYTHONIOENCODING": "utf-8",
        }

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *options],
            cwd=self.directory,
            env={**self.environment, **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *options],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def report(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.directory / "hagane-report").iterdir())}
