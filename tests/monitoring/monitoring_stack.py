"""The example's Prometheus and Alertmanager as private daemons on loopback, with the very files that compose mounts.

The files are changed mechanically and in two ways only: addresses, and lengths of time (5m -> 10s, for -> 2s, ...).
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/monitoring"
PATIENCE = 120.0

WINDOWS = {"5m": "10s", "30m": "20s", "1h": "30s", "6h": "40s"}


def shortened(text: str) -> str:
    """The same file with short windows and waits."""
    text = re.sub(r"\[(5m|30m|1h|6h)\]", lambda match: f"[{WINDOWS[match[1]]}]", text)
    text = re.sub(r"(\bfor:) \w+", r"\1 2s", text)
    return re.sub(r"\b(\w+_interval|group_wait): \w+", lambda match: f"{match[1]}: 1s", text)


def mounts(service: str) -> dict[str, Path]:
    """What compose mounts into a service: path in the container -> file or directory here."""
    compose = yaml.safe_load((EXAMPLE / "docker-compose.yml").read_text())
    found = {}
    for volume in compose["services"][service]["volumes"]:
        volume = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", volume)
        source, target, *_ = volume.split(":")
        if source.startswith("."):
            found[target] = (EXAMPLE / source).resolve()
    return found


def lay_out(service: str, directory: Path, change: Callable[[str], str] = lambda text: text) -> None:
    """Put the service's files below `directory` as they lie in its container, each changed by `change`."""
    for target, source in mounts(service).items():
        for path in sorted(source.rglob("*.*")) if source.is_dir() else [source]:
            place = directory / target.lstrip("/") / (path.relative_to(source) if source.is_dir() else "")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(change(path.read_text()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    """The first truthy value of `condition`; fails, saying what was waited for, after a long while."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            value: Any = condition()
        except OSError as error:
            value, last = None, error
        else:
            last = value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE:g} s for {what}; last: {last!r}")
        time.sleep(0.25)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.loads(answer.read())


def ready(address: str) -> bool:
    with urllib.request.urlopen(f"{address}/-/ready", timeout=5) as answer:
        return bool(answer.status == 200)


class Stack:
    """Programs and daemons; all of them end with the `with`, and their output lies in files of `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.prometheus = f"http://127.0.0.1:{free_port()}"
        self.alertmanager = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name: str, *command: object) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            arguments = [str(part) for part in command]
            self.processes[name] = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=self.directory)

    def python(self, name: str, *arguments: object) -> None:
        self.start(name, sys.executable, "-u", *arguments)

    def stop(self, name: str) -> None:
        self.processes[name].terminate()
        self.processes[name].wait(30)

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def said(self, name: str, pattern: str) -> str:
        """Wait until a program has printed something that matches; the first group."""

        def found() -> str | None:
            match = re.search(pattern, self.log(name))
            if match is None and self.processes[name].poll() is not None:
                raise AssertionError(f"{name} ended early:\n{self.log(name)[-2000:]}")
            return match and match[1]

        return str(wait_for(f"{pattern!r} from {name}", found))

    # --- the daemons ---

    def start_alertmanager(self, receiver: str) -> None:
        root = self.directory / "alertmanager"
        lay_out("alertmanager", root, lambda text: shortened(text).replace("http://receiver:9099/", receiver))
        program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        address = self.alertmanager.removeprefix("http://")
        options = [f"--config.file={root}/etc/alertmanager/alertmanager.yml", f"--storage.path={root}/data"]
        self.start("alertmanager", program, *options, "--cluster.listen-address=", f"--web.listen-address={address}")
        wait_for(
            "Alertmanager", lambda: urllib.request.urlopen(f"{self.alertmanager}/-/ready", timeout=5).status == 200
        )

    def start_prometheus(self, targets: list[str]) -> None:
        root = self.directory / "prometheus"
        lay_out("prometheus", root, shortened)
        etc = root / "etc/prometheus"
        (etc / "targets/application.yml").write_text(yaml.safe_dump([{"targets": targets}]))
        peers = [{"targets": [self.alertmanager.removeprefix("http://")]}]
        (etc / "alertmanagers/alertmanager.yml").write_text(yaml.safe_dump(peers))
        options = [f"--config.file={etc}/prometheus.yml", f"--storage.tsdb.path={root}/data"]
        address = self.prometheus.removeprefix("http://")
        self.start("prometheus", "prometheus", *options, f"--web.listen-address={address}")
        wait_for("Prometheus", lambda: ready(self.prometheus))

    # --- what Prometheus says ---

    def api(self, path: str, **parameters: str) -> Any:
        answer = get(f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression."""
        return list(self.api("query", query=expression)["result"])

    def alerts(self, state: str = "firing") -> set[tuple[str, str]]:
        """Name and agent (or instance) of the alerts in a state."""
        found = [alert for alert in self.api("alerts")["alerts"] if alert["state"] == state]
        return {(a["labels"]["alertname"], a["labels"].get("agent") or a["labels"].get("instance", "")) for a in found}
