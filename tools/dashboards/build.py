"""The dashboard as typed objects of the Grafana Foundation SDK, and as the JSON that is shipped."""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard, gauge, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig, ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from rows import ROWS, Panel

__all__ = ["as_json", "build"]

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
BUILDERS: dict[str, Any] = {"timeseries": timeseries.Panel, "stat": stat.Panel, "gauge": gauge.Panel}
HEIGHT = 8


def build() -> models.Dashboard:
    """Put the dashboard together; ids and places follow from the order of rows and panels."""
    board = (
        dashboard.Dashboard("hagane")
        .uid("hagane")
        .description("Agents, model calls and the exporter. Made by tools/dashboards; edit there.")
        .tags(["hagane", "agents"])
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-1h", "now")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_choice("job", "label_values(agent_execution_total, job)"))
        .with_variable(_choice("agent", 'label_values(agent_execution_total{job=~"$job"}, agent)'))
    )
    number = 0
    for row in ROWS:
        number += 1
        board.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            board.with_panel(_panel(panel).id(number))
    return board.build()


def as_json(board: models.Dashboard) -> str:
    """The file's text."""
    return json.dumps(board, cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _choice(name: str, query: str) -> dashboard.QueryVariable:
    """A variable with all of its values chosen at first."""
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".+")
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _panel(panel: Panel) -> Any:
    builder = BUILDERS[panel.kind]()
    builder.title(panel.title).description(panel.description).datasource(SOURCE)
    builder.unit(panel.unit).min(0).height(HEIGHT).span(panel.width)
    if panel.highest is not None:
        builder.max(panel.highest)
    for letter, query in zip("ABCDEF", panel.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(letter).range()
        builder.with_target(target)
    _limit(builder, panel)
    if panel.kind == "timeseries":
        _lines(builder)
    else:
        builder.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(values=False))
    return builder


def _limit(builder: Any, panel: Panel) -> None:
    steps = [models.Threshold(value=None, color="green")]
    if panel.limit is not None:
        steps.append(models.Threshold(value=panel.limit, color="red"))
        if panel.kind == "timeseries":
            style = GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
            builder.thresholds_style(style)
    builder.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))


def _lines(builder: Any) -> None:
    legend = VizLegendOptions().show_legend(show_legend=True)
    legend.display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM)
    # A gap is a gap: an agent that did not run has no latency.
    builder.legend(legend).line_width(1).fill_opacity(10).span_nulls(span_nulls=False)
