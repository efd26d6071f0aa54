"""A run's state: what is stored at each checkpoint, and how it is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hagane import _core
from hagane.engines.feedback import FEEDBACK_KEY
from hagane.engines.isolate import isolate
from hagane.errors import StoreCorrupt

OUTPUT_KEY = "results:"


@dataclass
class Progress:
    """What a run has so far.

    Attributes:
        inputs: the caller's inputs, a copy.
        outputs: accepted outputs by stage, in order.
        feedback: what a stage is told when it runs next, by stage.
        ending: how the run ended, once it has: status, stage, reason and the like.
    """

    inputs: dict[str, Any]
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    feedback: dict[str, dict[str, Any]] = field(default_factory=dict)
    ending: dict[str, Any] = field(default_factory=dict)

    def state(self, plan: _core.Plan) -> dict[str, Any]:
        """List the parts to store, each under its key."""
        outputs = {f"{OUTPUT_KEY}{stage}": output for stage, output in self.outputs.items()}
        # Fresh objects for the small parts that change in place: the journal encodes an object once.
        small = {"feedback": dict(self.feedback), "ending": dict(self.ending), "plan": bytes(plan.state())}
        return {"inputs": self.inputs, **outputs, **small}

    @classmethod
    def load(cls, state: Mapping[str, _core.Blob]) -> tuple[Progress, bytes]:
        """Read what was stored, and the plan's part of it.

        Raises:
            StoreCorrupt: a part is missing, damaged, or not what it should be.
        """
        values = {key: blob.value() for key, blob in state.items()}
        parts = [values.get("inputs"), values.get("feedback"), values.get("ending")]
        outputs = {key[len(OUTPUT_KEY) :]: value for key, value in values.items() if key.startswith(OUTPUT_KEY)}
        plan = values.get("plan")
        if not isinstance(plan, bytes) or not all(isinstance(part, dict) for part in [*parts, *outputs.values()]):
            raise StoreCorrupt("the checkpoint lacks parts of a run's state; it was left as it is")
        inputs, feedback, ending = parts
        return cls(inputs or {}, outputs, feedback or {}, ending or {}), plan

    def drop_from(self, stages: list[str], stage: str) -> None:
        """Forget the outputs of `stage` and of everything after it."""
        for later in stages[stages.index(stage) :]:
            self.outputs.pop(later, None)
            self.feedback.pop(later, None)

    def inputs_of(self, stage: str, *, review: bool = False) -> dict[str, Any]:
        """Put together what `stage` is given: the inputs, and `<stage>_result` and the fields of each accepted output.

        Later outputs win over earlier ones and over the inputs; for a review stage the inputs win, as in AgentFlow.
        """
        merged = dict(self.inputs)
        for name, output in self.outputs.items():
            merged[f"{name}_result"] = output
            merged.update(output)
        if review:
            merged.update(self.inputs)
        given: dict[str, Any] = isolate(merged)
        given.pop(FEEDBACK_KEY, None)
        if stage in self.feedback:
            given[FEEDBACK_KEY] = isolate(self.feedback[stage])
        return given

    def merged(self) -> dict[str, Any]:
        """Merge the fields of all accepted outputs, later ones over earlier: what gates after the last stage see."""
        merged: dict[str, Any] = {}
        for output in self.outputs.values():
            merged.update(output)
        return isolate(merged)  # type: ignore[no-any-return]
