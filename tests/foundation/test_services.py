"""Every service of `make services-up` does its work, so that a broken set-up is seen before a test depends on it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import urllib.request
from urllib.parse import urlsplit

import pytest
import services


def test_postgres_runs_a_query(service):
    url = service("postgres")
    psql = shutil.which("psql") or pytest.fail("psql is not installed")
    query = "create temp table t(n int); insert into t values (20), (22); select sum(n) from t"
    reply = subprocess.run([psql, url, "-qAtc", query], capture_output=True, text=True, check=True, timeout=30)
    assert reply.stdout.strip() == "42"


def test_redis_keeps_a_value(service):
    url = urlsplit(service("redis"))
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        connection.sendall(b"SET hagane:test steel\r\nGET hagane:test\r\nDEL hagane:test\r\n")
        expected = b"+OK\r\n$5\r\nsteel\r\n:1\r\n"
        reply = b""
        while len(reply) < len(expected):
            reply += connection.recv(64) or pytest.fail(f"Redis hung up after {reply!r}")
    assert reply == expected


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "pushgateway"])
def test_the_monitoring_services_are_ready(service, name):
    with urllib.request.urlopen(f"{service(name)}/-/ready", timeout=10) as reply:
        assert reply.status == 200


def docker(host: str, *arguments: str) -> str:
    program = shutil.which("docker") or pytest.fail("the docker client is not installed")
    command = [program, "--host", host, *arguments]
    reply = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert reply.returncode == 0, reply.stderr
    return reply.stdout.strip()


def test_the_test_image_runs_python_without_a_network(service):
    host = service("docker")
    image = services.settings()["HAGANE_DOCKER_IMAGE"]
    code = "import ssl, sqlite3, ctypes, os; print(6 * 7, sorted(os.listdir('/sys/class/net')))"
    options = ["--rm", "--network=none", "--label=hagane", "--user=65534:65534", "--memory=64m", "--pids-limit=32"]
    assert docker(host, "run", *options, image, "python3", "-c", code) == "42 ['lo']"


def test_nothing_listens_beyond_loopback(service):
    for name in ["postgres", "redis", "prometheus", "alertmanager", "pushgateway"]:
        url = urlsplit(service(name))
        assert url.hostname == "127.0.0.1"
        assert url.port >= 1024
        assert not reachable_from_outside(url.port)


def reachable_from_outside(port: int) -> bool:
    """Whether some other address of this machine accepts connections on that port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: connecting a datagram socket only asks the kernel which address it would use.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return False
        own = probe.getsockname()[0]
    with socket.socket() as attempt:
        attempt.settimeout(2)
        return attempt.connect_ex((own, port)) == 0


def test_the_environment_overrides_the_file(monkeypatch):
    monkeypatch.setenv("HAGANE_REDIS_URL", "redis://127.0.0.1:1/0")
    assert services.address("redis") == "redis://127.0.0.1:1/0"
    assert os.environ["HAGANE_REDIS_URL"] == services.settings()["HAGANE_REDIS_URL"]
