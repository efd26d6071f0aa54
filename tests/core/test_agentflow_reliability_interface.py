"""AgentFlow's interface, fact by fact, of the modules that `hagane.core` and `hagane.hitl` stand for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"
CORE = r"^core\.(rollback_manager|retry|circuit_breaker|reliability|result_store)$"
HITL = r"^hitl"


@pytest.mark.parametrize("only", [CORE, HITL], ids=["core", "hitl"])
@pytest.mark.parametrize("release", ["0113", "0130"])
def test_every_fact_holds(release, only):
    command = [sys.executable, DATA / "check_api.py", DATA / f"agentflow-api-{release}.json", "hagane", "--only", only]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert int(result.stdout.split()[0]) >= 15


def printed(program):
    """What a new interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.parametrize("package", ["hagane.core", "hagane.hitl"])
def test_importing_a_package_loads_nothing_heavy(package):
    program = f"import {package}, json, sys; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    loaded = set(json.loads(output))
    assert package in loaded
    assert loaded & {"pydantic", "asyncio", "logging", "threading", "dataclasses", "redis", "agentflow"} == set()


def test_the_function_interrupt_is_never_hidden_by_the_module_of_that_name():
    program = "import hagane.hitl.interrupt, hagane.hitl; from hagane.hitl import interrupt; print(callable(interrupt))"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert output == "True\n"
