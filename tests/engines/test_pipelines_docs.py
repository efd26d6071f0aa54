"""What docs/pipelines.md shows runs and prints what it says; the metrics that it names are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hagane.observability.definitions import DEFINITIONS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: DOCS.joinpath(name).read_text(encoding="utf-8") for name in ("pipelines.md", "pipelines.ja.md")}
EXAMPLE = re.compile(r"```python\n(.*?)```\s*```text\n(.*?)```", flags=re.DOTALL)
EXAMPLES = EXAMPLE.findall(PAGES["pipelines.md"])


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_page_prints_what_it_says(number: int, tmp_path: Path) -> None:
    code, output = EXAMPLES[number]
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr, result.returncode) == (output, "", 0)


def test_both_languages_show_the_same_examples() -> None:
    assert len(EXAMPLES) == PAGES["pipelines.md"].count("```python") == 5
    assert EXAMPLE.findall(PAGES["pipelines.ja.md"]) == EXAMPLES


@pytest.mark.parametrize("page", PAGES)
def test_the_page_names_every_metric_of_pipelines(page: str) -> None:
    rows = dict(re.findall(r"^\| `((?:pipeline|checkpoint)_\w+)` \| ([\w, ]+) \|", PAGES[page], flags=re.MULTILINE))
    told = ("pipeline_", "checkpoint_")
    assert rows == {name: ", ".join(each.label_names) for name, each in DEFINITIONS.items() if name.startswith(told)}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", PAGES[page])
    assert [target for target in targets if not (DOCS / target).exists()] == []
