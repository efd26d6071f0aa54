"""An application to watch: two agents that answer tickets, again and again, and GET /metrics.

Four tickets are worked on at once, but only two agents run at a time; the others wait, which is the queue depth.
Without --llm a function stands for the model. With --llm URL --model NAME a server of the OpenAI protocol is asked: by
hagane's own client, and, where the package openai is installed, as a stream by the openai SDK, which is instrumented.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from hagane.agents.llm import LanguageModel, OpenAICompatible, as_llm
from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.observability import serve_metrics
from hagane.rollback import MemoryStore

TICKETS = ("My parcel has not arrived.", "The invoice names the wrong firm.", "パスワードを忘れました。")
Ask = Callable[[str], Awaitable[str]]


class Classify:
    """Names the kind of a ticket."""

    name = "classify"

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    async def run(self, inputs: dict[str, Any]) -> dict[str, str]:
        question = f"Name the kind of this ticket in one word: {inputs['ticket']}"
        return {"kind": (await self.model.complete([{"role": "user", "content": question}])).text}


class Answer:
    """Writes the answer."""

    name = "answer"

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    async def run(self, inputs: dict[str, Any]) -> dict[str, str]:
        kind = inputs["classify_result"]["kind"]
        return {"answer": await self.ask(f"Answer this ticket of the kind {kind}: {inputs['ticket']}")}


async def stand_in(messages: Any) -> dict[str, Any]:
    """What goes for a model where there is none; it knows its own tokens: words."""
    await asyncio.sleep(0.1)
    text = "delivery" if "one word" in messages[-1]["content"] else "We are sorry, and look into it at once."
    return {"content": text, "usage": {"input_tokens": len(messages[-1]["content"].split()), "output_tokens": 8}}


def models(url: str | None, name: str) -> tuple[LanguageModel, Ask]:
    """The model of `Classify` and the way in which `Answer` asks."""
    model = OpenAICompatible(url, name, os.environ.get("OPENAI_API_KEY")) if url else as_llm(stand_in)

    async def ask(question: str) -> str:
        return (await model.complete([{"role": "user", "content": question}])).text

    return model, (streamed(url, name) if url else None) or ask


def streamed(url: str, name: str) -> Ask | None:
    """Asks by the openai SDK and reads the answer as a stream; None where it is not installed."""
    try:
        import openai
    except ImportError:
        return None
    from hagane.observability.llm import instrument_llm

    instrument_llm()
    client = openai.AsyncOpenAI(base_url=url, api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=0)

    async def ask(question: str) -> str:
        messages: Any = [{"role": "user", "content": question}]
        stream = await client.chat.completions.create(model=name, messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    return ask


def engine_of(model: LanguageModel, ask: Ask) -> PipelineEngine:
    stages = [StageConfig("classify", agent=Classify(model)), StageConfig("answer", agent=Answer(ask))]
    config = EngineConfig(name="tickets", max_retries=0, max_concurrent_agents=2)
    return PipelineEngine(stages, config=config, checkpoint_store=MemoryStore())


async def work(engine: PipelineEngine, desk: str, tickets: Iterator[str], pause: float) -> None:
    """Answer one ticket after the other; a desk is a thread, of which the store keeps the latest checkpoints.

    A run that fails is a result like any other: the metrics tell of it.
    """
    for ticket in tickets:
        await engine.run({"ticket": ticket}, desk)
        await asyncio.sleep(pause)


async def serve(options: argparse.Namespace) -> None:
    if options.price:
        from hagane.observability.llm import set_prices

        set_prices({"*": {"input": options.price, "output": options.price, "currency": "USD"}})
    engine = engine_of(*models(options.llm, options.model))
    tickets = itertools.cycle(TICKETS)
    with serve_metrics(options.port, options.host) as server:
        print(f"metrics: {server.url}", flush=True)
        await asyncio.gather(*(work(engine, f"desk-{number}", tickets, options.pause) for number in range(4)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9464, help="0 for a free one (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between tickets (default: %(default)s)")
    parser.add_argument("--llm", metavar="URL", help="base URL of a server of the OpenAI protocol")
    parser.add_argument("--model", metavar="NAME", default="default")
    parser.add_argument("--price", type=float, metavar="USD", help="of a million tokens, for the cost panel")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
