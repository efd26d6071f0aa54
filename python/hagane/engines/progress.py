"""A run's state: what is stored at each checkpoint, and how it is read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hagane import _core
from hagane.engines.feedback import FEEDBACK_KEY
from hagane.engines.isolate import isolate
from hagane.errors import StoreCorrupt

__all__ = ["ANSWER_KEYS", "ASKER_KEY", "OUTPUT_KEY", "Progress"]

OUTPUT_KEY = "results:"
EFFECTS_KEY = "effects:"
# Parts that are dicts, stored only while there is something in them.
OPTIONAL = ("question", "pending", "answers", "changes", "notes", "points")
# Which of several agents asked the person whose answer is in the inputs.
ASKER_KEY = "_hitl_agent"
# What only the engine says; outputs and inputs of these names do not reach later stages.
ANSWER_KEYS = ("_hitl_response", "_hitl_command", ASKER_KEY)

RESERVED = (FEEDBACK_KEY, *ANSWER_KEYS)


@dataclass
class Progress:
    """What a run has so far.

    Attributes:
        inputs: the caller's inputs, a copy.
        outputs: accepted outputs by stage, in order.
        feedback: what a stage is told when it runs next, by stage.
        ending: how the run ended, once it has: status, stage, reason and the like.
        effects: results of recorded effects, by stage and name.
        question: what a person is asked, while the run waits for the answer.
        pending: `output`, the output that the question is about.
        answers: what persons answered to agents, by stage, in the order of the questions, each with what was asked.
        changes: what persons changed in the inputs of stages that they were asked about, by stage.
        notes: what is to be said of accepted stages: agents that failed, a reviewer's advice.
        points: the checkpoint before each stage that ran, by stage.
    """

    inputs: dict[str, Any]
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    feedback: dict[str, dict[str, Any]] = field(default_factory=dict)
    ending: dict[str, Any] = field(default_factory=dict)
    effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    question: dict[str, Any] = field(default_factory=dict)
    pending: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    points: dict[str, int | None] = field(default_factory=dict)
    _layers: _core.Layers | None = field(default=None, init=False, repr=False)

    def state(self, plan: _core.Plan) -> Iterator[tuple[str, Any]]:
        """List the parts to store, each with its key."""
        yield from self.lasting()
        for stage, effects in self.effects.items():
            yield f"{EFFECTS_KEY}{stage}", effects
        # Fresh objects for the small parts that change in place: the journal encodes an object once.
        for name in OPTIONAL:
            if getattr(self, name):
                yield name, dict(getattr(self, name))
        yield "feedback", dict(self.feedback)
        yield "ending", dict(self.ending)
        yield "plan", bytes(plan.state())

    def lasting(self) -> Iterator[tuple[str, Any]]:
        """List the parts that are replaced when they change."""
        yield "inputs", self.inputs
        for stage, output in self.outputs.items():
            yield f"{OUTPUT_KEY}{stage}", output

    @classmethod
    def load(cls, state: Mapping[str, _core.Blob]) -> tuple[Progress, bytes]:
        """Read what was stored, and the plan's part of it.

        Raises:
            StoreCorrupt: a part is missing, damaged, or not what it should be.
        """
        values = {key: blob.value() for key, blob in state.items()}
        required = [values.get("inputs"), values.get("feedback"), values.get("ending")]
        optional = {name: values.get(name, {}) for name in OPTIONAL}
        outputs, effects = _below(values, OUTPUT_KEY), _below(values, EFFECTS_KEY)
        parts = [*required, *optional.values(), *outputs.values(), *effects.values()]
        plan = values.get("plan")
        if not isinstance(plan, bytes) or not all(isinstance(part, dict) for part in parts):
            raise StoreCorrupt("the checkpoint lacks parts of a run's state; it was left as it is")
        inputs, feedback, ending = required
        return cls(inputs or {}, outputs, feedback or {}, ending or {}, effects, **optional), plan

    def accept(self, stage: str, output: dict[str, Any]) -> None:
        """Take an output over; nobody changes it from now on."""
        if stage in self.outputs:
            self._layers = None
        elif self._layers is not None:
            self._layers.add(stage, output)
        self.outputs[stage] = output

    def forget(self, stage: str) -> None:
        """Forget an output, if it is there."""
        if self.outputs.pop(stage, None) is not None:
            self._layers = None

    def drop_from(self, stages: list[str], stage: str) -> None:
        """Forget the outputs of `stage` and of everything after it, and what later stages were to be told."""
        place = stages.index(stage)
        for later in stages[place:]:
            self.forget(later)
            self.notes.pop(later, None)
        for later in stages[place + 1 :]:
            self.feedback.pop(later, None)
            self.answers.pop(later, None)
            self.changes.pop(later, None)

    def drop_decisions(self, stages: list[str], stage: str) -> None:
        """Forget what persons decided about `stage` and everything after it: they decided about work that is gone."""
        for later in stages[stages.index(stage) :]:
            self.answers.pop(later, None)
            self.changes.pop(later, None)

    def take_back_answers(self, stage: str) -> None:
        """Show the last answer to `stage` no more: what it led to was refused. `interrupt()` still finds it."""
        if stage in self.answers:
            self.answers[stage] = [{**answer, "shown": True} for answer in self.answers[stage]]

    def undo(self, stage: str) -> None:
        """Forget what `stage` did: it is compensated."""
        self.forget(stage)
        self.effects = {name: effects for name, effects in self.effects.items() if name != stage}

    def inputs_of(self, stage: str, review: bool = False) -> dict[str, Any]:
        """Put together what `stage` is given: the inputs, and `<stage>_result` and the fields of each accepted output.

        Later outputs win over earlier ones and over the inputs; for a review stage the inputs win, as in AgentFlow.
        What a person changed wins over all of them, also in the result that a changed field came from.
        """
        given = (self._layers or self._layered()).copy()
        if review:
            given.update(isolate(self.inputs))
        if self.changes and stage in self.changes:
            self._change(given, isolate(self.changes[stage]))
        for reserved in RESERVED:
            if reserved in given:
                del given[reserved]
        if stage in self.feedback:
            given[FEEDBACK_KEY] = isolate(self.feedback[stage])
        if self.answers and self.answers.get(stage) and not self.answers[stage][-1].get("shown"):
            last = isolate(self.answers[stage][-1])
            given["_hitl_response"], given["_hitl_command"] = last["response"], last["command"]
            if last.get("asker") is not None:
                given[ASKER_KEY] = last["asker"]
        return given

    def _change(self, given: dict[str, Any], changes: dict[str, Any]) -> None:
        for key, value in changes.items():
            source = next((f"{name}_result" for name, output in reversed(self.outputs.items()) if key in output), None)
            if source is not None and source not in changes and isinstance(given.get(source), dict):
                given[source][key] = isolate(value)
        given.update(changes)

    def _layered(self) -> _core.Layers:
        self._layers = _core.Layers(self.inputs)
        for name, output in self.outputs.items():
            self._layers.add(name, output)
        return self._layers

    def merged(self) -> dict[str, Any]:
        """Merge the fields of all accepted outputs, later ones over earlier: what gates after the last stage see."""
        merged: dict[str, Any] = {}
        for output in self.outputs.values():
            merged.update(output)
        return isolate(merged)  # type: ignore[no-any-return]


def _below(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}
