"""Snapshots and checkpoint stores beside copy.deepcopy and LangGraph's savers: a table, and JSON for `--json FILE`.

usage: python benches/reliability.py [--postgres URL] [--json FILE]

Every ratio comes from one run; commits are timed in turns. Meant for a release build: `make bench-reliability`.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path

from measures import commits, snapshots, storage
from metrics import facts, table


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--postgres", metavar="URL", help="a PostgreSQL to measure on, in a schema of its own")
    arguments.add_argument("--json", metavar="FILE", help="where the figures go as JSON")
    given = arguments.parse_args()
    rows = [*snapshots.rows(), *storage.rows(), *commits.rows(given.postgres)]
    machine = facts() | {"langgraph-checkpoint-sqlite": version("langgraph-checkpoint-sqlite")}
    print(table(rows, machine))
    if given.json:
        figures = [vars(row) | {"ratio": row.ratio, "verdict": row.verdict} for row in rows]
        Path(given.json).write_text(json.dumps({"machine": machine, "rows": figures}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
