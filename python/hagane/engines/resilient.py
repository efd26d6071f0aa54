"""A pipeline that goes back on its own when trying again is not enough."""

from __future__ import annotations

from hagane.engines.checks import Policy
from hagane.engines.pipeline import PipelineEngine


class ResilientPipelineEngine(PipelineEngine):
    """`PipelineEngine` that answers a failed validation or an exception with a rollback to the stage before.

    The stage is tried again with feedback first; when that is spent, or the same failure came twice, the stage before
    it runs again with the feedback, at most `max_revisions` times. Only then the run is rejected or failed.
    """

    _policy = Policy(on_error=("retry", "rollback", "fail"), on_invalid=("retry", "rollback", "reject"))
