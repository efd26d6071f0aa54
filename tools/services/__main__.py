"""Start and stop what the tests talk to: `python3 tools/services install | up | down | status`.

Everything listens on loopback, on ports that were free at the time, with its data in one temporary directory.
`up` writes the addresses to `.hagane/services.env`, which tests/conftest.py reads; a second `up` starts only what
no longer answers. `down` stops what `up` started, by recorded process id and start time, and removes the directory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import catalogue
import daemon
import install
from ledger import Ledger


def up(ledger: Ledger) -> int:
    failures = []
    for service in [*catalogue.SERVICES, daemon.DOCKER]:
        try:
            if service.answers(ledger.environment(service.name)):
                print(f"{service.name}: already up")
                continue
            ledger.stop(service.name)
            service.start(ledger)
            print(f"{service.name}: up")
        except (OSError, RuntimeError) as problem:
            failures.append(service.name)
            print(f"{service.name}: {problem}", file=sys.stderr)
    ledger.write_environment()
    if failures:
        print(f"not started: {', '.join(failures)}; `make services-install` (as root) installs them", file=sys.stderr)
    return 1 if failures else 0


def down(ledger: Ledger) -> int:
    daemon.remove_containers(ledger)
    left = [name for name in reversed(ledger.names()) if not ledger.stop(name)]
    ledger.remove()
    for name in left:
        print(f"{name}: did not stop; look at its process by hand", file=sys.stderr)
    return 1 if left else 0


def status(ledger: Ledger) -> int:
    for service in [*catalogue.SERVICES, daemon.DOCKER]:
        environment = ledger.environment(service.name)
        print(f"{service.name}: {'up' if service.answers(environment) else 'down'} {environment}")
    return 0


COMMANDS: dict[str, Callable[[Ledger], int]] = {
    "install": lambda _ledger: install.install(),
    "up": up,
    "down": down,
    "status": status,
}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    return COMMANDS[arguments[0]](Ledger())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
