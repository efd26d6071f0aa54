"""Small agents and views of events."""

from __future__ import annotations

from typing import Any

from hagane.engines import PipelineEngine


class Scripted:
    """An agent that gives prepared outputs in order, the last one for ever, and keeps what it was given."""

    def __init__(self, *outputs: Any, name: str = "scripted") -> None:
        self.name = name
        self.outputs = list(outputs)
        self.given: list[dict[str, Any]] = []

    async def run(self, inputs: dict[str, Any]) -> Any:
        self.given.append(inputs)
        output = self.outputs[min(len(self.given), len(self.outputs)) - 1]
        if isinstance(output, BaseException):
            raise output
        return output


def stages(**agents: Any) -> list[dict[str, Any]]:
    return [{"name": name, "agent": agent} for name, agent in agents.items()]


async def events_of(
    engine: PipelineEngine, inputs: dict[str, Any], thread_id: str | None = None
) -> list[dict[str, Any]]:
    return [event async for event in engine.run_stream(inputs, thread_id)]


def kinds(events: list[dict[str, Any]], *wanted: str) -> list[str]:
    return [event["type"] for event in events if not wanted or event["type"] in wanted]


def started(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(event["stage"], event["attempt"]) for event in events if event["type"] == "stage_started"]
