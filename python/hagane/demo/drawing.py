"""The report's program: runs inside the sandbox, reads summary.json, writes plot.svg and report.md.

Only the standard library, and nothing of hagane: this file is sent as it is.
"""

from __future__ import annotations

import html
import json
import math
from typing import Any

MAX_PANELS, MAX_GROUPS = 6, 8
PANEL_WIDTH, PANEL_HEIGHT = 330, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 40, 58
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c00", "#666666")


def plain(text: str, limit: int) -> str:
    """One printable line of at most `limit` characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(value: float | None) -> str:
    """A number as a reader wants it; a dash where there is none."""
    if value is None:
        return "–"
    if value and not 0.01 <= abs(value) < 1e7:
        return f"{value:.3g}"
    grouped = "," if abs(value) >= 10_000 else ""  # 2,007 is no way to write a year
    return f"{value:{grouped}.2f}".rstrip("0").rstrip(".")


def ticks(low: float, high: float) -> list[float]:
    """About four round values from `low` to `high`, both within."""
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5)
    return [place * step for place in range(math.floor(low / step), math.ceil(high / step) + 1)]


def text(x: float, y: float, content: str, attributes: str = "") -> str:
    """An SVG text element."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{html.escape(content)}</text>'


def axis(marks: list[float], left: int, top: int, width: float) -> list[str]:
    """The grid of one chart, with a number at each line; `top` is where the highest mark lies."""
    height = PANEL_HEIGHT - TOP - BOTTOM
    middle = top + height / 2
    parts = [text(left + 18, middle, "mean", f'class="axis" transform="rotate(-90 {left + 18} {middle:.1f})"')]
    for mark in marks:
        y = top + height * (marks[-1] - mark) / (marks[-1] - marks[0])
        kind = "zero" if mark == 0 else "grid"
        parts.append(line(left + LEFT, left + LEFT + width, y, kind))
        parts.append(text(left + LEFT - 6, y + 4, number(mark), 'class="tick"'))
    return parts


def line(start: float, end: float, y: float, kind: str) -> str:
    """A horizontal line."""
    return f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}" class="{kind}"/>'


def bar(place: int, title: str, box: tuple[float, float, float, float]) -> str:
    """A bar that shows its value when pointed at; `box` is x, y, width, height."""
    x, y, width, height = box
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0.5):.1f}" '
        f'fill="{COLOURS[place % len(COLOURS)]}"><title>{html.escape(title)}</title></rect>'
    )


def name(x: float, y: float, group: str, *, crowded: bool) -> str:
    """A group's name under its bar, turned where there is little room."""
    turn = f' transform="rotate(-35 {x:.1f} {y:.1f})" style="text-anchor:end"' if crowded else ""
    return text(x, y, plain(group, 10 if crowded else 12), f'class="name"{turn}')


def panel(column: str, means: list[tuple[str, float | None]], left: int, top: int) -> list[str]:
    """One bar chart: the mean of `column` in each group."""
    present = [value for _, value in means if value is not None]
    low, high = min([0.0, *present]), max([0.0, *present])
    marks = ticks(low, high if high - low > 1e-300 else low + 1.0)
    height, width = PANEL_HEIGHT - TOP - BOTTOM, PANEL_WIDTH - LEFT - RIGHT
    parts = [text(left + PANEL_WIDTH / 2, top + 24, plain(column, 36), 'class="head"')]
    parts += axis(marks, left, top + TOP, width)
    slot = width / max(1, len(means))
    for place, (group, value) in enumerate(means):
        x = left + LEFT + slot * place
        if value is not None:
            ends = [top + TOP + height * (marks[-1] - end) / (marks[-1] - marks[0]) for end in (value, 0.0)]
            box = (x + slot * 0.15, min(ends), slot * 0.7, abs(ends[0] - ends[1]))
            parts.append(bar(place, f"{plain(group, 60)}: {number(value)}", box))
        parts.append(name(x + slot / 2, top + PANEL_HEIGHT - BOTTOM + 16, group, crowded=len(means) > 4))
    return parts


def draw(summary: dict[str, Any], columns: list[str], groups: list[str]) -> str:
    """The whole figure."""
    across = min(3, len(columns))
    down = math.ceil(len(columns) / across)
    width, height = max(PANEL_WIDTH * across, 520), 56 + PANEL_HEIGHT * down + 20
    by = plain(summary["group_by"], 40)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12" role="img">',
        "<style>.head,.name,.axis{text-anchor:middle}.head{font-weight:bold}.tick{text-anchor:end;font-size:11px}"
        ".grid{stroke:#ddd}.zero{stroke:#333}.title{text-anchor:middle;font-size:17px;font-weight:bold}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(width / 2, 30, plain(f"Means by {by}: {summary['file']} ({summary['rows']} rows)", 80), 'class="title"'),
    ]
    for place, column in enumerate(columns):
        means = [(group, summary["groups"][group]["means"].get(column)) for group in groups]
        parts += panel(column, means, PANEL_WIDTH * (place % across), 48 + PANEL_HEIGHT * (place // across))
    parts.append(text(width / 2, height - 8, by, 'class="axis"'))
    return "\n".join([*parts, "</svg>"]) + "\n"


def cell(content: str) -> str:
    """Text as a Markdown table cell that shows it and does nothing else."""
    line = plain(content, 60)
    return "".join("\\" + character if character in "\\`*_{}[]<>#|!~" else character for character in line)


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table; the first column is text, the others are numbers."""
    rule = "|---|" + "---:|" * (len(head) - 1)
    return ["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]


def write_up(summary: dict[str, Any], columns: list[str], groups: list[str]) -> str:
    """The report in Markdown."""
    overall = [
        [cell(name), *(number(summary["overall"][name][key]) for key in ("count", "mean", "min", "max"))]
        for name in summary["numeric"]
    ]
    by_group = [
        [cell(group), number(summary["groups"][group]["rows"])]
        + [number(summary["groups"][group]["means"].get(name)) for name in summary["numeric"]]
        for group in groups
    ]
    notes = []
    if len(summary["groups"]) > len(groups):
        notes.append(f"The {len(groups)} largest of {len(summary['groups'])} groups are shown.")
    if len(summary["numeric"]) > len(columns):
        notes.append(f"The first {len(columns)} of {len(summary['numeric'])} numeric columns are plotted.")
    lines = [
        f"# Summary of {cell(summary['file'])}",
        "",
        f"{summary['rows']} rows, {len(summary['numeric'])} numeric columns, grouped by {cell(summary['group_by'])}.",
        "",
        "![Means by group](plot.svg)",
        "",
        "## All rows",
        "",
        *table(["column", "count", "mean", "min", "max"], overall),
        "",
        f"## Means by {cell(summary['group_by'])}",
        "",
        *table([cell(summary["group_by"]), "rows", *(cell(name) for name in summary["numeric"])], by_group),
        "",
        *([" ".join(notes), ""] if notes else []),
    ]
    return "\n".join(lines)


def main() -> None:
    """Read the summary, write the figure and the report."""
    with open("summary.json", encoding="utf-8") as handle:  # noqa: PTH123  the program is self-contained
        summary = json.load(handle)
    columns = summary["numeric"][:MAX_PANELS]
    groups = sorted(summary["groups"], key=lambda group: (-summary["groups"][group]["rows"], group))[:MAX_GROUPS]
    for name, content in (
        ("plot.svg", draw(summary, columns, groups)),
        ("report.md", write_up(summary, columns, groups)),
    ):
        with open(name, "w", encoding="utf-8") as handle:  # noqa: PTH123
            handle.write(content)


if __name__ == "__main__":
    main()
