"""`hagane.core` side by side with AgentFlow's: a table.

usage: python benches/reliability_core.py [--agentflow CHECKOUT]

Every ratio comes from one run on one Python, CPU time, medians. Meant for a release build.
"""

from __future__ import annotations

import argparse

from measures import rollbacks
from metrics import facts, table


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--agentflow", metavar="CHECKOUT", help="a checkout, to measure AgentFlow's own classes")
    print(table(rollbacks.rows(arguments.parse_args().agentflow), facts()))


if __name__ == "__main__":
    main()
