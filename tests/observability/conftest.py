"""A collector to write to and a way to read what it exports."""

from __future__ import annotations

import pytest
from metric_scrapes import Scrape

from hagane.observability import MetricsCollector, get_metrics


@pytest.fixture
def scrape():
    """Reads a collector's text; without one, the process's."""
    return lambda collector=None: Scrape((collector or get_metrics()).to_prometheus())


@pytest.fixture
def collector():
    """A collector with a registry of its own and no prefix."""
    return MetricsCollector(prefix="")
