"""`import hagane` is cheap: it loads nothing that a program has not asked for."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ["agentflow", "pydantic", "asyncio", "pandas", "numpy"]


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport json, sys; sys.stdout.write(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(result.stdout))


def test_the_package_loads_none_of_the_heavy_modules():
    loaded = modules_after("import hagane") - modules_after("")
    assert "hagane._core" in loaded
    assert loaded & {*HEAVY, "logging", "threading", "dataclasses"} == set()


def test_the_question_can_have_another_answer():
    assert "asyncio" in modules_after("import hagane, asyncio")


def test_the_package_starts_no_thread():
    code = "import hagane, os; assert len(os.listdir('/proc/self/task')) == 1"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
