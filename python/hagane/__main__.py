"""`python -m hagane`: the same as the command `hagane`."""

from __future__ import annotations

import sys

from hagane.cli import main

if __name__ == "__main__":
    sys.exit(main())
