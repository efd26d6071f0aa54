"""The three stages: load the table, analyse it with a CodeActAgent, write the report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from hagane.agents.codeact.agent import CodeActAgent
from hagane.demo import checks
from hagane.demo.policy import ALLOWED_IMPORTS, approve
from hagane.demo.script import PROFILE
from hagane.demo.table import InputError, parse_table, read_file
from hagane.errors import PipelineError

TASK = """\
Summarise the table in the file 'data.csv' (UTF-8, commas, one header line; an empty cell is a missing value).
The answer is a JSON object with these keys:
- "rows": the number of data rows
- "overall": for each numeric column an object with "count", "mean", "min" and "max" (null where it has no values)
- "groups": for each value of the group_by column an object with "rows" and "means" (numeric column -> mean or null);
  rows whose group_by cell is empty belong to the group "(missing)"
Import nothing but: {imports}.
"""


Tell = Callable[[Mapping[str, Any]], None]
"""Is told of each step of the agent: a dict with step, status, observation and duration_ms."""


def silent(step: Mapping[str, Any]) -> None:
    """Tell nobody."""


class LoadStage:
    """Reads and validates the file. The first look takes half of the rows; told that this is not enough, all."""

    name = "load"

    async def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Take `csv_path` and `csv_sha256`; give columns, types, the rows as normalised CSV, and their number."""
        path = Path(inputs["csv_path"])
        everything = bool(inputs.get("_feedback"))
        return await asyncio.to_thread(self._load, path, inputs["csv_sha256"], everything=everything)

    def _load(self, path: Path, expected: str, *, everything: bool) -> dict[str, Any]:
        data, digest = read_file(path)
        if digest != expected:
            raise InputError(f"{path} changed while the run was under way: start a new run")
        table = parse_table(data, path.name)
        total = len(table.rows)
        count = total if everything else max(1, total // 2)
        return {
            "file": path.name,
            "columns": table.columns,
            "numeric": table.numeric,
            "text": table.text,
            "group_by": table.group_by(),
            "rows": count,
            "sample": count < total,
            "data": table.as_csv(count),
        }


class AnalyseStage(CodeActAgent):
    """Has the model write the program that summarises the table, and scores how much of the summary is there."""

    def __init__(self, llm: Any, tell: Tell = silent) -> None:
        self._tell = tell
        super().__init__(llm, name="analyse", approve=approve, max_steps=6, step_timeout=60.0)

    def _prepare(self, input_data: Mapping[str, Any]) -> Mapping[str, Any]:
        table = output_of(input_data, "load")
        profile = {key: table[key] for key in ("columns", "numeric", "group_by", "rows", "sample")}
        task = TASK.format(imports=", ".join(sorted(ALLOWED_IMPORTS)))
        task += PROFILE + json.dumps(profile, ensure_ascii=False)
        return {"task": task, "files": {"data.csv": table["data"]}, "_feedback": input_data.get("_feedback")}

    def _finish(self, input_data: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        table = output_of(input_data, "load")
        for step in result["steps"]:
            self._tell(step)
        summary = result["answer"] or {}
        groups = checks.group_values(table["data"], table["group_by"])
        return {
            "summary": summary,
            "rows_analysed": summary.get("rows", 0),
            "completeness_score": checks.completeness_score(summary, table["numeric"], groups),
            "steps": [{key: step[key] for key in ("step", "status", "observation")} for step in result["steps"]],
            "code": result["code"],
            "error": result["error"],
        }

    def _parse_result(self, result: Any) -> Any:
        answer = super()._parse_result(result)
        fault = checks.fault_of(answer)
        if fault:
            raise ValueError(fault)
        return answer


class ReportStage:
    """Runs the drawing program in the sandbox and takes the report and the figure from its files."""

    name = "report"

    async def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Take the outputs of load and analyse; give `files` (name -> bytes)."""
        from hagane.sandbox import get_sandbox

        table, analysis = output_of(inputs, "load"), output_of(inputs, "analyse")
        request = {**analysis["summary"], **{key: table[key] for key in ("file", "numeric", "group_by")}}
        program = resources.files("hagane.demo").joinpath("drawing.py").read_text(encoding="utf-8")
        async with get_sandbox() as sandbox:
            result = await sandbox.execute(program, timeout=60.0, files={"summary.json": json.dumps(request).encode()})
        missing = [name for name in ("report.md", "plot.svg") if name not in result.files]
        if not result.success or missing:
            reason = result.error or f"no {', '.join(missing)} among its files"
            raise PipelineError(f"the report's program failed: {reason}\n{result.stderr}")
        return {"files": {name: result.files[name] for name in ("report.md", "plot.svg")}}


def output_of(inputs: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    """Return the accepted output of an earlier stage."""
    output: Mapping[str, Any] = inputs[f"{stage}_result"]
    return output
