"""The rules of ARCHITECTURE.md that a compiler does not check, read from the source."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ("metrics", "rollback", "sandbox", "validation")
# Every module may name itself; beyond that only these.
ALLOWED = {("rollback", "validation")}
UNSAFE_PLACES = ("src/sandbox/local", "src/metrics/mmap.rs")


def rust_files() -> list[Path]:
    """All of src, save the unit tests that have a file of their own."""
    return [path for path in sorted(ROOT.joinpath("src").rglob("*.rs")) if "tests" not in path.with_suffix("").parts]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def without_comments(text: str) -> str:
    """The code, line for line, without comments and without the contents of plain string literals."""
    text = re.sub(r'"(?:\\.|[^"\\])*"', lambda match: '"' + "\n" * match.group().count("\n") + '"', text)
    return re.sub(r"//.*", "", text)


def without_tests(text: str) -> str:
    """The code before the unit tests, which stand last in a file."""
    return re.split(r"#\[cfg\(test\)\]\s*mod ", text)[0]


def core_of(path: Path) -> str | None:
    """The core module that a file belongs to; None for lib.rs and the bindings."""
    name = relative(path).split("/")[1].removesuffix(".rs")
    return name if name in CORE else None


def naming(pattern: str, *, outside: tuple[str, ...]) -> list[str]:
    """Lines of code that match, in files outside the given places."""
    found = []
    for path in rust_files():
        if not relative(path).startswith(outside):
            lines = without_comments(path.read_text()).splitlines()
            found += [
                f"{relative(path)}:{number}: {line.strip()}"
                for number, line in enumerate(lines, 1)
                if re.search(pattern, line)
            ]
    return found


def test_only_the_bindings_name_pyo3():
    assert naming(r"\bpyo3", outside=("src/bindings/",)) == []


def test_pythonize_is_named_in_one_file():
    files = {line.split(":")[0] for line in naming(r"\bpythonize\b", outside=())}
    assert len(files) <= 1


def test_only_the_docker_provider_names_bollard():
    assert naming(r"\bbollard\b", outside=("src/sandbox/docker.rs",)) == []


def test_the_core_does_not_name_the_bindings():
    assert naming(r"\bcrate::bindings\b", outside=("src/bindings/",)) == []


def test_core_modules_do_not_name_each_other_sideways():
    sideways = []
    for path in rust_files():
        if own := core_of(path):
            text = without_comments(path.read_text())
            named = set(re.findall(r"\bcrate::(\w+)", text))
            for group in re.findall(r"\bcrate::\{(.*?)\};", text, flags=re.DOTALL):
                named |= set(re.findall(r"\w+", group))
            others = (named & set(CORE)) - {own}
            sideways += [f"{relative(path)}: {other}" for other in others if (own, other) not in ALLOWED]
    assert sideways == []


def test_unsafe_stands_only_where_it_may_and_says_why_it_is_sound():
    assert naming(r"\bunsafe\b(?!_)", outside=UNSAFE_PLACES) == []
    silent = []
    for path in rust_files():
        lines = path.read_text().splitlines()
        code = without_comments(path.read_text()).splitlines()
        for number, line in enumerate(code):
            if re.search(r"\bunsafe\s*(\{|impl\b|extern\b)", line):
                before = "\n".join(lines[max(0, number - 6) : number + 1])
                if "SAFETY:" not in before:
                    silent.append(f"{relative(path)}:{number + 1}: {line.strip()}")
    assert silent == []


def test_only_the_stores_of_the_rollback_do_storage_input_and_output():
    assert naming(r"\brusqlite\b", outside=("src/rollback/store",)) == []
    for path in rust_files():
        if core_of(path) in ("rollback", "validation", "metrics") and not relative(path).startswith(
            ("src/rollback/store", "src/metrics/mmap.rs", "src/metrics/multiprocess")
        ):
            code = without_tests(without_comments(path.read_text()))
            assert not re.search(r"\bstd::fs\b|\bFile::(open|create)\b", code), relative(path)


def test_validation_and_the_plan_have_no_clock_no_input_and_output_and_no_tokio():
    impure = r"\btokio\b|\bstd::(fs|io|net|process|time|thread|env)\b|\bInstant\b|\bSystemTime\b|\bprintln!|\brand\b"
    for path in rust_files():
        if relative(path).startswith(("src/validation", "src/rollback/plan")):
            found = re.search(impure, without_tests(without_comments(path.read_text())))
            assert not found, f"{relative(path)}: {found.group()}"


def test_rust_reads_no_environment_variables():
    assert naming(r"\benv::(var|vars|var_os|vars_os)\b|\bgetenv\b", outside=()) == []


def test_every_rust_file_says_what_it_is():
    assert [relative(path) for path in rust_files() if not path.read_text().startswith("//!")] == []


def test_the_core_builds_without_python():
    cargo = shutil.which("cargo") or pytest.skip("cargo is not installed; cargo tree was not asked")
    command = [cargo, "tree", "--locked", "--edges", "normal,build", "--prefix", "none"]
    tree = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "hagane" in tree
    assert [line for line in tree.splitlines() if re.match(r"(pyo3|pythonize)", line)] == []


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout; tracked files cannot be listed")
    return [ROOT / name for name in listing.stdout.split("\0") if name]


# Spelt in pieces, so that this file does not match itself.
PLACES = [r"(?<![\w.])/(?:root|home/\w+)/", r"\.py" + "env", r"(?<![\w./])/wo" + "rk/", r"deb" + r"\.debian\.org"]
PLACES += [
    r"py" + r"pi\.org",
    r"files\.python" + "hosted",
    r"registry\." + r"npm",
    r"index\.crates" + r"\.io",
    r"ghcr" + r"\.io",
]
# The corpora and the API facts are other people's text; attacks name the places that they try to reach.
QUOTED = re.compile(r"tests/(data/|sandbox/test_attacks)")


def test_no_tracked_file_names_a_developers_machine_or_a_registrys_host():
    found = []
    for path in tracked_files():
        name = relative(path)
        if path.is_dir() or not path.exists() or name == "Cargo.lock" or QUOTED.match(name):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            found += [f"{name}:{number}: {line.strip()[:100]}" for place in PLACES if re.search(place, line)]
    assert found == []


def test_no_dependency_needs_a_newer_rust_than_we_say():
    command = ["cargo", "metadata", "--locked", "--offline", "--all-features", "--format-version=1"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)["packages"]
    needs = {package["name"]: version_of(package["rust_version"]) for package in packages if package["rust_version"]}
    assert {name for name, version in needs.items() if version > needs["hagane"]} == set()


def version_of(text):
    return tuple(map(int, text.split("."))) + (0,) * (3 - len(text.split(".")))
