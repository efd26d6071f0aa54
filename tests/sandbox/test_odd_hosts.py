"""The local sandbox under a host that is not as hosts usually are."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import hagane
from hagane.errors import SandboxUnavailable
from hagane.sandbox import LocalProvider

RUN = "from hagane.sandbox import get_sandbox; result = get_sandbox('local').run('print(open(__file__).read())'); "
SHOW = "print(result.error, result.stdout.strip())"
# One that shares its prefix with the whole system, if there is one: then only what is named is shown.
BASES = [Path("/usr/bin/python3"), Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"]
BASE = next(path for path in BASES if path.exists())


def run(python: str | Path, program: str, *before: str) -> str:
    """What the program prints, run by `python` (after the command `before`) with nothing but this package."""
    package = str(Path(hagane.__file__).parent.parent)
    done = subprocess.run(
        [*before, python, "-c", program],
        env={"PYTHONPATH": package, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "oddity",
    [
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))",
        "import resource; resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))",
        "import os; os.umask(0o777)",
        "import os; os.umask(0o077)",
        "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
        "import os; os.closerange(0, 3); os.open('/dev/null', 2); os.dup(0); os.dup(0)",
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    ],
    ids=["few-files", "no-locked-memory", "umask-777", "umask-077", "folder-gone", "no-streams", "children-ignored"],
)
def test_what_the_host_process_has_set_does_not_matter(oddity: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.touch()
    assert run(sys.executable, f"{oddity}\n{RUN}open({str(target)!r}, 'w').write(str(result.success))") == ""
    assert target.read_text() == "True"


@pytest.mark.parametrize("folder", ["plain", "with space and ü", "private"])
def test_a_virtual_environment_may_lie_anywhere(folder: str, tmp_path: Path) -> None:
    place = tmp_path / folder
    place.mkdir(mode=0o700 if folder == "private" else 0o755)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "env"], check=True)
    assert run(place / "env" / "bin" / "python", RUN + SHOW).startswith("None print(")


def test_an_interpreter_behind_a_relative_link_is_found(tmp_path: Path) -> None:
    subprocess.run([BASE, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    link = tmp_path / "env" / "bin" / "python"
    link.unlink()
    link.symlink_to(os.path.relpath(BASE, link.parent.resolve()))
    assert run(link, RUN + SHOW).startswith("None print(")


@pytest.mark.skipif(not Path("/bin/python3").exists() or not Path("/bin").is_symlink(), reason="needs /bin -> usr/bin")
def test_the_system_interpreter_is_found_by_its_old_path() -> None:
    assert run("/bin/python3", RUN + SHOW).startswith("None print(")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare: apt-get install util-linux")
def test_root_of_a_user_namespace_gets_a_sandbox_too() -> None:
    # As in a rootless container: uid 0, but none of the high identities that root's runs have otherwise.
    assert run(sys.executable, RUN + SHOW, "unshare", "-U", "-r").startswith("None print(")


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user has one identity for all runs")
async def test_runs_of_root_that_go_on_at_once_have_identities_of_their_own() -> None:
    code = "import time; print(open('/proc/self/uid_map').read().split()[1]); time.sleep(0.5)"
    async with LocalProvider() as sandbox:
        results = await asyncio.gather(*(sandbox.execute(code) for _ in range(3)))
    identities = {int(result.stdout) for result in results}
    assert len(identities) == 3
    assert 0 not in identities


@pytest.mark.parametrize("executable", [None, "", "/nowhere/python"])
def test_a_host_without_an_interpreter_is_told_so(executable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(SandboxUnavailable, match=r"sys\.executable is"):
        LocalProvider()


def test_one_sandbox_serves_several_event_loops() -> None:
    sandbox = LocalProvider()
    seen: list[str] = []

    def work(number: int) -> None:
        seen.append(asyncio.run(sandbox.execute(f"print({number})")).stdout)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == ["0\n", "1\n", "2\n", "3\n"]
    asyncio.run(sandbox.close())


async def test_many_runs_and_cancelled_ones_leave_no_descriptor() -> None:
    async with LocalProvider() as sandbox:
        await sandbox.execute("pass")
        before = len(os.listdir("/proc/self/fd"))
        results = await asyncio.gather(*(sandbox.execute(f"print({number})") for number in range(50)))
        assert [result.stdout for result in results] == [f"{number}\n" for number in range(50)]
        for delay in range(20):
            task = asyncio.create_task(sandbox.execute("import time; time.sleep(5)", files={"a": bytes(1 << 20)}))
            await asyncio.sleep(delay * 0.003)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        for _ in range(100):
            if len(os.listdir("/proc/self/fd")) <= before:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{len(os.listdir('/proc/self/fd'))} descriptors, {before} before")
