"""Prices are the program's own; the arithmetic is exact and a wrong table is refused whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hagane.observability import get_metrics
from hagane.observability.llm import Price, set_prices
from hagane.observability.llm.prices import cost_of
from hagane.observability.llm.usage import Tokens, estimate, text_bytes


@pytest.fixture(autouse=True)
def no_prices() -> Iterator[None]:
    yield
    set_prices({})


def test_the_sum_of_all_kinds_of_tokens():
    price = Price(10, 30, cached_input=1, cache_write=12.5)
    tokens = Tokens(1_000_000, 100_000, cached=600_000, cache_write=100_000)
    assert price.of(tokens) == pytest.approx(0.3 * 10 + 0.6 * 1 + 0.1 * 12.5 + 0.1 * 30)


def test_the_nearest_name_wins():
    set_prices(
        {
            "m-1": Price(1, 0),
            "p/m-1": Price(2, 0),
            "m-*": Price(3, 0),
            "p/*": {"input": 4, "output": 0},
            "*": Price(5, 0),
        }
    )
    names = [("p", "m-1"), ("q", "m-1"), ("q", "m-2"), ("p", "x"), ("q", "x")]
    found = [cost_of(provider, model, Tokens(1_000_000, 0)) for provider, model in names]
    assert found == [("USD", 2), ("USD", 1), ("USD", 3), ("USD", 4), ("USD", 5)]


@pytest.mark.parametrize("bad", [{"input": -1, "output": 0}, {"input": 1}, {"input": float("nan"), "output": 1}])
def test_a_bad_table_is_refused_and_the_former_stays(bad):
    set_prices({"m": Price(1, 1)})
    with pytest.raises((ValueError, TypeError)):
        set_prices({"m": Price(9, 9), "n": bad})
    assert cost_of("p", "m", Tokens(1_000_000, 0)) == ("USD", 1)


def test_a_price_without_a_currency_is_refused():
    with pytest.raises(ValueError, match="no currency"):
        Price(1, 1, currency="")


def test_a_priced_model_has_its_cost_at_zero_at_once():
    set_prices({"prov/priced-model": Price(1, 1, currency="JPY")})
    line = 'llm_cost_total{currency="JPY",model="priced-model",provider="prov"} 0'
    assert line in get_metrics().to_prometheus()


def test_a_guess_counts_the_text_of_a_request_and_nothing_else():
    image = {"type": "image_url", "image_url": {"url": "data:" + "x" * 10_000}}
    body = {"model": "long-name", "messages": [{"role": "user", "content": [{"type": "text", "text": "日本"}, image]}]}
    assert text_bytes(body) == 6
    assert [estimate(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
