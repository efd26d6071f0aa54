"""The pipeline engine: stages in order, with validation, gates, retries, rollback and resumable runs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

from hagane import _core
from hagane.engines.agents import agent_name, entry_point, initialize, instance_of
from hagane.engines.checks import Checks, Policy, build_checks
from hagane.engines.config import EngineConfig, StageConfig
from hagane.engines.environment import Environment
from hagane.engines.isolate import isolate
from hagane.engines.journal import Event, Journal, read_history
from hagane.engines.progress import Progress
from hagane.engines.report import Reporter
from hagane.engines.run import Pipeline, Run, finished
from hagane.engines.stage import Deadline, Stage
from hagane.errors import PipelineError, UnknownRun, UnknownStage
from hagane.observability import standard
from hagane.validation import QualityGate, StageValidator, ValidationConfig

ENDED = ("success", "partial", "rejected")
REMEMBERED_RUNS = 16


class PipelineEngine:
    """Runs stages in order; an output reaches later stages only after validation and gates passed.

    Args:
        stages: `StageConfig` objects or dicts with their fields (`{"name": "analysis", "agent": Analyst}`).
        max_revisions: how often a gate, a validation or a review may send work back, each per stage.
        report_generator: function of the results `{stage: output}` that makes the final report.
        report_builder: object with `build(results, inputs)`; wins over `report_generator`.
        config: name, retries, time limit; see `EngineConfig`.
        validation_config: rules for outputs; see `ValidationConfig`.
        quality_gates: see `QualityGate`.
        checkpoint_store: `SqliteStore(path)` or `MemoryStore()`; None keeps nothing beyond the run.
        environment: clocks and names, for tests.

    Raises:
        PipelineError: the stages, gates or settings do not make a pipeline.
        UnknownStage: a gate, rule or review names a stage that is not there.
    """

    _policy = Policy()

    def __init__(
        self,
        stages: Sequence[dict[str, Any] | StageConfig],
        *,
        max_revisions: int = 2,
        report_generator: Callable[[dict[str, Any]], Any] | None = None,
        report_builder: Any = None,
        config: EngineConfig | None = None,
        validation_config: ValidationConfig | None = None,
        quality_gates: Sequence[QualityGate] | None = None,
        checkpoint_store: _core.Store | None = None,
        environment: Environment | None = None,
    ) -> None:
        if checkpoint_store is not None and not isinstance(checkpoint_store, _core.Store):
            kind = type(checkpoint_store).__name__
            raise PipelineError(f"checkpoint_store is {kind}; give a SqliteStore(path) or MemoryStore()")
        self._config = config or EngineConfig()
        self._stage_configs = self._parse_stages(stages)
        self._max_revisions = max_revisions
        self._reporter = Reporter(report_generator, report_builder)
        self._validation_config = validation_config or ValidationConfig()
        self._validator = StageValidator(self._validation_config)
        self._quality_gates = list(quality_gates or ())
        self._store = checkpoint_store
        self._environment = environment or Environment()
        self._stage_instances: dict[str, list[Any]] = {}
        self._flow: Pipeline | None = None
        self._initialized = False
        self._awake: set[int] = set()
        self._recent: OrderedDict[str, list[Event]] = OrderedDict()
        if self._stage_configs:
            self._new_plan(self._build_checks(), None)

    @property
    def config(self) -> EngineConfig:
        """The configuration."""
        return self._config

    def configure(self, **settings: Any) -> PipelineEngine:
        """Change fields of the configuration for later runs; unknown names go to `config.extra`."""
        for name, value in settings.items():
            if hasattr(self._config, name):
                setattr(self._config, name, value)
            else:
                self._config.extra[name] = value
        return self

    # --- running ---

    async def run(self, inputs: dict[str, Any], thread_id: str | None = None) -> dict[str, Any]:
        """Run the pipeline on `inputs`, which is not changed.

        Returns:
            `status` (success, partial, rejected, failed or escalated), `results` (`{stage: accepted output}`),
            `attempts` (`{stage: times started}`), `run_id`, `thread_id`, and where they apply `stage`, `reason`,
            `gate`, `output` (the refused output), `escalation` (what a human is to decide), `skipped`, and the report.

        Raises:
            SnapshotError: the inputs cannot be stored without loss (with a checkpoint store only).
            StoreError: the store failed; the run can be resumed when it is back.
            LeaseLost: another run took the thread over.
        """
        return await _last_result(self.run_stream(inputs, thread_id))

    async def run_stream(self, inputs: dict[str, Any], thread_id: str | None = None) -> AsyncGenerator[Event, None]:
        """Run the pipeline and yield what happens, each event after it was stored.

        Every event has `seq` (1, 2, 3, ... in a run), `type`, `at` (seconds since 1970), `run_id`, `thread_id`:

        - `run_started`: `pipeline`, `stages`
        - `stage_started`: `stage`, `attempt`
        - `stage_output`: `stage`, `attempt`, `duration_ms`, `verdict` (ok or error), `fields` or `error`
        - `validation`: `stage`, `attempt`, `verdict` (passed or failed), `issues`, `score`
        - `gate`: `stage`, `attempt`, `gate`, `verdict` (passed, failed or error), `reason`, `score`
        - `checkpoint`: `stage`, `attempt`: the stage is done and will not be repeated by a resume
        - `retry`: `stage`, `attempt` (the coming one), `check`, `gate`, `reason`
        - `rollback`: `from_stage`, `to_stage`, `stage` (= `to_stage`), `check`, `gate`, `reason`
        - `skipped`, `fallback_used`, `escalated`, `aborted`: `stage`, `attempt`, `check`, `gate`, `reason`
        - `resumed`: `stage`, `accepted` (stages not repeated)
        - `run_completed`: `status`, `reason`, `duration_ms`, `result` (what `run` returns); the last event
        """
        await self._wake()
        pipeline = self._pipeline()
        journal = self._journal(
            thread_id or f"thread-{self._environment.new_id()}", f"run-{self._environment.new_id()}"
        )
        journal.note("run_started", pipeline=pipeline.name, stages=pipeline.names)
        plan = self._new_plan(pipeline.checks, None)
        progress = Progress(isolate(dict(inputs)))
        if self._store is not None:
            journal.blob("inputs", progress.inputs)
        async with aclosing(self._drive(pipeline, plan, progress, journal)) as events:
            async for event in events:
                yield event

    def run_sync(self, inputs: dict[str, Any], thread_id: str | None = None) -> dict[str, Any]:
        """`run` for scripts and notebooks; see there."""
        return _complete(self.run(inputs, thread_id))

    async def resume(self, thread_id: str, command: Any = None) -> dict[str, Any]:
        """Go on with the newest run of a thread from its last accepted stage; accepted stages are not repeated.

        A run that ended (success, partial, rejected) is not run again: its result is given once more.

        Raises:
            UnknownRun: the store has no such thread.
            PipelineError: no store; another pipeline's run; a human's decision is awaited; or `command` was given,
                which this version cannot carry out.
            StoreError: the store failed.
        """
        return await _last_result(self.resume_stream(thread_id, command))

    async def resume_stream(self, thread_id: str, command: Any = None) -> AsyncGenerator[Event, None]:
        """`resume` as a stream of events; see `run_stream`. The first one is `resumed`."""
        store = self._need_store("resume")
        if command is not None:
            raise PipelineError(
                "resume(command=...) is not available in this version; decide with "
                "RollbackController(engine, thread_id).retry_with_feedback(...) or .rollback_to(stage), then resume()"
            )
        await self._wake()
        pipeline = self._pipeline()
        head = self._check_head(store.head(thread_id))
        if head.run.status in ENDED:
            yield self._replay(store, head, pipeline)
            return
        head = store.adopt(thread_id)
        plan, progress = self._restore(store, head)
        if head.run.status == "escalated":
            raise PipelineError(_awaiting(thread_id, progress))
        journal = self._journal(thread_id, head.run.run_id)
        journal.continue_from(head)
        progress.ending = {}
        at = pipeline.names[plan.position] if plan.position is not None else pipeline.names[-1]
        journal.note("resumed", stage=at, accepted=list(progress.outputs), former_status=head.run.status)
        async with aclosing(self._drive(pipeline, plan, progress, journal)) as events:
            async for event in events:
                yield event

    def resume_sync(self, thread_id: str, command: Any = None) -> dict[str, Any]:
        """`resume` for scripts and notebooks; see there."""
        return _complete(self.resume(thread_id, command))

    def history(self, run_id: str) -> list[Event]:
        """The events of a run, from the store, or of one of the last 16 runs of this engine without one.

        Raises:
            UnknownRun: nobody knows the run.
        """
        if self._store is not None:
            return read_history(self._store, run_id)
        if run_id not in self._recent:
            raise UnknownRun(f"this engine has no run {run_id!r} in memory; give it a checkpoint_store to keep runs")
        return isolate(self._recent[run_id])  # type: ignore[no-any-return]

    # --- AgentFlow's inheritance protocol ---

    def _parse_stages(self, stages: Sequence[dict[str, Any] | StageConfig]) -> list[StageConfig]:
        """Make `StageConfig` objects of dicts."""
        return [stage if isinstance(stage, StageConfig) else _stage_config(stage) for stage in stages]

    async def _setup_stages(self) -> None:
        """Hook for subclasses that find their stages at run time: set `_stage_configs` here."""

    async def _initialize(self) -> None:
        """Set stages up, make their agents, and finish. Called once, before the first run."""
        await self._setup_stages()
        await self._initialize_agents()
        await self._finalize_initialization()

    async def _initialize_agents(self) -> None:
        """Make an instance of each agent and call its `initialize`, once per object."""
        for stage in self._stage_configs:
            given = self._stage_instances.get(stage.name) or _agents_of(stage)
            instances = [instance_of(agent) for agent in given]
            for agent in instances:
                if id(agent) not in self._awake:
                    self._awake.add(id(agent))
                    await initialize(agent)
            self._stage_instances[stage.name] = instances

    async def _finalize_initialization(self) -> None:
        """Put the pipeline together from `_stage_configs` and `_stage_instances`."""
        self._flow = self._build_flow()

    def _build_flow(self) -> Pipeline:
        stages = [
            Stage(config, self._stage_instances.get(config.name, []), self._environment)
            for config in self._stage_configs
        ]
        _check_agents(stages)
        checks = self._build_checks()
        self._new_plan(checks, None)
        return Pipeline(
            name=self._config.name,
            version=self._version(),
            stages=stages,
            checks=checks,
            validator=self._validator,
            reporter=self._reporter,
            environment=self._environment,
        )

    @property
    def _stages(self) -> list[Stage]:
        """The stages in the form in which they run; there after the first run began."""
        return self._pipeline().stages

    # --- parts ---

    async def _wake(self) -> None:
        """Initialise once, also when several runs begin at the same time on one loop."""
        if self._initialized:
            return
        waiting = getattr(self, "_waking", None)
        if waiting is None or waiting.done():
            waiting = self._waking = asyncio.ensure_future(self._initialize())
        await asyncio.shield(waiting)
        self._initialized = True
        self._declare()

    def _pipeline(self) -> Pipeline:
        if self._flow is None:
            self._flow = self._build_flow()
        return self._flow

    def _declare(self) -> None:
        pipeline = self._pipeline()
        for stage in pipeline.stages:
            standard.declare_stage(pipeline.name, stage.name)
            for agent in stage.agents:
                standard.declare_agent(agent_name(agent))
            if stage.config.gate or stage.config.review:
                standard.declare_gate(pipeline.name, stage.name)
        for gate in pipeline.checks.gates:
            standard.declare_gate(pipeline.name, gate.name)

    def _build_checks(self) -> Checks:
        names = [stage.name for stage in self._stage_configs]
        for named in sorted(self._validation_config.named_stages() - set(names)):
            raise UnknownStage(f"validation_config names stage {named!r}; the stages are {', '.join(names)}")
        return build_checks(self._stage_configs, self._quality_gates, self._config, self._max_revisions, self._policy)

    def _new_plan(self, checks: Checks, state: bytes | None) -> _core.Plan:
        names = [stage.name for stage in self._stage_configs]
        spare = sum(retries + rollbacks for _, _, _, retries, rollbacks in checks.rows)
        starts = self._config.max_stage_starts
        return _core.Plan(
            stages=names,
            checks=checks.rows,
            final_checks=bool(checks.final),
            max_starts=len(names) * (1 + spare * len(names)) if starts is None else starts,
            state=state,
        )

    def _version(self) -> str:
        """What a run must find unchanged to be continued: the stages and the checks."""
        checks = [row[0] for row in self._build_checks().rows]
        return _core.fingerprint([*(stage.name for stage in self._stage_configs), "|", *checks])

    def _journal(self, thread_id: str, run_id: str) -> Journal:
        names = {"thread_id": thread_id, "run_id": run_id}
        journal = Journal(self._store, self._environment, **names, pipeline=self._config.name, version=self._version())
        if self._store is None:
            self._recent[run_id] = journal.history
            while len(self._recent) > REMEMBERED_RUNS:
                self._recent.popitem(last=False)
        return journal

    async def _drive(
        self, pipeline: Pipeline, plan: _core.Plan, progress: Progress, journal: Journal
    ) -> AsyncGenerator[Event, None]:
        deadline = Deadline(self._environment, self._config.timeout_seconds)
        async with aclosing(Run(pipeline, plan, progress, journal, deadline).events()) as events:
            async for event in events:
                yield event

    # --- stored runs ---

    def _need_store(self, what: str) -> _core.Store:
        if self._store is None:
            raise PipelineError(
                f"{what} needs a checkpoint store; build the engine with checkpoint_store=SqliteStore(path)"
            )
        return self._store

    def _check_head(self, head: _core.Head) -> _core.Head:
        if head.run.version != self._version():
            raise PipelineError(
                f"thread {head.run.thread_id!r} is a run of pipeline {head.run.pipeline!r} with other stages or gates; "
                "resume it with the pipeline that began it, or start a new run"
            )
        return head

    def _restore(self, store: _core.Store, head: _core.Head) -> tuple[_core.Plan, Progress]:
        if head.checkpoint is None:
            raise PipelineError(f"thread {head.run.thread_id!r} has no checkpoint to go on from; start a new run")
        progress, state = Progress.load(store.load(head.checkpoint))
        return self._new_plan(self._build_checks(), state), progress

    def _replay(self, store: _core.Store, head: _core.Head, pipeline: Pipeline) -> Event:
        """The last event of a run that ended, once more."""
        plan, progress = self._restore(store, head)
        journal = self._journal(head.run.thread_id, head.run.run_id)
        report = self._reporter.build(progress) if head.run.status != "rejected" else None
        last = read_history(store, head.run.run_id)[-1]
        return {**last, "replayed": True, "result": finished(pipeline, progress, journal, plan, report)}


def _agents_of(stage: StageConfig) -> list[Any]:
    return [agent for agent in [stage.agent, *(stage.agents or ())] if agent is not None]


def _check_agents(stages: list[Stage]) -> None:
    for stage in stages:
        if not stage.agents:
            raise PipelineError(f"stage {stage.name!r} has no agent; give it agent=... or agents=[...]")
        for agent in stage.agents:
            entry_point(agent, stage.name)


def _stage_config(fields: dict[str, Any]) -> StageConfig:
    try:
        return StageConfig(**fields)
    except TypeError as error:
        raise PipelineError(f"stage {fields!r:.200} is not understood: {error}") from error


def _awaiting(thread_id: str, progress: Progress) -> str:
    request = progress.ending.get("escalation", {})
    return (
        f"thread {thread_id!r} awaits a human's decision: stage {request.get('stage')!r}, gate {request.get('gate')!r}: "
        f"{request.get('message')}. Decide with RollbackController(engine, thread_id).retry_with_feedback(...) "
        "or .rollback_to(stage), then resume()"
    )


async def _last_result(events: AsyncGenerator[Event, None]) -> dict[str, Any]:
    result: dict[str, Any] | None = None
    async with aclosing(events) as stream:
        async for event in stream:
            if event["type"] == "run_completed":
                result = event["result"]
    assert result is not None, "a run that did not raise ends with run_completed"
    return result


def _complete(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run to the end from synchronous code; inside a running loop (a notebook) in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()
