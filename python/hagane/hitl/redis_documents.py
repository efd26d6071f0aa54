"""Documents in Redis. Every method is one script, which Redis runs as one step.

Keys, all of one hash slot: a hash per document, a sorted set of its keys per thread, a set of its threads per key, and
a counter that numbers the writes.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from hagane._core import Blob, pack_blob, unpack_blob
from hagane.errors import StoreConnectionError, StoreError
from hagane.hitl.documents import Document
from hagane.hitl.server_checkpointer import without_password

__all__ = ["RedisDocuments"]

_NAMES = """
local base = KEYS[1]
local function doc(thread, key) return base .. ':doc:' .. #thread .. ':' .. thread .. ':' .. key end
local function index(thread) return base .. ':thread:' .. thread end
local function homes(key) return base .. ':key:' .. key end
local function forget(thread, key)
    redis.call('DEL', doc(thread, key))
    redis.call('ZREM', index(thread), key)
    redis.call('SREM', homes(key), thread)
end
"""

# A put that is sent again because its reply was lost finds its own token, and is answered as the first time: by then
# somebody may have taken what it put, or put something newer under that name.
_PUT = (
    _NAMES
    + """
local thread, key, blob, at, once, keep, ttl, token, remembered = unpack(ARGV)
local name, written = doc(thread, key), base .. ':written:' .. token
if redis.call('EXISTS', written) == 1 then return 1 end
if once == '1' and redis.call('EXISTS', name) == 1 then return 0 end
local seq = redis.call('INCR', base .. ':seq')
redis.call('HSET', name, 'blob', blob, 'seq', seq, 'at', at)
redis.call('ZADD', index(thread), seq, key)
redis.call('SADD', homes(key), thread)
if tonumber(ttl) > 0 then
    for _, each in ipairs({name, index(thread), homes(key)}) do redis.call('EXPIRE', each, ttl) end
end
if keep ~= '' then
    local excess = redis.call('ZCARD', index(thread)) - tonumber(keep)
    if excess > 0 then
        for _, old in ipairs(redis.call('ZRANGE', index(thread), 0, excess - 1)) do forget(thread, old) end
    end
end
redis.call('SET', written, '', 'EX', remembered)
return 1
"""
)

# A removal that is sent again because its reply was lost finds what the first one took, under its token.
# Documents that have expired leave their names in the indexes; they go when somebody comes by.
_FIND = (
    _NAMES
    + """
local wanted, wanted_key, limit, removing, remembered = unpack(ARGV)
local removed = base .. ':removed:' .. removing
if removing ~= '' and redis.call('EXISTS', removed) == 1 then return cmsgpack.unpack(redis.call('GET', removed)) end
local places = {}
if wanted_key ~= '' then
    for _, thread in ipairs(redis.call('SMEMBERS', homes(string.sub(wanted_key, 2)))) do
        if wanted == '' or string.sub(wanted, 2) == thread then
            table.insert(places, {thread, string.sub(wanted_key, 2)})
        end
    end
else
    local thread = string.sub(wanted, 2)
    for _, key in ipairs(redis.call('ZREVRANGE', index(thread), 0, -1)) do table.insert(places, {thread, key}) end
end
local found = {}
for _, place in ipairs(places) do
    if #found >= tonumber(limit) then break end
    local values = redis.call('HMGET', doc(place[1], place[2]), 'seq', 'at', 'blob')
    if values[1] then
        table.insert(found, {place[1], place[2], values[1], values[2], values[3]})
    end
    if removing ~= '' or not values[1] then forget(place[1], place[2]) end
end
if removing ~= '' then redis.call('SET', removed, cmsgpack.pack(found), 'EX', remembered) end
return found
"""
)

_EVERYTHING = 1 << 31
RETRIES = 5
# The longest pause between two tries, and how long one may take unless the caller says otherwise (seconds).
PAUSE, PATIENCE = 1.0, 5.0


class _Found(NamedTuple):
    thread_id: str
    key: str
    seq: int
    at: int
    blob: Blob


class RedisDocuments:
    """Documents in a Redis database; see `hagane.hitl.documents.Documents`. Safe to use from any thread.

    Args:
        url: `redis://`, `rediss://` or `unix://`; None to connect with `options`.
        prefix: What all keys begin with.
        ttl: Seconds after which a document is forgotten, counted from its last write; 0 for never.
        options: For `redis.Redis`, such as host, port, db and password. `socket_timeout` and `socket_connect_timeout`
            are 5 seconds unless they, or the address, say otherwise.

    Raises:
        ImportError: redis-py is not installed.
        StoreConnectionError: The server cannot be reached, or lets us not in.
        StoreError: The server refused what was asked, such as a write beyond its memory.
    """

    def __init__(self, url: str | None = None, *, prefix: str = "hagane", ttl: int = 0, **options: Any) -> None:
        try:
            import redis
            from redis.backoff import FullJitterBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ImportError("redis-py is needed to talk to Redis: pip install 'hagane[redis]'") from error
        self._place = without_password(url) or f"redis://{options.get('host')}:{options.get('port')}"
        self._prefix = prefix
        self._ttl = ttl
        self._unreachable = (redis.ConnectionError, redis.TimeoutError, OSError)
        self._failed = redis.RedisError
        try:
            # Said here, because whether redis-py tries again by itself changes with its version.
            options["retry"] = Retry(FullJitterBackoff(cap=PAUSE, base=0.05), RETRIES)
            options = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, **options}
            options["retry_on_error"] = [redis.ConnectionError, redis.TimeoutError]
            self._client: Any = redis.Redis(**options) if url is None else redis.Redis.from_url(url, **options)
        except ValueError as error:
            raise StoreConnectionError(f"{self._place} is no address of a Redis server: {error}") from error
        self._remembered = _seconds_of_retries(self._client.connection_pool.connection_kwargs)
        self._put = self._client.register_script(_PUT)
        self._find = self._client.register_script(_FIND)
        self._ask(self._client.ping)

    def put(
        self,
        collection: str,
        thread_id: str,
        key: str,
        blob: Blob,
        *,
        at: int,
        once: bool = False,
        keep: int | None = None,
    ) -> bool:
        """Keep a value; see `Documents`."""
        kept = "" if keep is None else str(keep)
        token = uuid.uuid4().hex
        values = [thread_id, key, pack_blob(blob), at, int(once), kept, self._ttl, token, self._remembered]
        return bool(self._ask(self._put, keys=[self._base(collection)], args=values))

    def documents(
        self, collection: str, thread_id: str | None = None, key: str | None = None, limit: int = 100
    ) -> Sequence[Document]:
        """Return values, newest first; see `Documents`. One of thread and key must be given: ValueError."""
        return self._matching(collection, thread_id, key, limit, removing=False)

    def remove(self, collection: str, thread_id: str | None = None, key: str | None = None) -> Sequence[Document]:
        """Remove values; see `Documents`. One of thread and key must be given: ValueError."""
        return self._matching(collection, thread_id, key, _EVERYTHING, removing=True)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _matching(
        self, collection: str, thread_id: str | None, key: str | None, limit: int, *, removing: bool
    ) -> Sequence[Document]:
        if thread_id is None and key is None:
            raise ValueError("documents in Redis are found by thread or by key; give one of them")
        # A sign before what is given tells the empty name from none at all.
        wanted = ["" if name is None else f"={name}" for name in (thread_id, key)]
        token = uuid.uuid4().hex if removing else ""
        rows = self._ask(self._find, keys=[self._base(collection)], args=[*wanted, limit, token, self._remembered])
        found = [
            _Found(thread.decode(), name.decode(), int(seq), int(at), unpack_blob(blob))
            for thread, name, seq, at, blob in rows
        ]
        return sorted(found, key=lambda each: each.seq, reverse=True)

    def _base(self, collection: str) -> str:
        return f"{{{self._prefix}}}:{collection}"

    def _ask(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a command; what redis-py raises becomes one of ours."""
        try:
            return command(*args, **kwargs)
        except self._unreachable as error:
            raise StoreConnectionError(
                f"Redis at {self._place} cannot be reached: {error}; start it, or correct the address"
            ) from error
        except self._failed as error:
            raise StoreError(f"Redis at {self._place} refused: {error}") from error


def _seconds_of_retries(options: dict[str, Any]) -> int:
    """Return how long a write may still be sent again; one without a timeout is taken to give up within ten minutes."""
    patience = [options.get(name) for name in ("socket_timeout", "socket_connect_timeout")]
    one_try = sum(600.0 if seconds is None else float(seconds) for seconds in patience)
    return 10 + math.ceil((RETRIES + 1) * one_try + RETRIES * PAUSE)
