"""`python tools/dashboards` writes the packaged dashboard; `--print` shows it instead."""

from __future__ import annotations

import sys
from pathlib import Path

from build import as_json, build

PACKAGED = Path(__file__).parents[2] / "python/hagane/observability/monitoring/data/dashboards/hagane.json"


def main(arguments: list[str]) -> int:
    """Write or print; returns the exit status."""
    text = as_json(build())
    if arguments == ["--print"]:
        sys.stdout.write(text)
        return 0
    if arguments:
        print("usage: python tools/dashboards [--print]", file=sys.stderr)
        return 2
    PACKAGED.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
