"""What tokens cost: by prices that the program gives, since any that stood here would soon be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hagane.observability import standard
from hagane.observability.llm.usage import Tokens

__all__ = ["Price", "cost_of", "price_of", "set_prices"]

PER = 1_000_000


@dataclass(frozen=True)
class Price:
    """Prices per million tokens, in whole units of `currency`.

    `cached_input` is for input read from a cache, `cache_write` for input written to one; both default to `input`.
    Raises ValueError for a price that is negative or not finite, or no currency.
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        for value in (self.input, self.output, self.cached_input, self.cache_write):
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"a price of {value!r} per million tokens: use a number from 0 up")
        if not self.currency or not isinstance(self.currency, str):
            raise ValueError(f"{self.currency!r} is no currency; use a name such as 'USD'")

    def of(self, tokens: Tokens) -> float:
        """Return the cost of one call's tokens."""
        given = tokens.input or 0
        plain = max(0, given - tokens.cached - tokens.cache_write)
        cached = self.input if self.cached_input is None else self.cached_input
        written = self.input if self.cache_write is None else self.cache_write
        amount = plain * self.input + tokens.cached * cached + tokens.cache_write * written
        return (amount + (tokens.output or 0) * self.output) / PER


_prices: dict[str, Price] = {}


def set_prices(prices: Mapping[str, Price | Mapping[str, object]]) -> None:
    """Replace the price table, by which `llm_cost_total` is counted from now on.

    Keys are "provider/model" or "model", the first that fits in this order; a "*" at the end stands for any rest, and
    the longest such key wins. Values are `Price` or mappings of its fields. A model without a price has no cost.

    Raises ValueError or TypeError for a price that makes no sense; the former table then stays.
    """
    global _prices
    table = {key: price if isinstance(price, Price) else Price(**price) for key, price in prices.items()}  # type: ignore[arg-type]
    _prices = table
    for key, price in table.items():
        provider, slash, model = key.partition("/")
        if slash and not model.endswith("*"):
            standard.declare_llm_cost(provider, model, price.currency)


def price_of(provider: str, model: str) -> Price | None:
    """Find the price of a model; None if the table has none."""
    table = _prices
    if not table:
        return None
    names = (f"{provider}/{model}", model)
    for name in names:
        if name in table:
            return table[name]
    fitting = [key for key in table if key.endswith("*") and any(name.startswith(key[:-1]) for name in names)]
    return table[max(fitting, key=len)] if fitting else None


def cost_of(provider: str, model: str, tokens: Tokens) -> tuple[str, float] | None:
    """Return (currency, amount) of one call; None without a price."""
    price = price_of(provider, model)
    return None if price is None else (price.currency, price.of(tokens))
