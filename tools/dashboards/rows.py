"""What the dashboard shows: rows of panels with their queries. How they look is `build.py`'s.

Sums are `by (job, agent)`, never per instance; a ratio has no sample where nothing ran.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["ROWS", "Panel", "Query", "Row"]


class Query(NamedTuple):
    """An expression and the legend of its series."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """One panel: `unit` is Grafana's name of it, `width` is in 24ths of the page, `limit` is where an alert stands."""

    kind: Literal["timeseries", "stat", "gauge"]
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    highest: float | None = None
    limit: float | None = None


class Row(NamedTuple):
    """A titled row."""

    title: str
    panels: tuple[Panel, ...]


BY_AGENT = "{{agent}} ({{job}})"
BY_MODEL = "{{model}} ({{provider}})"
BY_STAGE = "{{stage}} ({{pipeline}})"


def runs(more: str = "", metric: str = "agent_execution_total") -> str:
    """The rate of an agent metric, over all instances."""
    return f'sum by (job, agent) (rate({metric}{{job=~"$job", agent=~"$agent"{more}}}[$__rate_interval]))'


def calls(more: str = "") -> str:
    """The rate of model calls, over all instances."""
    return f'sum by (job, provider, model) (rate(llm_request_total{{job=~"$job"{more}}}[$__rate_interval]))'


def past_hour(metric: str, by: str) -> str:
    """How much a counter grew in an hour, over all instances."""
    return f'sum by (job, {by}) (increase({metric}{{job=~"$job"}}[1h]))'


def agent_share(status: str) -> str:
    """The share of runs that ended so; 0 where that has never been counted."""
    ended = runs(f', status="{status}"')
    return f"({ended} or 0 * {runs()}) / ({runs()} > 0)"


def quantile(level: float, metric: str, by: str, labels: str) -> str:
    """A quantile of a histogram, over all instances."""
    return f"histogram_quantile({level}, sum by ({by}, le) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))"


AGENTS = Row(
    "Agents",
    (
        Panel(
            "timeseries",
            "Agent Success Rate",
            "Agent 成功率. Share of ended runs that succeeded, over all instances. Cancelled runs count as ended.",
            "percentunit",
            (Query(agent_share("success"), BY_AGENT),),
            highest=1,
        ),
        Panel(
            "timeseries",
            "Mean Latency",
            "平均レイテンシ. Mean duration of the runs that ended in the interval.",
            "s",
            (
                Query(
                    f"{runs(metric='agent_execution_duration_seconds_sum')}"
                    f" / ({runs(metric='agent_execution_duration_seconds_count')} > 0)",
                    BY_AGENT,
                ),
            ),
        ),
        Panel(
            "stat",
            "Error Rate",
            "エラー率. Share of ended runs that raised. HighErrorRate fires above 10 %.",
            "percentunit",
            (Query(agent_share("error"), BY_AGENT),),
            highest=1,
            limit=0.10,
        ),
        Panel(
            "timeseries",
            "LLM Tokens",
            "LLM トークン. Of the past hour, as providers reported them. LLMTokenQuotaNearLimit adds up the types.",
            "short",
            (
                Query(
                    'sum by (job, provider, type) (increase(llm_tokens_total{job=~"$job"}[1h]))',
                    "{{type}} ({{provider}})",
                ),
            ),
        ),
        Panel(
            "gauge",
            "Concurrent Executions",
            "同時実行数. Runs that have begun and not ended.",
            "short",
            (Query('sum by (job, agent) (agent_executions_in_progress{job=~"$job", agent=~"$agent"})', BY_AGENT),),
        ),
        Panel(
            "timeseries",
            "Queue Depth",
            "キュー深度. Runs that wait for a place under EngineConfig.max_concurrent_agents.",
            "short",
            (Query('sum by (job, agent) (agent_queue_depth{job=~"$job", agent=~"$agent"})', BY_AGENT),),
        ),
        Panel(
            "timeseries",
            "P95 Latency",
            "P95 レイテンシ. Over all instances. HighLatency fires above 30 s.",
            "s",
            (
                Query(
                    quantile(0.95, "agent_execution_duration_seconds", "job, agent", 'job=~"$job", agent=~"$agent"'),
                    BY_AGENT,
                ),
            ),
            width=12,
            limit=30,
        ),
        Panel(
            "timeseries",
            "SLO Burn",
            "Error ratio of the past hour over the budget of 1 %. 1 spends the month's budget in a month; "
            "AgentErrorBudgetBurnFast is at 14.4. Needs the recording rules.",
            "short",
            (Query('job_agent:agent_errors:ratio_rate1h{job=~"$job", agent=~"$agent"} / 0.01', BY_AGENT),),
            width=12,
            limit=14.4,
        ),
    ),
)

LLM = Row(
    "LLM",
    (
        Panel(
            "timeseries",
            "LLM P95 Latency",
            "Duration of whole calls, over all instances.",
            "s",
            (Query(quantile(0.95, "llm_latency_seconds", "job, provider, model", 'job=~"$job"'), BY_MODEL),),
        ),
        Panel(
            "timeseries",
            "Tokens per Second",
            "Tokens that providers reported; estimates are not among them.",
            "short",
            (
                Query(
                    'sum by (job, provider, model, type) (rate(llm_tokens_total{job=~"$job"}[$__rate_interval]))',
                    "{{type}}, {{model}} ({{provider}})",
                ),
            ),
        ),
        Panel(
            "timeseries",
            "Cost of the Past Hour",
            "By the price table given to set_prices; empty without one.",
            "short",
            (
                Query(
                    'sum by (job, provider, model, currency) (increase(llm_cost_total{job=~"$job"}[1h]))',
                    "{{currency}}, {{model}} ({{provider}})",
                ),
            ),
        ),
        Panel(
            "timeseries",
            "Time to First Token (P95)",
            "Streamed calls only.",
            "s",
            (
                Query(
                    quantile(0.95, "llm_time_to_first_token_seconds", "job, provider, model", 'job=~"$job"'), BY_MODEL
                ),
            ),
            width=12,
        ),
        Panel(
            "stat",
            "LLM Error Ratio",
            "Share of calls that failed.",
            "percentunit",
            (
                Query(
                    "({} or 0 * {}) / ({} > 0)".format(calls(', status="error"'), calls(), calls()),
                    BY_MODEL,
                ),
            ),
            width=12,
            highest=1,
            limit=0.10,
        ),
    ),
)

RELIABILITY = Row(
    "Reliability",
    (
        Panel(
            "timeseries",
            "Stage Duration (P95)",
            "ステージ所要時間. Of attempts, whatever became of them, over all instances.",
            "s",
            (
                Query(
                    quantile(0.95, "pipeline_stage_duration_seconds", "job, pipeline, stage", 'job=~"$job"'), BY_STAGE
                ),
            ),
        ),
        Panel(
            "timeseries",
            "Retries of the Past Hour",
            "再試行. Attempts after the first, for whatever reason.",
            "short",
            (Query(past_hour("pipeline_stage_retries_total", "pipeline, stage"), BY_STAGE),),
        ),
        Panel(
            "timeseries",
            "Rollbacks of the Past Hour",
            "ロールバック. By the stage that was returned to.",
            "short",
            (Query(past_hour("pipeline_rollbacks_total", "pipeline, stage"), BY_STAGE),),
        ),
        Panel(
            "timeseries",
            "Gate Verdicts of the Past Hour",
            "品質ゲートの判定. An error is a check that could not tell, which counts as a failure.",
            "short",
            (
                Query(
                    past_hour("pipeline_gate_verdicts_total", "pipeline, gate, verdict"),
                    "{{gate}} {{verdict}} ({{pipeline}})",
                ),
            ),
        ),
        Panel(
            "stat",
            "Runs That Wait for a Person",
            "人の判断待ち. Interrupted less decided, as each process counted its own.",
            "short",
            (Query('sum by (job, pipeline) (pipeline_escalations_waiting{job=~"$job"})', "{{pipeline}} ({{job}})"),),
        ),
        Panel(
            "timeseries",
            "Checkpoint Bytes",
            "チェックポイント書込量. New bytes per second; what a store has already is not written again.",
            "Bps",
            (
                Query(
                    'sum by (job, store) (rate(checkpoint_bytes_total{job=~"$job"}[$__rate_interval]))',
                    "{{store}} ({{job}})",
                ),
            ),
        ),
        Panel(
            "timeseries",
            "Checkpoint Latency (P95)",
            "チェックポイント保存時間. Of commits, over all instances.",
            "s",
            (Query(quantile(0.95, "checkpoint_duration_seconds", "job, store", 'job=~"$job"'), "{{store}} ({{job}})"),),
            width=24,
        ),
    ),
)

EXPORTER = Row(
    "Exporter",
    (
        Panel(
            "timeseries",
            "Scrapes",
            "Answers per second, by format and HTTP status.",
            "reqps",
            (
                Query(
                    'sum by (job, format, status) (rate(hagane_exporter_scrapes_total{job=~"$job"}[$__rate_interval]))',
                    "{{format}} {{status}} ({{job}})",
                ),
            ),
            width=6,
        ),
        Panel(
            "timeseries",
            "Size of a Scrape",
            "The largest last answer of any instance, as sent.",
            "bytes",
            (Query('max by (job, format) (hagane_exporter_scrape_size_bytes{job=~"$job"})', "{{format}} ({{job}})"),),
            width=6,
        ),
        Panel(
            "timeseries",
            "Series",
            "Series shown by the last scrape, all instances together.",
            "short",
            (Query('sum by (job) (hagane_exporter_series{job=~"$job"})', "{{job}}"),),
            width=6,
        ),
        Panel(
            "stat",
            "Dropped in the Past Hour",
            "Uses of label sets beyond a metric's limit of series. More than 0 means a label with too many values.",
            "short",
            (Query('sum by (job) (increase(hagane_exporter_dropped_total{job=~"$job"}[1h]))', "{{job}}"),),
            width=6,
            limit=1,
        ),
    ),
)

ROWS = (AGENTS, LLM, RELIABILITY, EXPORTER)
