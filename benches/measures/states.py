"""States as pipelines have them: conversations of messages, each of about 600 bytes of words."""

from __future__ import annotations

import random
from typing import Any

WORDS = [
    "".join(random.Random(number).choices("etaoinshrdlucmfwypvbgkjqxz", k=3 + number % 8)) for number in range(4000)
]


def message(number: int) -> dict[str, Any]:
    """One message; the words come from a vocabulary of 4,000, so it compresses about as text does."""
    text = " ".join(random.Random(number).choices(WORDS, k=75))
    return {"id": number, "role": "user" if number % 2 else "assistant", "content": text}


def conversation(size: int) -> list[dict[str, Any]]:
    """Messages of about `size` bytes."""
    return [message(number) for number in range(max(round(size / 600), 1))]
