"""Metrics side by side with prometheus_client (and AgentFlow's own): a table, and JSON for `--json FILE`.

usage: python benches/metrics.py [--agentflow CHECKOUT] [--json FILE]

Every ratio comes from one run on one Python, CPU time, medians. Meant for a release build: `make bench-metrics`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from measures import calls, decorator, processes, scrape
from measures.clock import Row


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--agentflow", metavar="CHECKOUT", help="a checkout of AgentFlow, to measure its own module")
    arguments.add_argument("--json", metavar="FILE", help="where the figures go as JSON")
    given = arguments.parse_args()
    agentflow = calls.load_agentflow(given.agentflow) if given.agentflow else None
    rows = [*calls.rows(agentflow), *decorator.rows(), *scrape.rows(), *processes.rows()]
    machine = facts()
    print(table(rows, machine))
    if given.json:
        figures = [vars(row) | {"ratio": row.ratio, "verdict": row.verdict} for row in rows]
        Path(given.json).write_text(json.dumps({"machine": machine, "rows": figures}, indent=2) + "\n")
    return 0


def facts() -> dict[str, str]:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": f"{names[0]}, {len(names)} cores" if names else platform.processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "hagane": version("hagane"),
        "prometheus_client": version("prometheus_client"),
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def table(rows: list[Row], machine: dict[str, str]) -> str:
    lines = [", ".join(f"{name} {value}" for name, value in machine.items()), ""]
    lines += ["| what | hagane | rival | ratio | asked for | |", "|---|---|---|---|---|---|"]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(row: Row) -> str:
    rival = "" if row.theirs is None else f"{row.theirs:.4g} {row.unit} ({row.rival})"
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}x"
    asked = " and ".join(
        text
        for text in (
            f"{row.least:g}x" if row.least is not None else "",
            f"at most {row.most:g} {row.unit}" if row.most is not None else "",
        )
        if text
    )
    return f"| {row.what} | {row.ours:.4g} {row.unit} | {rival} | {ratio} | {asked} | {row.verdict} |"


if __name__ == "__main__":
    sys.exit(main())
