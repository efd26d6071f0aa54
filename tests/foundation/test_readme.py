"""What the READMEs show is what the examples are, and it prints what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.ja.md"]
EXAMPLES = ["sandbox", "engine", "metrics", "install"]
STAND_IN = ROOT / "tests" / "compat" / "standin"  # of AgentFlow, for the example that needs it


def shown(readme: str) -> dict[str, tuple[str, str]]:
    """Per example: the code block after its link, and the output block after that."""
    pattern = r"\[examples/(\w+)\.py\].*?```python\n(.*?)```\s*```text\n(.*?)```"
    found = re.findall(pattern, ROOT.joinpath(readme).read_text(), flags=re.DOTALL)
    return {name: (code, output) for name, code, output in found}


@pytest.mark.parametrize("readme", READMES)
def test_every_python_block_of_a_readme_is_an_example_file(readme):
    blocks = re.findall(r"```python\n(.*?)```", ROOT.joinpath(readme).read_text(), flags=re.DOTALL)
    assert sorted(shown(readme)) == sorted(EXAMPLES)
    assert len(blocks) == len(EXAMPLES)
    for name, (code, _) in shown(readme).items():
        assert code == ROOT.joinpath("examples", f"{name}.py").read_text()


def test_both_languages_show_the_same_outputs():
    assert shown("README.md") == shown("README.ja.md")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_the_readme_says(name, tmp_path):
    program = ROOT / "examples" / f"{name}.py"
    command = [sys.executable, "-W", "error", str(program)]
    environment = {**os.environ, "PYTHONPATH": str(STAND_IN)} if name == "install" else None
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == shown("README.md")[name][1]


@pytest.mark.parametrize("readme", [*READMES, "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_link_to_a_file_leads_somewhere(readme):
    targets = re.findall(r"\]\(([^)#:]+)\)", ROOT.joinpath(readme).read_text())
    assert [target for target in targets if not ROOT.joinpath(target).exists()] == []


def test_the_readmes_name_only_make_targets_that_exist():
    text = "".join(ROOT.joinpath(name).read_text() for name in [*READMES, "CONTRIBUTING.md"])
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)", text))
    targets = set(re.findall(r"^([a-z-]+):", ROOT.joinpath("Makefile").read_text(), flags=re.MULTILINE))
    assert named - targets == set()
