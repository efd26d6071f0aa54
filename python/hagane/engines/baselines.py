"""Where anomaly detection's baselines rest between runs: beside the runs in the store, one per pipeline and stage."""

from __future__ import annotations

import logging
from typing import Any

from hagane import _core
from hagane.errors import StoreError

__all__ = ["load_baselines", "save_baselines"]

COLLECTION = "anomaly.baseline"

_log = logging.getLogger("hagane.engines")


def load_baselines(store: _core.Store, pipeline: str, stages: list[str], validator: Any) -> None:
    """Give `validator` the stored baselines of stages of which it knows nothing. Damaged ones begin anew."""
    anomalies = getattr(validator, "anomalies", None)
    if anomalies is None:
        return
    for stage in stages:
        if anomalies.knows(stage):
            continue
        try:
            found = store.documents(COLLECTION, pipeline, validator.baseline_key(stage), 1)
            if found:
                anomalies.load(stage, found[0].blob.value())
        except (StoreError, ValueError) as error:
            _log.warning("stage %r of pipeline %r: its baseline begins anew: %s", stage, pipeline, error)


def save_baselines(store: _core.Store, pipeline: str, validator: Any, at: float) -> None:
    """Store what `validator` learned; `at` is seconds since 1970. A failure is logged: the run itself is stored."""
    anomalies = getattr(validator, "anomalies", None)
    if anomalies is None:
        return
    for stage in anomalies.changed():
        blob = _core.Blob(anomalies.dump(stage), "baseline")
        try:
            store.put(COLLECTION, pipeline, validator.baseline_key(stage), blob, at=int(at * 1_000_000))
        except StoreError as error:
            _log.warning("stage %r of pipeline %r: its baseline was not stored: %s", stage, pipeline, error)
