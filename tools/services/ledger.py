"""What runs, where its data lie, and how to stop exactly that and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / ".hagane"
STOP_SECONDS = 20.0


class Ledger:
    """The record of started processes, kept in `.hagane/services.json` so that a later command can stop them."""

    def __init__(self) -> None:
        self._file = FOLDER / "services.json"
        self._state: dict[str, Any] = {"directory": None, "services": {}}
        if self._file.exists():
            self._state = json.loads(self._file.read_text())

    def names(self) -> list[str]:
        return list(self._state["services"])

    def environment(self, name: str) -> dict[str, str]:
        return dict(self._state["services"].get(name, {}).get("environment", {}))

    def directory(self, name: str) -> Path:
        """A fresh folder for one service below the one temporary directory."""
        if not self._state["directory"] or not Path(self._state["directory"]).is_dir():
            self._state["directory"] = tempfile.mkdtemp(prefix="hagane-services-")
            # PostgreSQL runs as another user and has to pass through.
            Path(self._state["directory"]).chmod(0o711)
        folder = Path(self._state["directory"]) / name
        if folder.exists():
            remove_tree(folder)
        folder.mkdir()
        self._save()
        return folder

    def spawn(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        environment: Mapping[str, str],
        *,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        leaves: Sequence[Path] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a service in a session of its own and record it before anything else can go wrong.

        `leaves` are files and empty folders outside the temporary directory that it makes and `stop` removes.
        """
        log = Path(self._state["directory"]) / f"{name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                **identity(user),
            )
        self._state["services"][name] = {
            "pid": process.pid,
            "started": start_time(process.pid),
            "signal": int(stop_signal),
            "environment": dict(environment),
            "log": str(log),
            "leaves": [str(path) for path in leaves],
        }
        self._save()
        return process

    def borrow(self, name: str, environment: Mapping[str, str]) -> None:
        """Record a service that somebody else started: it is used, and never stopped."""
        self._state["services"][name] = {"pid": None, "environment": dict(environment)}
        self._save()

    def borrowed(self, name: str) -> bool:
        return name in self._state["services"] and self._state["services"][name]["pid"] is None

    def running(self, name: str) -> bool:
        record = self._state["services"].get(name, {})
        return bool(record.get("pid")) and start_time(record["pid"]) == record["started"]

    def log_tail(self, name: str) -> str:
        log = Path(self._state["services"].get(name, {}).get("log", os.devnull))
        return "\n".join(log.read_text(errors="replace").splitlines()[-5:])

    def stop(self, name: str) -> bool:
        """Stop a service and all processes of its session; true when none is left."""
        record = self._state["services"].get(name)
        if record is None:
            return True
        gone = record["pid"] is None or stop_session(record["pid"], record["started"], record["signal"])
        if gone:
            remove_leaves(record.get("leaves", []))
            del self._state["services"][name]
            self._save()
        return gone

    def write_environment(self) -> None:
        lines = [f"{key}={value}" for name in self.names() for key, value in self.environment(name).items()]
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "services.env").write_text("".join(f"{line}\n" for line in lines))

    def remove(self) -> None:
        """Forget everything, once all services are stopped."""
        (FOLDER / "services.env").unlink(missing_ok=True)
        if self._state["services"]:
            return
        if self._state["directory"]:
            remove_tree(Path(self._state["directory"]))
            remove_cgroups(Path(self._state["directory"]).name)
        self._file.unlink(missing_ok=True)

    def _save(self) -> None:
        FOLDER.mkdir(exist_ok=True)
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(self._state, indent=1))
        draft.replace(self._file)


def identity(user: str | None) -> dict[str, Any]:
    """Arguments of Popen that make the child run as `user`, where root asks for that."""
    if user is None or os.geteuid() != 0:
        return {}
    return {"user": user, "group": user, "extra_groups": []}


def start_time(pid: int) -> int | None:
    """When the process was started, in clock ticks after boot; None when there is no such process."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields and fields[0] != "Z" else None


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the command name before it may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def session_members(pid: int, started: int) -> list[int]:
    """Living processes of the session that `pid` leads, and no others: an older process cannot belong to it."""
    members = []
    for entry in Path("/proc").iterdir():
        fields = stat_fields(int(entry.name)) if entry.name.isdigit() else []
        if fields and fields[0] != "Z" and int(fields[3]) == pid and int(fields[19]) >= started:
            members.append(int(entry.name))
    return members


def stop_session(pid: int, started: int | None, stop_signal: int) -> bool:
    if started is None:
        return True
    if start_time(pid) == started:
        os.kill(pid, stop_signal)
    deadline = time.monotonic() + STOP_SECONDS
    while members := session_members(pid, started):
        if time.monotonic() > deadline:
            for member in members:
                os.kill(member, signal.SIGKILL)
            time.sleep(0.5)
            return not session_members(pid, started)
        time.sleep(0.05)
    return True


def remove_tree(folder: Path) -> None:
    """Remove a folder and first the mounts that a killed dockerd left below it."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder)


def remove_leaves(paths: Sequence[str]) -> None:
    for path in map(Path, paths):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        else:
            path.unlink(missing_ok=True)


def remove_cgroups(name: str) -> None:
    """Remove the empty cgroups that dockerd made for its containers, in whichever hierarchies there are."""
    for group in [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]:
        group.rmdir()
