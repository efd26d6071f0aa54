"""What a running stage can ask of its engine: effects that are not repeated, an idempotency key, its budget.

    from hagane.engines import current_stage

    async def charge(inputs):
        stage = current_stage()
        receipt = await stage.effect("charge", lambda key: payments.charge(inputs["card"], idempotency_key=key))
        return {"receipt": receipt}

Execution is at least once, recording exactly once: a process may die between doing a thing and recording it, so the
thing itself is given a key by which the outside world can recognise a repetition.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from hagane.errors import BudgetSpent, PipelineError
from hagane.hitl.asked import asked_of
from hagane.hitl.interrupt import given_answers
from hagane.observability.spending import model_usage

if TYPE_CHECKING:
    from hagane.engines.ledger import Ledger
    from hagane.hitl.types import ApprovalResponse, InterruptPayload

__all__ = ["StageContext", "current_stage"]

# The stage of this task and of what it starts.
current: ContextVar[StageContext | None] = ContextVar("hagane_stage", default=None)


def current_stage() -> StageContext:
    """Return the stage that this code runs in.

    Raises:
        PipelineError: it runs in none.
    """
    context = current.get()
    if context is None:
        raise PipelineError("no stage runs here; call current_stage() in an agent that an engine runs")
    return context


class StageContext:
    """One attempt of a stage, as its agent sees it.

    Attributes:
        stage: its name.
        attempt: how often the stage was started, this start included.
    """

    # What persons answered to the stage's agents and nobody took yet: what was asked, and the answer.
    answers: Sequence[tuple[str | None, ApprovalResponse]] = ()
    _prefix = ""
    _asker: str | None = None
    # The context of the whole attempt, where this is that of one of several agents.
    _whole: StageContext | None = None

    def __init__(self, ledger: Ledger, stage: str, attempt: int, generation: int) -> None:
        self.stage = stage
        self.attempt = attempt
        self._ledger = ledger
        self._generation = generation

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self._ledger.run_id

    @property
    def thread_id(self) -> str:
        """The thread's name."""
        return self._ledger.thread_id

    def is_of(self, places: dict[str, int]) -> bool:
        """Whether it is a stage of the pipeline whose `places` these very ones are."""
        return self._ledger.places is places

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this stage in this run, until a rollback undid the stage."""
        key = f"{self.run_id}:{self.stage}:{self._generation}"
        return f"{key}:{self._prefix[:-1]}" if self._prefix else key

    def branch(self, name: str) -> StageContext:
        """Return the same for one of several parallel agents; its effects do not mix with the others'."""
        context = self.asking_as(name)
        context._prefix = f"{name}/"
        return context

    def asking_as(self, name: str) -> StageContext:
        """Return the same for one of several agents, whose questions are its own."""
        context = StageContext(self._ledger, self.stage, self.attempt, self._generation)
        context._whole, context._asker = self._whole or self, name
        return context

    def answer(self, payload: InterruptPayload) -> ApprovalResponse | None:
        """Give the answer that a person gave to this question of this agent, each once; see `interrupt()`."""
        whole = self._whole or self
        answers = whole.answers
        asked = asked_of(payload, self._asker) if answers else None
        found = next((place for place, (known, _) in enumerate(answers) if known == asked), None)
        if found is None:
            return None
        whole.answers = [*answers[:found], *answers[found + 1 :]]
        return answers[found][1]

    def check(self) -> None:
        """See that the attempt is not over.

        Raises:
            PipelineError: it is.
        """
        if self._ledger.current is not (self._whole or self):
            raise PipelineError(
                f"attempt {self.attempt} of stage {self.stage!r} is over, so nothing is done in its name: its time was "
                "spent, it was cancelled, or its agent left this work behind when it returned; await the work instead"
            )

    async def effect(self, name: str, action: Callable[[str], Any]) -> Any:
        """Do `action` unless it is recorded as done; return its result, or the recorded one.

        `action` is called with its idempotency key (text), and may be async. Its result must be something that can be
        stored. A retry of the stage, a resume after a crash and a rollback that did not compensate the stage find it
        recorded; after a compensation it is done anew, under a new key.

        Raises:
            SnapshotError: the result cannot be stored; the effect has happened and will be repeated.
            StoreError: the store failed; the same.
            PipelineError: the attempt is over; the effect was not done, or if it was under way, not recorded.
        """
        self.check()
        place = self._prefix + name
        return await self._ledger.once(self.stage, place, f"{self.idempotency_key}:{name}", action)

    def effect_sync(self, name: str, action: Callable[[str], Any]) -> Any:
        """`effect` for synchronous agents, which run in a thread of their own.

        Raises:
            PipelineError: called on the event loop's own thread, where it would wait for itself; and as `effect`.
        """
        self.check()
        loop = self._ledger.loop
        try:
            running: Any = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is loop:
            raise PipelineError("effect_sync was called in the event loop; use `await current_stage().effect(...)`")
        return asyncio.run_coroutine_threadsafe(self.effect(name, action), loop).result()

    def spend(self, tokens: int = 0, cost: float = 0.0) -> None:
        """Book tokens and cost (whole units) that hagane does not see by itself.

        Raises:
            BudgetSpent: more was used than the stage or the run may use; the attempt should end.
        """
        left_tokens, left_cost = self.tokens_left, self.cost_left
        self._ledger.spend(self.stage, tokens, cost)
        if left_tokens is not None and tokens > left_tokens:
            raise BudgetSpent(f"stage {self.stage!r} used {tokens} tokens, {left_tokens} were left")
        if left_cost is not None and cost > left_cost:
            raise BudgetSpent(f"stage {self.stage!r} used a cost of {cost}, {left_cost:.6f} was left")

    def book(self, tokens: int, cost: float) -> None:
        """Book what a model call used that hagane saw by itself."""
        self._ledger.spend(self.stage, tokens, cost)

    def reserve(self, tokens: int = 0, cost: float = 0.0) -> None:
        """See that so much is left before it is used.

        Raises:
            BudgetSpent: it is not.
        """
        left_tokens, left_cost = self.tokens_left, self.cost_left
        if left_tokens is not None and left_tokens < tokens:
            raise BudgetSpent(f"stage {self.stage!r}: {tokens} tokens are wanted, {left_tokens} are left")
        if left_cost is not None and left_cost < cost:
            raise BudgetSpent(f"stage {self.stage!r}: a cost of {cost} is wanted, {left_cost:.6f} is left")

    @property
    def tokens_left(self) -> int | None:
        """Tokens that the stage may still use; None without a limit."""
        return self._ledger.left(self.stage)[0]

    @property
    def cost_left(self) -> float | None:
        """The same for cost."""
        return self._ledger.left(self.stage)[1]


class _Here:
    """Whatever stage runs where this is asked: for `interrupt()`, and called for what a model used.

    One object for all stages, so that a run makes it known once and a stage only has to say that it is the one.
    """

    def __call__(self, tokens: int, cost: float) -> None:
        if (stage := current.get()) is not None:
            stage.book(tokens, cost)

    def answer(self, payload: InterruptPayload) -> ApprovalResponse | None:
        return current_stage().answer(payload)

    @property
    def flow_id(self) -> str:
        return current_stage().run_id

    @property
    def node_id(self) -> str:
        return current_stage().stage


_here = _Here()


Known = tuple[Token[Any], Token[Any]]


def make_known() -> Known:
    """Spare the stages that run in this context to make themselves known; give the result to `forget`."""
    return given_answers.set(_here), model_usage.set(_here)


def forget(known: Known) -> None:
    """Undo `make_known`."""
    asked, told = known
    model_usage.reset(told)
    given_answers.reset(asked)


def stand_in(context: StageContext) -> None:
    """Make `context` the running stage of the rest of this context."""
    current.set(context)
    if given_answers.get() is not _here or model_usage.get() is not _here:
        given_answers.set(_here)
        model_usage.set(_here)


def running_stage() -> StageContext | None:
    """Return the stage that this code runs in, None outside."""
    return current.get()


async def call_action(action: Callable[[str], Any], key: str) -> Any:
    """Call an action with its key and await it if it is awaitable."""
    done = action(key)
    return await done if inspect.isawaitable(done) else done
