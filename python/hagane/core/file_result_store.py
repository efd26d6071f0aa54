"""Results of flows as files: JSON to look at, and the same once more in the exact encoding of the checkpoint stores."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hagane._core import Blob, pack_blob, unpack_blob
from hagane.core.result_types import FlowResult, ResultStore
from hagane.errors import CheckpointError, StoreCorrupt

__all__ = ["FileResultStore"]

logger = logging.getLogger("hagane.core")

# Where the exact form stands in the JSON object.
EXACT = "hagane"
# File systems take names of 255 bytes.
LONGEST_NAME = 180


class FileResultStore(ResultStore):
    """One file per result below `base_path`, whatever the id. AgentFlow's own files can be read.

    Every file appears and changes as a whole, so that a reader sees one writer's result or the other's.

    Raises:
        OSError: The directory cannot be made, read or written.
        SnapshotError: From `save`: the result holds something that cannot be kept without loss.
        StoreCorrupt: From `get`: the file is no result; `list_results` leaves it out and says so in the log.
    """

    def __init__(self, base_path: str | Path = "./.agentflow/results") -> None:
        self._base_path = Path(base_path)
        self._base_path.mkdir(parents=True, exist_ok=True)

    def _get_path(self, result_id: str) -> Path:
        name = quote(result_id, safe="")
        if len(name) > LONGEST_NAME:
            name = f"{name[:80]}-{hashlib.sha256(result_id.encode()).hexdigest()}"
        return self._base_path / f"{name}.json"

    async def save(self, result: FlowResult) -> None:
        """Keep a result, in place of one of the same id."""
        fields = {name: getattr(result, name) for name in type(result).model_fields}
        exact = base64.b64encode(pack_blob(Blob(fields, f"result {result.result_id}"))).decode()
        text = json.dumps({**fields, EXACT: exact}, ensure_ascii=False, indent=2, default=str)
        await asyncio.to_thread(_replace, self._get_path(result.result_id), text.encode())

    async def get(self, result_id: str) -> FlowResult | None:
        """Return a result, None if there is none of that id."""
        return await asyncio.to_thread(_read, self._get_path(result_id))

    async def delete(self, result_id: str) -> bool:
        """Remove a result; False if there was none of that id."""
        try:
            await asyncio.to_thread(os.unlink, self._get_path(result_id))
        except FileNotFoundError:
            return False
        return True

    async def list_results(self, flow_id: str | None = None, limit: int = 100) -> list[FlowResult]:
        """Return the newest results, of one flow or of all, the newest first."""
        found = await asyncio.to_thread(_read_all, self._base_path)
        wanted = [each for each in found if flow_id is None or each.flow_id == flow_id]
        return sorted(wanted, key=lambda each: each.created_at, reverse=True)[:limit]


def _replace(path: Path, content: bytes) -> None:
    """Write a file beside `path` and put it in its place; on the disk before it has the name."""
    temporary = path.parent / f".{uuid.uuid4().hex}.part"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path: Path) -> FlowResult | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        fields: dict[str, Any] = json.loads(content)
        exact = fields.pop(EXACT, None)
        if exact is not None:
            fields = unpack_blob(base64.b64decode(exact, validate=True)).value()
        return FlowResult(**fields)
    except (ValueError, TypeError, AttributeError, CheckpointError) as error:
        raise StoreCorrupt(f"{path} holds no result: {error}; it was left as it is") from error


def _read_all(folder: Path) -> list[FlowResult]:
    found = []
    for path in folder.glob("*.json"):
        try:
            result = _read(path)
        except StoreCorrupt as error:
            logger.warning("%s", error)
        else:
            found += [result] if result is not None else []
    return found
