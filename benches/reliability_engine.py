"""`hagane.engines` side by side with AgentFlow's PipelineEngine: a table.

usage: python benches/reliability_engine.py [--agentflow CHECKOUT]

Every ratio comes from one run on one Python, CPU time, medians. Meant for a release build. AgentFlow's flow module
needs the package pocketflow.
"""

from __future__ import annotations

import argparse
import logging

from measures import engines
from metrics import facts, table


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--agentflow", metavar="CHECKOUT", help="a checkout, to measure AgentFlow's own engine")
    given = arguments.parse_args()
    # AgentFlow's engine logs every stage; nobody listens to either.
    logging.disable(logging.CRITICAL)
    print(table(engines.rows(given.agentflow), facts()))


if __name__ == "__main__":
    main()
