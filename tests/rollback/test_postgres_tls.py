"""Each sslmode against a server of our own with a certificate of our own authority."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from store_helpers import begin, values

from hagane.errors import StoreError
from hagane.rollback import PostgresStore


def program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = next((str(folder / name) for folder in reversed(folders) if (folder / name).exists()), shutil.which(name))
    return found or pytest.skip("PostgreSQL is not installed: make services-install")


def identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; its package brings a user."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="module")
def encrypted() -> Iterator[tuple[int, Path]]:
    """The port of a server that speaks TLS only, as `localhost`, and a folder with authorities."""
    server, initdb = program("postgres"), program("initdb")
    folder = Path(tempfile.mkdtemp(prefix="hagane-tls-"))
    user = identity()
    authority, stranger = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    stranger.cert_pem.write_to_path(str(folder / "stranger.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    with (folder / "server.pem").open("wb") as chain:
        chain.writelines(part.bytes() for part in certificate.cert_chain_pems)
    (folder / "server.key").chmod(0o600)
    if user:
        for path in (folder, *folder.iterdir()):
            os.chown(path, user["user"], user["group"])
    common: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **user}
    make = [initdb, "-D", folder / "data", "--username=hagane", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"]
    subprocess.run(make, check=True, **common)
    # hostssl alone: whoever comes without TLS is turned away.
    (folder / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = {"ssl": "on", "ssl_cert_file": folder / "server.pem", "ssl_key_file": folder / "server.key"}
    settings |= {"listen_addresses": "127.0.0.1", "fsync": "off"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    process = subprocess.Popen([server, "-D", folder / "data", "-p", str(port), "-k", folder, *options], **common)
    try:
        wait_for(port, process)
        yield port, folder
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            PostgresStore(f"postgresql://hagane@127.0.0.1:{port}/postgres?sslmode=require", schema="probe").close()
            return
        except StoreError:
            assert process.poll() is None
            assert time.monotonic() < deadline


def store(port: int, host: str, mode: str, authority: Path | None) -> PostgresStore:
    root = "" if authority is None else f"&sslrootcert={authority}"
    url = f"postgresql://hagane@{host}:{port}/postgres?sslmode={mode}{root}"
    return PostgresStore(url, schema=f"s{time.time_ns()}", retry_seconds=3600.0)


@pytest.mark.parametrize(
    ("host", "mode", "authority"),
    [
        ("localhost", "verify-full", "ca.pem"),
        ("127.0.0.1", "verify-ca", "ca.pem"),
        ("127.0.0.1", "require", None),
        ("127.0.0.1", "prefer", None),
        ("127.0.0.1", "prefer", "stranger.pem"),
    ],
)
def test_what_the_mode_asks_for_is_proved(
    encrypted: tuple[int, Path], host: str, mode: str, authority: str | None
) -> None:
    port, folder = encrypted
    opened = store(port, host, mode, folder / authority if authority else None)
    begin(opened, n=1)
    assert values(opened, opened.head("t").checkpoint) == {"n": 1}
    opened.close()


@pytest.mark.parametrize(
    ("host", "mode", "authority"),
    [
        ("127.0.0.1", "verify-full", "ca.pem"),
        ("localhost", "verify-full", "stranger.pem"),
        ("localhost", "verify-ca", "stranger.pem"),
        ("localhost", "require", "stranger.pem"),
        ("localhost", "verify-full", "system"),
    ],
)
def test_a_server_that_proves_less_is_refused_at_once(
    encrypted: tuple[int, Path], host: str, mode: str, authority: str
) -> None:
    port, folder = encrypted
    with pytest.raises(StoreError, match=r"certificate.*check sslmode and sslrootcert"):
        store(port, host, mode, Path("system") if authority == "system" else folder / authority)


def test_without_tls_the_server_turns_us_away(encrypted: tuple[int, Path]) -> None:
    with pytest.raises(StoreError, match="no encryption"):
        store(encrypted[0], "127.0.0.1", "disable", None)
