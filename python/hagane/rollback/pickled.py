"""Pickles in snapshots, for classes that a program opted in; never unpickled before their HMAC fits."""

from __future__ import annotations

import hashlib
import hmac
import pickle
from collections.abc import Callable
from typing import Any

from hagane.errors import StoreCorrupt

__all__ = ["parts"]

SHORTEST_KEY = 16


def parts(cls: type[Any], key: bytes) -> tuple[Callable[[Any], list[bytes]], Callable[[list[bytes]], Any]]:
    """Give what pickles instances of `cls` and what unpickles them.

    Raises:
        ValueError: the key is too short to be secret.
    """
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"the key has {len(key)} bytes; {SHORTEST_KEY} are the least, secrets.token_bytes(32) is good")

    def seal(data: bytes) -> bytes:
        # The class is under the seal too: a pickle of one class is not good for another with the same key.
        return hmac.digest(key, f"{cls.__module__}.{cls.__qualname__}\0".encode() + data, hashlib.sha256)

    def take(value: Any) -> list[bytes]:
        data = pickle.dumps(value)
        return [seal(data), data]

    def make(content: list[bytes]) -> Any:
        found, data = content
        if not hmac.compare_digest(found, seal(data)):
            raise StoreCorrupt(f"a pickle of {cls.__qualname__} does not carry the seal of this key; it was not read")
        value = pickle.loads(data)  # noqa: S301 - sealed by whoever has the key
        if type(value) is not cls:
            raise StoreCorrupt(f"a pickle of {cls.__qualname__} holds {type(value).__qualname__}")
        return value

    return take, make
