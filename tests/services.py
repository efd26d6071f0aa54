"""Where the services of `make services-up` answer, and what happens to a test when one does not."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

ENVIRONMENT_FILE = Path(__file__).parents[1] / ".hagane" / "services.env"

# What a test may ask for: the name people know, and the variable that says where it is.
SERVICES = {
    "postgres": ("PostgreSQL", "HAGANE_POSTGRES_URL"),
    "redis": ("Redis", "HAGANE_REDIS_URL"),
    "prometheus": ("Prometheus", "HAGANE_PROMETHEUS_URL"),
    "alertmanager": ("Alertmanager", "HAGANE_ALERTMANAGER_URL"),
    "pushgateway": ("Pushgateway", "HAGANE_PUSHGATEWAY_URL"),
    "docker": ("Docker", "DOCKER_HOST"),
}


def settings() -> dict[str, str]:
    """The addresses that `make services-up` wrote, under those that the caller's environment gives."""
    written = ENVIRONMENT_FILE.read_text().splitlines() if ENVIRONMENT_FILE.exists() else []
    return {**dict(line.split("=", 1) for line in written), **os.environ}


def address(name: str) -> str:
    """The address of a service; without it the test is skipped, or fails with HAGANE_REQUIRE_SERVICES=1."""
    title, variable = SERVICES[name]
    if found := settings().get(variable):
        return found
    return absent(f"needs {title}: run make services-up")


def absent(message: str) -> NoReturn:
    """Something that a test needs is not there: a skip, or a failure with HAGANE_REQUIRE_SERVICES=1."""
    if os.environ.get("HAGANE_REQUIRE_SERVICES") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def package(name: str) -> ModuleType:
    """An installed package of the group `dev`."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return absent(f"needs the package {name}: pip install --group dev")


def program(name: str) -> str:
    """The path of an installed program."""
    return shutil.which(name) or absent(f"needs {name}: make services-install")


def require(item: pytest.Item) -> None:
    """Honour `@pytest.mark.needs("redis", ...)`."""
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if name not in SERVICES:
                raise pytest.UsageError(
                    f"{item.nodeid}: no service is called {name!r}; there are {', '.join(SERVICES)}"
                )
            address(name)
