"""The Docker daemon of the tests: the one that answers already, else one of our own, and a test image in it.

What dockerd 20.10 of Debian 12 needs here, tried on a machine with cgroup v1 hierarchies and no systemd:
- `--bridge=none --iptables=false --ip6tables=false`: the tests run containers without a network, and a bridge would
  need nf_tables modules that a small kernel lacks;
- the storage driver is left to dockerd (overlay2 on ext4 and xfs, vfs where overlayfs is refused);
- both of its folders in our temporary directory, so that `down` leaves nothing; their path must stay short, because
  containerd's sockets lie below it and a socket path has at most 107 bytes;
- a cgroup parent of our own, because the `docker` cgroups would stay behind; /etc/docker/key.json stays behind too,
  and 20.10 has no option for its path, so `down` removes it where it was not there before;
- no live restore: the containers end with the daemon.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import image
from catalogue import Service, program
from ledger import Ledger

IMAGE = "hagane-test:latest"
LABEL = "hagane"
TRACES = [Path("/etc/docker/key.json"), Path("/etc/docker")]


def docker(environment: Mapping[str, str], *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    host = {"DOCKER_HOST": environment["DOCKER_HOST"]} if environment.get("DOCKER_HOST") else {}
    command = [program("docker"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, env={**os.environ, **host}, timeout=300, **options)  # type: ignore[call-overload,no-any-return]


def daemon_answers(environment: Mapping[str, str]) -> bool:
    return docker(environment, "version", "--format", "{{.Server.Version}}").returncode == 0


def has_image(environment: Mapping[str, str]) -> bool:
    return docker(environment, "image", "inspect", IMAGE).returncode == 0


def existing_host() -> str | None:
    """The address of a daemon that answers without our help."""
    for host in filter(None, [os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock"]):
        if daemon_answers({"DOCKER_HOST": host}):
            return host
    return None


def launch(ledger: Ledger) -> None:
    if host := existing_host():
        ledger.borrow("docker", settings(host))
        import_image(settings(host))
        return
    if os.geteuid() != 0:
        raise RuntimeError("no Docker daemon answers, and starting one takes root")
    server, folder = program("dockerd"), ledger.directory("docker")
    host = f"unix://{folder}/docker.sock"
    command: list[str | Path] = [server, "--host", host, "--data-root", folder / "data", "--exec-root", folder / "exec"]
    command += ["--pidfile", folder / "pid", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    command += ["--cgroup-parent", f"/{folder.parent.name}"]
    ledger.spawn("docker", command, settings(host), leaves=[path for path in TRACES if not path.exists()])
    waiting = Service("docker", lambda _ledger: None, daemon_answers)
    waiting.start(ledger)
    import_image(settings(host))


def settings(host: str) -> dict[str, str]:
    return {"DOCKER_HOST": host, "HAGANE_DOCKER_IMAGE": IMAGE}


def import_image(environment: Mapping[str, str]) -> None:
    if has_image(environment):
        return
    changes = ['--change=CMD ["python3"]', "--change=ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8"]
    reply = docker(environment, "import", *changes, "-", IMAGE, input=image.archive())
    if reply.returncode:
        raise RuntimeError(f"docker import failed: {reply.stderr.decode(errors='replace').strip()}")


def remove_containers(ledger: Ledger) -> None:
    """Remove the containers of the tests; from our own daemon all of them, from a borrowed one only labelled ones."""
    environment = ledger.environment("docker")
    if not environment or not daemon_answers(environment):
        return
    chosen = ["--filter", f"label={LABEL}"] if ledger.borrowed("docker") else []
    listed = docker(environment, "ps", "--all", "--quiet", *chosen).stdout.decode().split()
    if listed:
        docker(environment, "rm", "--force", "--volumes", *listed)
    if ledger.borrowed("docker"):
        docker(environment, "image", "rm", IMAGE)


DOCKER = Service("docker", launch, lambda environment: daemon_answers(environment) and has_image(environment))
