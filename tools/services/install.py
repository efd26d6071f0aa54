"""Install the services from Debian's packages. Only root can, and only when asked: `make services-install`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "dockerd": "docker.io",
    "docker-compose": "docker-compose",
    "psql": "postgresql",
    "redis-server": "redis-server",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-pushgateway": "prometheus-pushgateway",
}
# Debian's packages start their daemons on fixed ports as they are installed, unless this file refuses.
POLICY = Path("/usr/sbin/policy-rc.d")


def install() -> int:
    missing = [package for binary, package in PACKAGES.items() if not has(binary)]
    if not missing:
        print("all services are installed")
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"services-install needs root and apt-get; install by hand: {' '.join(missing)}", file=sys.stderr)
        return 1
    refused = refuse_to_start()
    try:
        return apt_get("update") or apt_get("install", "--yes", "--no-install-recommends", *missing)
    finally:
        if refused:
            POLICY.unlink()


def has(binary: str) -> bool:
    if binary == "psql" and not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return False
    return shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def refuse_to_start() -> bool:
    """Keep packages from starting daemons while we install; leaves an administrator's own policy alone."""
    if POLICY.exists():
        return False
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    return True


def apt_get(*arguments: str) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-q", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"]
    return subprocess.run(["apt-get", *options, *arguments], check=False, env=environment).returncode
