"""A Docker image without a registry: a tar of this machine's own Python, its standard library and what they link to.

It takes two seconds where a debootstrap takes a minute, and needs no network. The layout is that of the official
Python images: /usr/local/bin/python3, /bin/sh, a C library, a world-writable /tmp, users root and nobody.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

# Large, and of no use in a test container.
LEFT_OUT = {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "site-packages"}
LEFT_OUT |= {"dist-packages", "ensurepip"}
# Wheels with C++ code expect these of the host; nothing in the standard library links to them.
FOR_WHEELS = ("libstdc++.so.6", "libgcc_s.so.1")
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


def archive() -> bytes:
    """The whole image as one uncompressed tar."""
    interpreter, shell = Path(sys.executable).resolve(), Path("/bin/sh").resolve()
    library = Path(sysconfig.get_path("stdlib"))
    modules = [(path, Path("/usr/local/lib", VERSION, path.relative_to(library))) for path in files_of(library)]
    programs = [(interpreter, Path("/usr/local/bin", VERSION)), (shell, Path("/bin/sh"))]
    linked = {path for source, _ in programs for path in libraries_of(source)}
    linked |= {path for source, _ in modules if source.suffix == ".so" for path in libraries_of(source)}
    linked |= set(named_libraries(FOR_WHEELS))
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        add_frame(tar)
        add_files(tar, [*programs, *modules, *((path, path) for path in sorted(linked))])
    return sink.getvalue()


def files_of(library: Path) -> Iterator[Path]:
    for path in sorted(library.iterdir()):
        if path.name in LEFT_OUT or path.name.startswith("config-"):
            continue
        if path.is_dir():
            yield from files_of(path)
        else:
            yield path


def libraries_of(binary: Path) -> set[Path]:
    """Absolute paths of the shared libraries that the loader would map for this file."""
    listing = subprocess.run(["ldd", binary], check=False, capture_output=True, text=True).stdout
    return {Path(path) for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listing, flags=re.MULTILINE)}


def named_libraries(names: Iterable[str]) -> Iterator[Path]:
    listing = subprocess.run(["/sbin/ldconfig", "-p"], check=False, capture_output=True, text=True).stdout
    for name in names:
        if found := re.search(rf"^\s*{re.escape(name)} .*=> (/\S+)$", listing, flags=re.MULTILINE):
            yield Path(found.group(1))


def add_frame(tar: tarfile.TarFile) -> None:
    folders = dict.fromkeys(("bin", "dev", "etc", "proc", "root", "sys", "usr/local/bin"), 0o755)
    folders |= {"tmp": 0o1777, "var/tmp": 0o1777}
    for name, mode in folders.items():
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        tar.addfile(entry)
    for alias in ("python3", "python"):
        link = tarfile.TarInfo(f"usr/local/bin/{alias}")
        link.type, link.linkname = tarfile.SYMTYPE, VERSION
        tar.addfile(link)
    users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
    for name, text in {"etc/passwd": users, "etc/group": "root:x:0:\nnogroup:x:65534:\n"}.items():
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text.encode()))


def add_files(tar: tarfile.TarFile, pairs: Iterable[tuple[Path, Path]]) -> None:
    for source, target in pairs:
        content = source.read_bytes()
        entry = tarfile.TarInfo(str(target).lstrip("/"))
        entry.size, entry.mode = len(content), 0o755 if source.stat().st_mode & 0o100 else 0o644
        tar.addfile(entry, io.BytesIO(content))
