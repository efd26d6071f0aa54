"""The services that are one program with a port: how each is started, and how one sees that it answers."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger import Ledger, identity

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Service:
    """A name, the way to start it, and the question that only a working one answers."""

    name: str
    launch: Callable[[Ledger], None]
    probe: Callable[[Mapping[str, str]], bool]

    def answers(self, environment: Mapping[str, str]) -> bool:
        try:
            return bool(environment) and self.probe(environment)
        except (OSError, subprocess.SubprocessError):
            return False

    def start(self, ledger: Ledger) -> None:
        """Start it and wait until it answers; RuntimeError with the end of its log if it does not."""
        self.launch(ledger)
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers(ledger.environment(self.name)):
            running = ledger.running(self.name)
            if not running or time.monotonic() > deadline:
                log = ledger.log_tail(self.name)
                ledger.stop(self.name)
                what = f"did not answer within {READY_SECONDS:.0f} s" if running else "ended at once"
                raise RuntimeError(f"{what}; its log ends:\n{log}")
            time.sleep(0.1)


def program(*names: str) -> str:
    """The first of these programs that is installed."""
    for name in names:
        if path := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
            return path
    raise FileNotFoundError(f"{names[0]} is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def http_ready(variable: str) -> Callable[[Mapping[str, str]], bool]:
    def probe(environment: Mapping[str, str]) -> bool:
        with urllib.request.urlopen(f"{environment[variable]}/-/ready", timeout=5) as reply:
            return bool(reply.status == 200)

    return probe


# --- PostgreSQL ---


def postgres_program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    for folder in reversed(folders):
        if (folder / name).exists():
            return str(folder / name)
    return program(name)


def postgres_user() -> str | None:
    """PostgreSQL refuses to run as root; the package brings a user for it."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def launch_postgres(ledger: Ledger) -> None:
    server, initdb = postgres_program("postgres"), postgres_program("initdb")
    folder, user, password, port = ledger.directory("postgres"), postgres_user(), secrets.token_hex(12), free_port()
    if user:
        shutil.chown(folder, user)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    if user:
        shutil.chown(password_file, user)
    password_file.write_text(f"{password}\n")
    data = folder / "data"
    make_cluster: list[str | Path] = [
        initdb,
        "--pgdata",
        data,
        "--username=hagane",
        "--auth=scram-sha-256",
        "--pwfile",
        password_file,
    ]
    make_cluster += ["--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(make_cluster, check=True, cwd="/", stdout=subprocess.DEVNULL, **identity(user))
    command: list[str | Path] = [server, "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", folder]
    url = f"postgresql://hagane:{password}@127.0.0.1:{port}/postgres"
    # SIGINT is the fast shutdown: SIGTERM would wait for clients that never leave.
    ledger.spawn("postgres", command, {"HAGANE_POSTGRES_URL": url}, user=user, stop_signal=signal.SIGINT)


def probe_postgres(environment: Mapping[str, str]) -> bool:
    query = [program("psql"), environment["HAGANE_POSTGRES_URL"], "--no-psqlrc", "-Atc", "select 1"]
    reply = subprocess.run(query, check=False, capture_output=True, text=True, timeout=10)
    return reply.stdout.strip() == "1"


# --- Redis ---


def launch_redis(ledger: Ledger) -> None:
    server, folder, port = program("redis-server"), ledger.directory("redis"), free_port()
    command: list[str | Path] = [
        server,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        folder,
    ]
    ledger.spawn("redis", command, {"HAGANE_REDIS_URL": f"redis://127.0.0.1:{port}/0"})


def probe_redis(environment: Mapping[str, str]) -> bool:
    port = int(environment["HAGANE_REDIS_URL"].rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64) == b"+PONG\r\n"


# --- Prometheus and its companions ---


def launch_prometheus(ledger: Ledger) -> None:
    server, folder, port = program("prometheus"), ledger.directory("prometheus"), free_port()
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s}\n")
    command = [server, f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-lifecycle"]
    environment = {"HAGANE_PROMETHEUS_URL": f"http://127.0.0.1:{port}", "HAGANE_PROMETHEUS_CONFIG": str(config)}
    ledger.spawn("prometheus", command, environment)


def launch_alertmanager(ledger: Ledger) -> None:
    server = program("prometheus-alertmanager", "alertmanager")
    folder, port = ledger.directory("alertmanager"), free_port()
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    # An empty cluster address: gossip would listen on every interface and look for peers.
    command = [server, f"--config.file={config}", f"--storage.path={folder}/data", "--cluster.listen-address="]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    ledger.spawn("alertmanager", command, {"HAGANE_ALERTMANAGER_URL": f"http://127.0.0.1:{port}"})


def launch_pushgateway(ledger: Ledger) -> None:
    server, port = program("prometheus-pushgateway", "pushgateway"), free_port()
    ledger.directory("pushgateway")
    command = [server, f"--web.listen-address=127.0.0.1:{port}"]
    ledger.spawn("pushgateway", command, {"HAGANE_PUSHGATEWAY_URL": f"http://127.0.0.1:{port}"})


SERVICES = [
    Service("postgres", launch_postgres, probe_postgres),
    Service("redis", launch_redis, probe_redis),
    Service("prometheus", launch_prometheus, http_ready("HAGANE_PROMETHEUS_URL")),
    Service("alertmanager", launch_alertmanager, http_ready("HAGANE_ALERTMANAGER_URL")),
    Service("pushgateway", launch_pushgateway, http_ready("HAGANE_PUSHGATEWAY_URL")),
]
