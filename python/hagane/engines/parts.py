"""Putting an engine together: its stages, agents and checks, by AgentFlow's protocol for subclasses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hagane import _core
from hagane.engines.agents import agent_name, entry_point, initialize, instance_of
from hagane.engines.base import BaseEngine
from hagane.engines.checks import Checks, Policy, build_checks
from hagane.engines.config import EngineConfig, StageConfig, check_count
from hagane.engines.effects import running_stage
from hagane.engines.environment import Environment
from hagane.engines.journal import Journal
from hagane.engines.limit import Limit
from hagane.engines.pipeline import Pipeline
from hagane.engines.report import Reporter
from hagane.engines.stage import Stage
from hagane.engines.stored import Stored
from hagane.engines.threads import Threads
from hagane.engines.traits import millionths, traits_of
from hagane.errors import PipelineError, UnknownStage
from hagane.observability import standard
from hagane.validation import QualityGate, StageValidator, ValidationConfig


class EngineParts(BaseEngine):
    """The parts of an engine that do not change from run to run; see `PipelineEngine` for the parameters."""

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
            hint = ""
            if all(callable(getattr(checkpoint_store, name, None)) for name in ("save", "load_latest", "delete")):
                hint = (
                    "; a Checkpointer keeps runs that wait for a person: give it as "
                    "EngineConfig(hitl=HITLEngineConfig(checkpointer=...)) beside or instead of a store"
                )
            raise PipelineError(
                f"checkpoint_store is {kind}; give a SqliteStore(path), PostgresStore(url) or MemoryStore(){hint}"
            )
        _check_parts(config, validation_config, quality_gates, max_revisions)
        super().__init__(config, environment=environment)
        self._config.check()
        Limit(self._config.max_concurrent_agents)  # refuses a bad number now rather than in the first run
        self._stage_configs = self._parse_stages(stages)
        self._max_revisions = max_revisions
        self._reporter = Reporter(report_generator, report_builder)
        self._validation_config = validation_config or ValidationConfig()
        self._validator: Any = StageValidator(self._validation_config)
        self._quality_gates = list(quality_gates or ())
        self._store = checkpoint_store
        self._stage_instances: dict[str, list[Any]] = {}
        self._flow: Pipeline | None = None
        self._awake: dict[int, Any] = {}
        self._threads = Threads()
        self._recent: OrderedDict[str, Journal] = OrderedDict()
        self._waiting: dict[str, Stored] = {}
        if self._stage_configs:
            checks = self._build_checks()
            self._new_plan(checks, None)
            self._declare(checks)

    def configure(self, **kwargs: Any) -> EngineParts:
        """Change fields of the configuration for later runs; unknown names go to `config.extra`."""
        super().configure(**kwargs)
        self._flow = None
        if self._stage_configs:
            self._declare(self._build_checks())
        return self

    def _running_thread(self) -> str | None:
        context = running_stage()
        ours = context is not None and self._flow is not None and context.is_of(self._flow.places)
        return context.thread_id if context is not None and ours else None

    # --- AgentFlow's inheritance protocol ---

    def _parse_stages(self, stages: Sequence[dict[str, Any] | StageConfig]) -> list[StageConfig]:
        """Make `StageConfig` objects of dicts."""
        return [stage if isinstance(stage, StageConfig) else _stage_config(stage) for stage in stages]

    async def _setup_stages(self) -> None:
        """Do nothing here; subclasses that find their stages at run time set `_stage_configs`."""

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
                    await initialize(agent)
                    # Kept, so that no other object gets its id; noted only when it has worked.
                    self._awake[id(agent)] = agent
            self._stage_instances[stage.name] = instances

    async def _finalize_initialization(self) -> None:
        """Put the pipeline together from `_stage_configs` and `_stage_instances`."""
        self._flow = self._build_flow()

    def _build_flow(self) -> Pipeline:
        limit = Limit(self._config.max_concurrent_agents)
        stages = [Stage(config, self._stage_instances.get(config.name, []), limit) for config in self._stage_configs]
        _check_agents(stages)
        checks = self._build_checks()
        return Pipeline(
            name=self._config.name,
            version=self._version(),
            stages=stages,
            checks=checks,
            reporter=self._reporter,
            environment=self._environment,
            config=self._config,
            plan=self._new_plan(checks, None),
        )

    @property
    def _stages(self) -> list[Stage]:
        """The stages in the form in which they run; there after the first run began."""
        return self._pipeline().stages

    # --- parts ---

    def _awoken(self) -> None:
        self._declare(self._pipeline().checks)

    def _pipeline(self) -> Pipeline:
        if self._flow is None:
            self._flow = self._build_flow()
        return self._flow

    def _declare(self, checks: Checks) -> None:
        """Let every series be there at 0: when the engine is made, and again when its stages are known for sure."""
        for stage in self._stage_configs:
            standard.declare_stage(self._config.name, stage.name)
            for agent in self._stage_instances.get(stage.name) or _agents_of(stage):
                # What cannot be run is said when it is to be run.
                with suppress(Exception):
                    standard.declare_agent(_counted_as(agent, stage.name))
            if stage.gate or stage.review:
                standard.declare_gate(self._config.name, stage.name)
        for gate in checks.gates:
            standard.declare_gate(self._config.name, gate.name)
        if self._store is not None:
            standard.declare_store(self._store.kind)

    def _build_checks(self) -> Checks:
        names = [stage.name for stage in self._stage_configs]
        hitl = self._config.hitl
        asking = {*hitl.interrupt_before, *hitl.interrupt_after} if hitl.enabled else set()
        for named in sorted(asking - set(names)):
            raise UnknownStage(f"config.hitl names stage {named!r}; the stages are {', '.join(names)}")
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
            traits=[traits_of(stage, self._config) for stage in self._stage_configs],
            limit=(None, self._config.max_tokens, millionths(self._config.max_cost)),
            state=state,
        )

    def _version(self) -> str:
        """Name what a run must find unchanged to be continued: the stages and the checks."""
        checks = [row[0] for row in self._build_checks().rows]
        return _core.fingerprint([*(stage.name for stage in self._stage_configs), "|", *checks])


def _check_parts(config: Any, validation: Any, gates: Any, max_revisions: Any) -> None:
    """Refuse what is no setting, before somebody trips over it in a run."""
    for name, given, kind in (
        ("config", config, EngineConfig),
        ("validation_config", validation, ValidationConfig),
        *(("quality_gates", gate, QualityGate) for gate in gates or ()),
    ):
        if given is not None and not isinstance(given, kind):
            raise PipelineError(f"{name} has {type(given).__name__}; give {kind.__name__}(...)")
    check_count("max_revisions", max_revisions, optional=False)


def _agents_of(stage: StageConfig) -> list[Any]:
    return [agent for agent in [stage.agent, *(stage.agents or ())] if agent is not None]


def _counted_as(agent: Any, stage: str) -> str:
    """The name under which runs of an agent are counted: that of `@metrics_tracked(agent=...)`, else the agent's."""
    return getattr(entry_point(agent, stage), "__hagane_agent__", None) or agent_name(agent, stage)


def _check_agents(stages: list[Stage]) -> None:
    for stage in stages:
        if not stage.agents:
            raise PipelineError(f"stage {stage.name!r} has no agent; give it agent=... or agents=[...]")
        for agent in stage.agents:
            entry_point(agent, stage.name)


def _stage_config(fields: Any) -> StageConfig:
    if not isinstance(fields, Mapping):
        raise PipelineError(f"a stage is {type(fields).__name__}; give a StageConfig(...) or a dict of its fields")
    try:
        return StageConfig(**fields)
    except TypeError as error:
        raise PipelineError(f"stage {fields!r:.200} is not understood: {error}") from error
