"""A test that needs a service says so: skipped with the remedy, or failed where services are required."""

from __future__ import annotations

from pathlib import Path

import pytest
import services

SUITE = """
import pytest

@pytest.mark.needs("redis")
def test_with_marker():
    pass

def test_with_fixture(service):
    assert service("redis")

@pytest.mark.needs()
def test_without():
    pass
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """A suite of its own with our conftest, where no service was started."""
    folder = Path(services.__file__).parent
    for name in ("conftest.py", "services.py"):
        pytester.path.joinpath(name).write_text((folder / name).read_text())
    pytester.makeini("[pytest]\nmarkers = needs: services\nfilterwarnings = error\naddopts = -p no:asyncio\n")
    pytester.makepyfile(SUITE)
    for _, variable in services.SERVICES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("HAGANE_REQUIRE_SERVICES", raising=False)
    return pytester


def test_a_missing_service_skips_and_names_the_remedy(suite):
    result = suite.runpytest_subprocess("-rs")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*needs Redis: run make services-up*"])


def test_a_missing_service_fails_where_services_are_required(suite, monkeypatch):
    monkeypatch.setenv("HAGANE_REQUIRE_SERVICES", "1")
    result = suite.runpytest_subprocess()
    # A marker is looked at during set-up, where pytest counts a failure as an error.
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs Redis: run make services-up*"])


def test_a_present_service_lets_the_test_run(suite, monkeypatch):
    monkeypatch.setenv("HAGANE_REDIS_URL", "redis://127.0.0.1:1/0")
    suite.runpytest_subprocess().assert_outcomes(passed=3)


def test_an_unknown_service_is_an_error(suite):
    suite.makepyfile(test_typo='import pytest\n@pytest.mark.needs("rediss")\ndef test_it():\n    pass\n')
    result = suite.runpytest_subprocess("test_typo.py")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*no service is called 'rediss'*"])
