"""Which files of the host an interpreter needs to see inside a sandbox."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from hagane.errors import SandboxUnavailable

_SYSTEM_PREFIXES = {Path("/"), Path("/usr"), Path("/usr/local")}


def current_interpreter() -> tuple[Path, list[Path]]:
    """The running interpreter and the trees that it needs: its installation and its virtual environment.

    An installation in a shared prefix such as /usr is shown by its own folders, never the whole prefix.

    Raises:
        SandboxUnavailable: this process has no interpreter that could be started again.
    """
    if not sys.executable or not Path(sys.executable).is_file():
        raise SandboxUnavailable(
            f"no local sandbox here: sys.executable is {sys.executable!r}, which is no file. Run hagane from an "
            "installed Python interpreter, or, where Python is embedded, set sys.executable to one"
        )
    executable = Path(sys.executable)
    trees = [executable, *_links(executable)]
    for prefix in {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix)}:
        if prefix.resolve() in _SYSTEM_PREFIXES:
            trees += _own_folders(prefix)
        else:
            trees.append(prefix)
    return executable, sorted(set(trees))


def _links(executable: Path) -> list[Path]:
    """Where the executable's links lead, step by step; a virtual environment's leads to the base interpreter."""
    steps: list[Path] = []
    while executable.is_symlink() and len(steps) < 16:
        # By its text: in the sandbox the folders above are plain, and no tree's path may hold a "..".
        executable = Path(os.path.normpath(executable.parent / executable.readlink()))
        steps.append(executable)
    return steps


def _own_folders(prefix: Path) -> list[Path]:
    """Standard library and packages of an interpreter that shares its prefix with other software."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {Path(sysconfig.get_path(name)) for name in names}
    folders |= {prefix / lib / name for lib in ("lib", "lib64") for name in (version, "python3")}
    return [folder for folder in folders if folder.is_dir()]
