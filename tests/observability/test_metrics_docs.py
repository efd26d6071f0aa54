"""Every Python program of the pages on metrics runs as it stands and prints what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from private_prometheus import prometheus

ROOT = Path(__file__).parents[2]
PAGES = ["docs/metrics.md", "docs/metrics.ja.md", "docs/llm-metrics.md"]
BLOCK = re.compile(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", re.DOTALL)


def programs(page: str) -> list[tuple[str, str]]:
    """Each program and what it prints."""
    return [(code, output) for code, output in BLOCK.findall(ROOT.joinpath(page).read_text(encoding="utf-8"))]


CASES = [(page, number) for page in ("docs/metrics.md", "docs/llm-metrics.md") for number in range(len(programs(page)))]


@pytest.mark.parametrize(("page", "number"), CASES)
def test_a_program_prints_what_stands_below_it(page, number, tmp_path, request):
    code, output = programs(page)[number]
    # The page has the ports that everyone uses; here others are free.
    code = code.replace("serve_metrics(9464)", "serve_metrics(0)")
    if "127.0.0.1:9091" in code:
        code = code.replace("http://127.0.0.1:9091", request.getfixturevalue("service")("pushgateway"))
    if "127.0.0.1:9090" in code:
        request.getfixturevalue("service")("prometheus")
        with prometheus(tmp_path) as started:
            assert printed(code.replace("http://127.0.0.1:9090", started.url), tmp_path) == output
        return
    assert printed(code, tmp_path) == output


def printed(code: str, directory: Path) -> str:
    program = directory / "program.py"
    program.write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "error", str(program)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_both_languages_show_the_same_programs_and_commands():
    english, japanese = programs(PAGES[0]), programs(PAGES[1])
    assert english == japanese
    assert len(english) > 5


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    path = ROOT / page
    targets = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES[:2])
def test_every_function_and_every_way_to_combine_gauges_is_told(page):
    import hagane.observability
    from hagane.observability.multiprocess import MODES, VARIABLES

    text = ROOT.joinpath(page).read_text(encoding="utf-8")
    functions = [name for name in hagane.observability.__all__ if name.islower()]
    assert [word for word in (*functions, *MODES, *VARIABLES) if word not in text] == []
