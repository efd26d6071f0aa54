"""What docs/hitl.md shows runs, and prints what it says; the metrics that it names are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hagane.observability.definitions import DEFINITIONS

PAGE = Path(__file__).parents[2].joinpath("docs", "hitl.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\s*```text\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_page_prints_what_it_says(number, tmp_path):
    code, output = EXAMPLES[number]
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr, result.returncode) == (output, "", 0)


def test_the_page_has_examples_and_names_every_metric_of_approvals():
    assert len(EXAMPLES) == PAGE.count("```python") == 2
    rows = dict(re.findall(r"^\| `(hitl_\w+)` \| ([\w, ]+) \|", PAGE, flags=re.MULTILINE))
    expected = {name: ", ".join(each.label_names) for name, each in DEFINITIONS.items() if name.startswith("hitl_")}
    assert rows == expected
