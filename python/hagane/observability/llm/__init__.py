"""Metrics and spans of model calls in programs that are not changed for it: `instrument_llm()` and nothing else.

Counted are requests by status, seconds, tokens as the provider reported them, time to the first token of streams, and
cost by the prices of `set_prices`. Tokens that had to be guessed are a metric of their own.
"""

from __future__ import annotations

from hagane.observability.llm.install import PARTS, InstrumentReport, instrument_llm, uninstrument_llm
from hagane.observability.llm.prices import Price, set_prices

__all__ = ["PARTS", "InstrumentReport", "Price", "instrument_llm", "set_prices", "uninstrument_llm"]
