"""The shipped dashboard and rules as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DATA = ROOT / "python/hagane/observability/monitoring/data"


def dashboard() -> dict[str, Any]:
    return dict(json.loads((DATA / "dashboards/hagane.json").read_text()))


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels, rows not among them."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def filled_in(text: str, *, job: str = "hagane", agent: str = ".+", interval: str = "10s") -> str:
    """An expression as Grafana would send it."""
    for variable, value in (("$__rate_interval", interval), ("$job", job), ("$agent", agent)):
        text = text.replace(variable, value)
    assert "$" not in text, text
    return text


def expressions() -> list[tuple[str, str]]:
    """Panel title and expression of every query of the dashboard, variables filled in."""
    return [(panel["title"], filled_in(target["expr"])) for panel in panels() for target in panel["targets"]]


def rules() -> list[dict[str, Any]]:
    """Every recording rule and alert."""
    files = [DATA / "rules/recording.yml", DATA / "rules/en/alerts.yml"]
    return [rule for file in files for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def rule_name(rule: dict[str, Any]) -> str:
    return str(rule.get("alert") or rule["record"])
