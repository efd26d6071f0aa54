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


def panel(column: str, means: list[tuple[str, float | None]], left: int, top: int) -> list[str]:
    """One bar chart: the mean of `column` in each group."""
    present = [value for _, value in means if value is not None]
    low, high = min([0.0, *present]), max([0.0, *present])
    marks = ticks(low, high if high - low > 1e-300 else low + 1.0)
    low, high = marks[0], marks[-1]
    height, width = PANEL_HEIGHT - TOP - BOTTOM, PANEL_WIDTH - LEFT - RIGHT

    def vertical(value: float) -> float:
        return top + TOP + height * (high - value) / (high - low)

    parts = [text(left + PANEL_WIDTH / 2, top + 24, plain(column, 36), 'class="head"')]
    for mark in marks:
        y = vertical(mark)
        parts.append(f'<line x1="{left + LEFT}" x2="{left + LEFT + width}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(text(left + LEFT - 6, y + 4, number(mark), 'class="tick"'))
    middle = top + TOP + height / 2
    parts.append(text(left + 18, middle, "mean", f'class="axis" transform="rotate(-90 {left + 18} {middle:.1f})"'))
    slot = width / max(1, len(means))
    for place, (group, value) in enumerate(means):
        x = left + LEFT + slot * place
        if value is not None:
            y, base = vertical(max(value, 0.0)), vertical(min(value, 0.0))
            title = html.escape(f"{plain(group, 60)}: {number(value)}")
            parts.append(
                f'<rect x="{x + slot * 0.15:.1f}" y="{y:.1f}" width="{slot * 0.7:.1f}" '
                f'height="{max(base - y, 0.5):.1f}" fill="{COLOURS[place % len(COLOURS)]}"><title>{title}</title></rect>'
            )
        crowded = len(means) > 4
        centre, below = x + slot / 2, top + PANEL_HEIGHT - BOTTOM + 16
        turn = f' transform="rotate(-35 {centre:.1f} {below})" style="text-anchor:end"' if crowded else ""
        parts.append(text(centre, below, plain(group, 10 if crowded else 12), f'class="name"{turn}'))
    zero = vertical(0.0)
    parts.append(f'<line x1="{left + LEFT}" x2="{left + LEFT + width}" y1="{zero:.1f}" y2="{zero:.1f}" class="zero"/>')
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
