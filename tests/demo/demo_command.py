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
        return self._call([*COMMAND, *options], **environment)

    def run_in(self, prefix: list[str], *options: str) -> subprocess.CompletedProcess[str]:
        """Run it at the end of another command, which arranges its surroundings."""
        return self._call([*prefix, *COMMAND, *options])

    def run_program(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._call([sys.executable, "-c", program, *arguments])

    def _call(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
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

    def tree(self) -> dict[str, bytes | None]:
        """Everything in the working directory: content by path, None for what is no file."""
        return {
            str(path.relative_to(self.directory)): path.read_bytes() if path.is_file() else None
            for path in sorted(self.directory.rglob("*"))
        }

    def report(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.directory / "hagane-report").iterdir())}
