"""Writing the packaged dashboards and rules where Grafana and Prometheus can read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

__all__ = ["LANGUAGES", "export_alerts", "export_dashboards"]

LANGUAGES = ("en", "ja")
"""The languages that summaries of alerts are written in."""

PACKAGED_JOB = 'job="hagane"'
JOB = re.compile(r"[\w.:/-]+")


def export_dashboards(directory: str | Path, *, force: bool = False) -> list[Path]:
    """Write every dashboard as JSON into `directory`, made if it is not there; returns the files written.

    Raises:
        FileExistsError: a file of that name has other contents, and `force` is false. Nothing was written then.
        OSError: the directory cannot be made or written.
    """
    names = ["hagane.json"]
    return _write(Path(directory), {name: _packaged("dashboards", name) for name in names}, force=force)


def export_alerts(
    directory: str | Path, *, language: str = "en", job: str = "hagane", force: bool = False
) -> list[Path]:
    """Write recording rules, alerts and their unit tests into `directory`; returns the files written.

    `recording.yml` and `alerts.yml` belong into `rule_files` of Prometheus; `promtool test rules alerts.test.yml` tests
    them. `job` is the name of the scrape job, by which the alerts notice that a target is down or absent.

    Raises:
        ValueError: an unknown language, or a job name that is not made of letters, digits and `_ . : / -`.
        FileExistsError: a file of that name has other contents, and `force` is false. Nothing was written then.
        OSError: the directory cannot be made or written.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}; there are {' and '.join(LANGUAGES)}")
    if not JOB.fullmatch(job):
        raise ValueError(f"job is {job!r}; use letters, digits and _ . : / -")
    files = {
        "recording.yml": _packaged("rules", "recording.yml"),
        "alerts.yml": _packaged("rules", language, "alerts.yml"),
        "alerts.test.yml": _packaged("rules", "alerts.test.yml"),
    }
    named = {name: text.replace(PACKAGED_JOB, f'job="{job}"') for name, text in files.items()}
    return _write(Path(directory), named, force=force)


def _packaged(*path: str) -> str:
    return resources.files("hagane.observability.monitoring").joinpath("data", *path).read_text(encoding="utf-8")


def _write(directory: Path, files: Mapping[str, str], *, force: bool) -> list[Path]:
    changed = [name for name, text in files.items() if not force and _differs(directory / name, text)]
    if changed:
        raise FileExistsError(
            f"{directory}: {', '.join(changed)} exists with other contents; move it away, or overwrite it with --force"
        )
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_bytes(text.encode("utf-8"))
    return [directory / name for name in files]


def _differs(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() != text.encode("utf-8")
