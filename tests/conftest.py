"""What every test can use: services by marker or by address."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import services

pytest_plugins = ["pytester"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    services.require(item)


@pytest.fixture
def service() -> Callable[[str], str]:
    """`service("redis")` is the address of Redis; the test is skipped or fails where there is none."""
    return services.address
