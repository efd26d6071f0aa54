"""What every test can use: services by marker or by address."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import services

# A shell ignores Ctrl-C for what it runs in the background, and a child inherits that. The tests and their programs are
# to be interruptible wherever they are started.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["pytester"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    services.require(item)


@pytest.fixture
def service() -> Callable[[str], str]:
    """`service("redis")` is the address of Redis; the test is skipped or fails where there is none."""
    return services.address
