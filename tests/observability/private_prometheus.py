"""A Prometheus of a test's own: Debian's program on loopback with a configuration and a data directory of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

PATIENCE = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=20) as answer:
            return json.load(answer)["data"]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def vector(self, expression: str) -> list[dict]:
        """The result of an instant query as soon as there is one."""
        return eventually(lambda: self.ask("query", query=expression)["result"], expression)

    def value(self, expression: str) -> float:
        (sample,) = self.vector(expression)
        return float(sample["value"][1])


def eventually(look, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing came of {what} within {PATIENCE} s")


@contextmanager
def prometheus(folder, scrape_configs: str = "", *, features: str = "exemplar-storage"):
    """Run one with these `scrape_configs` (YAML, scraped each second) and these feature flags."""
    config, port = folder / "prometheus.yml", free_port()
    config.write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs: [{scrape_configs}]\n")
    command = [shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"]
    command += [f"--enable-feature={features}"] if features else []
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    started = Prometheus(f"http://127.0.0.1:{port}")
    try:
        eventually(lambda: started.ready() or process.poll() is not None, "the start of Prometheus")
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield started
    finally:
        process.terminate()
        process.wait(20)
