"""Real processes that share a metrics directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from metric_scrapes import Scrape

SHOW = "from hagane.observability import get_metrics; print(get_metrics().to_prometheus())"


def environment(directory: Path, variable: str = "HAGANE_MULTIPROC_DIR") -> dict[str, str]:
    """This process's environment, with the directory and no other."""
    cleared = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HAGANE_MULTIPROC_DIR", "PROMETHEUS_MULTIPROC_DIR")
    }
    return cleared | {variable: str(directory)}


def run(directory: Path, program: str, *, timeout: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program],
        env=environment(directory),
        capture_output=True,
        text=True,
        check=True,
        timeout=timeout,
        **options,
    )


def start(directory: Path, program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        env=environment(directory),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def shown(directory: Path) -> Scrape:
    """What a process that comes afterwards shows."""
    return Scrape(run(directory, SHOW).stdout)
