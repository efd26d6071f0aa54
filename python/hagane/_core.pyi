"""Types of the compiled module. One section per file of src/bindings."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Final, final

from typing_extensions import Self, disjoint_base

__version__: str

# --- log and runtime -------------------------------------------------------------------------------------------

def _flush_logs() -> None: ...
def _emit_logs(level: str, count: int) -> None: ...
def _sleep(seconds: float) -> Awaitable[None]: ...
def _sleep_sync(seconds: float) -> None: ...
def _panic() -> Awaitable[None]: ...
def _panic_sync() -> None: ...
def _shutdown_runtime() -> None: ...

# --- metrics ---------------------------------------------------------------------------------------------------

METRICS_CONTENT_TYPE: Final[str]

@final
class CounterChild:
    def inc(self, value: float = 1.0, exemplar: Mapping[str, object] | None = None) -> None: ...
    def get(self) -> float: ...

@final
class GaugeChild:
    def set(self, value: float) -> None: ...
    def inc(self, value: float = 1.0) -> None: ...
    def dec(self, value: float = 1.0) -> None: ...
    def get(self) -> float: ...

@final
class HistogramChild:
    def observe(self, value: float, exemplar: Mapping[str, object] | None = None) -> None: ...
    def get_stats(self) -> dict[str, Any]: ...

@final
class CounterFamily:
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def label_names(self) -> tuple[str, ...] | None: ...
    def labels(self, *values: object, **by_name: object) -> CounterChild: ...
    def child(self, labels: Mapping[str, object] | None = None) -> CounterChild: ...
    def inc(
        self,
        value: float = 1.0,
        labels: Mapping[str, object] | None = None,
        exemplar: Mapping[str, object] | None = None,
    ) -> None: ...
    def get(self, labels: Mapping[str, object] | None = None) -> float: ...
    def series(self) -> list[tuple[dict[str, str], float]]: ...

@final
class GaugeFamily:
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def label_names(self) -> tuple[str, ...] | None: ...
    def labels(self, *values: object, **by_name: object) -> GaugeChild: ...
    def child(self, labels: Mapping[str, object] | None = None) -> GaugeChild: ...
    def set(self, value: float, labels: Mapping[str, object] | None = None) -> None: ...
    def inc(self, value: float = 1.0, labels: Mapping[str, object] | None = None) -> None: ...
    def dec(self, value: float = 1.0, labels: Mapping[str, object] | None = None) -> None: ...
    def get(self, labels: Mapping[str, object] | None = None) -> float: ...
    def series(self) -> list[tuple[dict[str, str], float]]: ...

@final
class HistogramFamily:
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def label_names(self) -> tuple[str, ...] | None: ...
    @property
    def buckets(self) -> tuple[float, ...]: ...
    def labels(self, *values: object, **by_name: object) -> HistogramChild: ...
    def child(self, labels: Mapping[str, object] | None = None) -> HistogramChild: ...
    def observe(
        self,
        value: float,
        labels: Mapping[str, object] | None = None,
        exemplar: Mapping[str, object] | None = None,
    ) -> None: ...
    def keep_native(self) -> None: ...
    def get_stats(self, labels: Mapping[str, object] | None = None) -> dict[str, Any]: ...
    def series(self) -> list[tuple[dict[str, str], dict[str, Any]]]: ...

@final
class RunMeter:
    """What a tracked agent's runs report to."""

    def __new__(
        cls, agent: str, in_progress: GaugeChild, duration: HistogramChild, ended: Sequence[CounterChild]
    ) -> RunMeter: ...
    @property
    def agent(self) -> str: ...
    def begin(self) -> float: ...
    def end(self, began: float, way: int, exemplar: Mapping[str, object] | None = None) -> None: ...
    def succeed(self, began: float) -> None: ...
    def suspend(self, began: float) -> None: ...
    def resume(self, began: float) -> None: ...

@final
class MetricsRegistry:
    def __new__(cls, series_limit: int = ..., directory: str | PathLike[str] | None = None) -> MetricsRegistry: ...
    @property
    def shared(self) -> bool: ...
    def after_fork(self) -> None: ...
    def counter(self, name: str, description: str = "", label_names: Sequence[str] | None = None) -> CounterFamily: ...
    def gauge(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        multiprocess_mode: str | None = None,
    ) -> GaugeFamily: ...
    def histogram(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        buckets: Sequence[float] | None = None,
    ) -> HistogramFamily: ...
    def families(self) -> list[CounterFamily | GaugeFamily | HistogramFamily]: ...
    def encode(self) -> str: ...

@final
class MetricsServer:
    """A listener that answers GET /metrics until it is closed."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def url(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class MetricsExporter:
    """Answers scrapes: status, headers and body, whoever carries them."""

    def __new__(
        cls,
        registry: MetricsRegistry,
        bearer_token: str | None = None,
        created: bool = False,
        process: bool = True,
        own_metrics: bool = True,
    ) -> MetricsExporter: ...
    def answer(
        self,
        method: str,
        authorization: str | None = None,
        accept: str | None = None,
        accept_encoding: str | None = None,
    ) -> tuple[int, list[tuple[str, str]], bytes]: ...

def start_metrics_server(
    exporter: MetricsExporter,
    host: str,
    port: int,
    certificate: str | PathLike[str] | None = None,
    key: str | PathLike[str] | None = None,
) -> MetricsServer: ...
def encode_remote_write(
    registry: MetricsRegistry, labels: Sequence[tuple[str, str]], timestamp: int, batch: int
) -> list[bytes]: ...
def inherited_metrics_files() -> list[int]: ...
def abandon_inherited_servers() -> list[int]: ...

# --- validation ------------------------------------------------------------------------------------------------

@final
class StageRules:
    """The rules of one stage."""

    def __new__(
        cls,
        *,
        required: Sequence[str],
        schema: Mapping[str, Any] | None = None,
        score_field: str | None = None,
        minimum: float | None = None,
    ) -> StageRules: ...
    def check(self, output: Any) -> tuple[list[tuple[str, str, str, str]], float | None]:
        """Everything that is wrong with `output` (path, rule, expected, actual), and its score."""

def judge_score(score: Any, threshold: float) -> tuple[str, float | None]:
    """`passed`, `failed` or `error` for a score against a threshold, and the score if it is a number."""

# --- anomaly detection -----------------------------------------------------------------------------------------

@final
class Baseline:
    """The baseline of one stage: learns accepted outputs, judges the next one."""

    def __new__(cls, *, alpha: float, may_act: bool, ignored: Sequence[str], data: bytes | None = None) -> Baseline: ...
    def judge(self, output: Any) -> list[tuple[str, str, str, str, bool]]:
        """What is unusual about `output`: path, rule, expected, actual, and whether it is reason to act."""
    def learn(self, output: Any) -> None:
        """Learn an output that was accepted."""
    def dump(self) -> bytes:
        """The baseline as bytes."""
    def summary(self) -> list[BaselineField]:
        """What is known of every path with numbers."""
    @property
    def outputs(self) -> int:
        """How many accepted outputs are known."""

@final
class BaselineField:
    """What is known of the numbers at one path."""

    @property
    def path(self) -> str:
        """The path; of a list the number of its elements is meant."""
    @property
    def known(self) -> int:
        """How many accepted numbers are remembered."""
    @property
    def median(self) -> float:
        """Their median."""
    @property
    def low(self) -> float:
        """The least number that belongs."""
    @property
    def high(self) -> float:
        """The greatest number that belongs."""
    @property
    def strangers(self) -> int:
        """How many stand so far off that they do not count as examples."""
    @property
    def is_running(self) -> bool:
        """Whether it is a counter or a clock."""

# --- rollback --------------------------------------------------------------------------------------------------

@final
class Blob:
    """One encoded value: an immutable deep copy that is stored under the address of its content."""

    def __new__(cls, value: Any, path: str = "state") -> Blob: ...
    def value(self) -> Any:
        """A fresh copy of the value."""
    @property
    def address(self) -> str:
        """BLAKE3 of the content, hexadecimal."""
    @property
    def size(self) -> int:
        """Bytes that it takes in a store that has nothing of it yet."""

def isolate(value: Any) -> Any:
    """Copy the containers in `value`; other objects stay the same ones. See `hagane.engines.isolate`."""

@final
class Layers:
    """What the stages of a run are given: the inputs, and over them the accepted outputs, none of which may change."""

    def __new__(cls, inputs: dict[str, Any]) -> Layers: ...
    def add(self, stage: str, output: dict[str, Any]) -> None: ...
    def copy(self) -> dict[str, Any]: ...

@final
class Action:
    """What the driver of a plan is to do next."""

    kind: str
    stage: int | None
    attempt: int | None
    check: int | None
    origin: int | None
    ask: str | None
    budget: str | None
    partial: bool

_Limit = tuple[int | None, int | None, int | None]

@final
class Plan:
    """A run's progress under its settings."""

    def __new__(
        cls,
        *,
        stages: Sequence[str],
        checks: Sequence[tuple[str, Sequence[str], int | None, int, int]],
        final_checks: bool,
        max_starts: int,
        traits: Sequence[tuple[bool, bool, bool, int | None, _Limit, tuple[int, int]]] = ...,
        limit: _Limit = ...,
        state: bytes | None = None,
    ) -> Plan: ...
    def fresh(self) -> Plan: ...
    def begin(self) -> Action: ...
    def judged(self, failures: Sequence[int], fingerprint: str | None = None) -> Action: ...
    def passed(self) -> tuple[bool, Action]: ...
    def accepted(self) -> Action: ...
    def damaged(self) -> None: ...
    def going_back(self) -> Action: ...
    def compensated(self) -> Action: ...
    def touched(self, stage: int) -> None: ...
    def asked(self) -> Action: ...
    def decided(self, decision: str) -> Action: ...
    def used(self, stage: int, *, wall: int = 0, tokens: int = 0, cost: int = 0) -> None: ...
    def left(self, stage: int) -> _Limit: ...
    def rollback_to(self, stage: str) -> int: ...
    def state(self) -> bytes: ...
    def generation(self, stage: int) -> int: ...
    def ran(self, stage: int, seconds: float) -> None: ...
    def entering(self, stage: int) -> tuple[int | None, int]: ...
    @property
    def attempts(self) -> list[int]: ...
    @property
    def spent(self) -> list[tuple[int, int, int]]: ...
    @property
    def awaiting(self) -> str | None: ...
    @property
    def position(self) -> int | None: ...

def backoff(retry: int, base: float, cap: float, draw: float, asked: float | None = None) -> float:
    """Seconds to wait before retry number `retry` (from 1): full jitter, at most `cap`, at least what was `asked`."""

@final
class RunRecord:
    """One run in a listing. Times are microseconds since 1970."""

    run_id: str
    thread_id: str
    pipeline: str
    version: str
    status: str
    started_at: int
    updated_at: int

@final
class Head:
    """A thread's newest run and checkpoint."""

    run: RunRecord
    epoch: int
    checkpoint: int | None
    last_seq: int

@final
class CheckpointRecord:
    """One checkpoint in a listing; `at` in microseconds since 1970, `size` in bytes before compression."""

    checkpoint: int
    run_id: str
    thread_id: str
    label: str
    at: int
    superseded: bool
    size: int

@final
class Pruned:
    """What a prune removed; `bytes` are those of the blobs."""

    checkpoints: int
    runs: int
    blobs: int
    bytes: int

@final
class Usage:
    """What a store holds; `file_bytes` counts the log too and is 0 where there is no file."""

    threads: int
    runs: int
    checkpoints: int
    events: int
    documents: int
    blobs: int
    blob_bytes: int
    file_bytes: int

@final
class Claim:
    """A wish to drive a thread: `owner` for `seconds` after its last write; "reject" or "supersede" another."""

    def __new__(cls, owner: str, seconds: float = 30.0, on_conflict: str = "reject") -> Claim: ...
    @property
    def owner(self) -> str: ...

@final
class Lease:
    """A thread's owner. `expires_at` is microseconds since 1970 by the database's clock."""

    owner: str
    epoch: int
    expires_at: int
    host: str
    boot: str
    pid: int
    process_started: int

@final
class Document:
    """A value that is kept under a collection, a thread and a key; `at` as it was put."""

    thread_id: str
    key: str
    seq: int
    at: int
    blob: Blob

@disjoint_base
class Store:
    """Keeps runs, checkpoints, events and documents; every call is one transaction."""

    @property
    def kind(self) -> str: ...
    def begin(
        self,
        *,
        thread_id: str,
        run_id: str,
        pipeline: str,
        version: str,
        at: int,
        events: Sequence[tuple[int, str, int, Blob]],
        state: Sequence[tuple[str, Blob]],
        label: str = "",
        claim: Claim | None = None,
    ) -> tuple[int, int | None, int]:
        """Epoch, checkpoint and new bytes. Without a claim the thread is taken from whoever has it."""
    def adopt(self, thread_id: str, claim: Claim | None = None) -> Head: ...
    def renew(self, thread_id: str, epoch: int) -> int: ...
    def release(self, thread_id: str, epoch: int) -> None: ...
    def lease(self, thread_id: str) -> Lease | None: ...
    def head(self, thread_id: str) -> Head: ...
    def commit(
        self,
        *,
        thread_id: str,
        run_id: str,
        epoch: int,
        status: str,
        at: int,
        events: Sequence[tuple[int, str, int, Blob]],
        state: Sequence[tuple[str, Blob]] | None = None,
        label: str = "",
        supersede_after: int | None = None,
    ) -> tuple[int | None, int]:
        """Checkpoint, if there was a state, and new bytes."""
    def load(self, checkpoint: int) -> dict[str, Blob]: ...
    def events(self, run_id: str) -> list[tuple[int, str, int, Any]]: ...
    def runs(self, limit: int = 20) -> list[RunRecord]: ...
    def checkpoints(
        self, thread_id: str | None = None, run_id: str | None = None, limit: int = 50
    ) -> list[CheckpointRecord]: ...
    def prune(
        self, *, at: int, keep: int | None = ..., max_age_seconds: float | None = ..., thread_id: str | None = None
    ) -> Pruned: ...
    def usage(self) -> Usage: ...
    def put(
        self,
        collection: str,
        thread_id: str,
        key: str,
        blob: Blob,
        *,
        at: int,
        epoch: int | None = None,
        once: bool = False,
        keep: int | None = None,
    ) -> bool:
        """False if `once` and there is one already."""
    def documents(
        self, collection: str, thread_id: str | None = None, key: str | None = None, limit: int = 100
    ) -> list[Document]:
        """The one that was put last first."""
    def remove(self, collection: str, thread_id: str | None = None, key: str | None = None) -> list[Document]:
        """What was there; of two that ask for the same one, one gets it."""
    def close(self) -> None: ...

@final
class MemoryStore(Store):
    """Checkpoints in this process's memory."""

    def __new__(cls, *, keep: int | None = ..., max_age_seconds: float | None = ...) -> MemoryStore: ...

@final
class SqliteStore(Store):
    """Checkpoints in one SQLite file that several processes may share."""

    def __new__(
        cls, path: str | PathLike[str], *, keep: int | None = ..., max_age_seconds: float | None = ...
    ) -> SqliteStore: ...
    @property
    def path(self) -> Path: ...

@final
class PostgresStore(Store):
    """Checkpoints in a schema of a PostgreSQL database; `retry_seconds` are spent on a connection that breaks."""

    def __new__(
        cls,
        url: str,
        *,
        schema: str = "hagane",
        retry_seconds: float = 10.0,
        keep: int | None = ...,
        max_age_seconds: float | None = ...,
    ) -> PostgresStore: ...
    @property
    def place(self) -> str:
        """The address without its password."""

def fingerprint(parts: Sequence[str]) -> str:
    """BLAKE3 over texts, hexadecimal."""

# --- checkpointer ----------------------------------------------------------------------------------------------

def pack_blob(blob: Blob) -> bytes:
    """The bytes of a blob; they hold all of it."""

def unpack_blob(packed: bytes) -> Blob:
    """The blob of such bytes; its content is checked when it is read."""

# --- sandbox ---------------------------------------------------------------------------------------------------

@final
class LocalSandbox:
    def __new__(
        cls, command: Sequence[str], executable: str | PathLike[str], trees: Sequence[str | PathLike[str]]
    ) -> LocalSandbox: ...
    def execute(self, request: SandboxRequest) -> Awaitable[SandboxOutcome]: ...
    def execute_blocking(self, request: SandboxRequest) -> SandboxOutcome: ...
    def close(self) -> None: ...

@final
class SandboxRequest:
    def __new__(
        cls,
        code: str,
        *,
        env: dict[str, str],
        files: dict[str, bytes],
        timeout: timedelta,
        memory: int,
        disk: int,
    ) -> SandboxRequest: ...

@final
class SandboxOutcome:
    @property
    def ending(self) -> str: ...
    @property
    def exit_code(self) -> int: ...
    @property
    def signal(self) -> int | None: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...
    @property
    def truncated(self) -> bool: ...
    @property
    def files(self) -> dict[str, bytes]: ...
    @property
    def skipped(self) -> list[tuple[str, str]]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def cpu_seconds(self) -> float: ...
    @property
    def peak_memory(self) -> int: ...
    @property
    def isolation(self) -> tuple[str, list[str], list[str]]: ...
    @property
    def uncaught(self) -> tuple[str, str] | None: ...

def supervise_sandboxes(host: int) -> None: ...
