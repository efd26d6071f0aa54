"""Prints a run as it happens: one line per stage attempt, verdict, retry and rollback."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from hagane.commands.streams import one_line

COLOURS = {"good": "32", "bad": "31", "turn": "33", "dim": "2", "head": "1"}


def wants_colour(stream: TextIO) -> bool:
    """Whether colours are welcome: a terminal, and neither NO_COLOR nor TERM=dumb says otherwise."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Timeline:
    """Turns the engine's events into lines for `write` (which adds the line end)."""

    def __init__(self, write: Callable[[str], None], *, colour: bool = False) -> None:
        self._write = write
        self._colour = colour

    def header(self) -> None:
        """Write the column heads."""
        self._write(self._paint("head", f"{'stage':<11} {'attempt':>7}  {'verdict':<34} {'time':>9}"))

    def show(self, event: Mapping[str, Any]) -> None:
        """Write the line of an event, if it has one."""
        method = getattr(self, "_on_" + event["type"], None)
        if method is not None:
            method(event)

    def step(self, step: Mapping[str, Any]) -> None:
        """Write a step of the agent: a program that ran, and what came of it."""
        told = "" if step["status"] == "answered" else ": " + one_line(step["observation"].split("\n", 1)[0], 120)
        line = f"  step {step['step']} {step['status'].replace('_', ' ')}{told}"
        self._write(self._paint("dim", line))

    def _on_resumed(self, event: Mapping[str, Any]) -> None:
        kept = ", ".join(event["accepted"]) or "nothing yet"
        self._write(self._paint("turn", f"» resumed at {event['stage']}; accepted before and not repeated: {kept}"))

    def _on_stage_output(self, event: Mapping[str, Any]) -> None:
        good = event["verdict"] == "ok"
        verdict = "done" if good else "error: " + one_line(event["error"]["message"], 120)
        self._row(event, "good" if good else "bad", verdict, f"{event['duration_ms']:.0f} ms")

    def _on_validation(self, event: Mapping[str, Any]) -> None:
        if event["verdict"] != "passed":
            self._row(event, "bad", "validation failed: " + one_line("; ".join(event["issues"]), 120))

    def _on_gate(self, event: Mapping[str, Any]) -> None:
        good = event["verdict"] == "passed"
        score = "" if event.get("score") is None else f" (score {event['score']:.0f})"
        told = score if good or score else f": {one_line(event['reason'], 120)}"
        self._row(event, "good" if good else "bad", f"gate {event['gate']} {event['verdict']}{told}")

    def _on_checkpoint(self, event: Mapping[str, Any]) -> None:
        self._row(event, "dim", "accepted, checkpoint taken")

    def _on_retry(self, event: Mapping[str, Any]) -> None:
        self._write(
            self._paint("turn", f"↻ retry {event['stage']}, attempt {event['attempt']}, with feedback{_why(event)}")
        )

    def _on_rollback(self, event: Mapping[str, Any]) -> None:
        line = f"↶ rollback {event['to_stage']} ◀── {event['from_stage']}, with feedback{_why(event)}"
        self._write(self._paint("turn", line))

    def _on_escalated(self, event: Mapping[str, Any]) -> None:
        self._write(self._paint("bad", f"! {event['stage']} needs a human's decision{_why(event)}"))

    def _on_run_completed(self, event: Mapping[str, Any]) -> None:
        good = event["status"] == "success"
        reason = "" if good or not event.get("reason") else f": {one_line(event['reason'], 1000)}"
        seconds = event.get("duration_ms", 0.0) / 1000
        self._write(self._paint("good" if good else "bad", f"run {event['status']} in {seconds:.1f} s{reason}"))

    def _row(self, event: Mapping[str, Any], colour: str, verdict: str, time: str = "") -> None:
        line = f"{event['stage']:<11} {event['attempt']:>7}  {self._paint(colour, f'{verdict:<34}')} {time:>9}"
        self._write(line.rstrip())

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self._colour else text


def _why(event: Mapping[str, Any]) -> str:
    return f" (gate {event['gate']})" if event.get("gate") else ""
