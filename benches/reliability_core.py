"""Going back: `RollbackController`, and `hagane.core` side by side with AgentFlow's: a table.

usage: python benches/reliability_core.py [--agentflow CHECKOUT]

Every ratio comes from one run on one Python, CPU time, medians. Meant for a release build.
"""

from __future__ import annotations

import argparse
import logging

from measures import rollbacks
from metrics import facts, table


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--agentflow", metavar="CHECKOUT", help="a checkout, to measure AgentFlow's own classes")
    # It tells of every checkpoint that makes room for another.
    logging.disable(logging.CRITICAL)
    rows = [*rollbacks.controller(), *rollbacks.rows(arguments.parse_args().agentflow)]
    print(table(rows, facts()))


if __name__ == "__main__":
    main()
