"""LangGraph's own suite for checkpoint savers, over each store."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from store_helpers import Opener

conformance = pytest.importorskip("langgraph.checkpoint.conformance")


async def test_a_store_passes_langgraphs_suite(make_store: Opener) -> None:
    from langgraph.checkpoint.conformance.capabilities import Capability
    from langgraph_adapter import STATES, WRITES, StoreSaver

    store = make_store()

    @conformance.checkpointer_test(name="hagane")
    async def saver() -> AsyncGenerator[StoreSaver, None]:
        yield StoreSaver(store)
        # The next suite finds nothing of this one.
        for collection in (STATES, WRITES):
            store.remove(collection)

    report = await conformance.validate(saver)
    failed = [failure for result in report.results.values() for failure in result.failures]
    assert failed == []
    passed = {name: result.tests_passed for name, result in report.results.items()}
    assert set(passed) == {capability.value for capability in Capability}
    assert min(passed.values()) > 0, passed
    assert sum(passed.values()) > 60
    # Everything was removed, and with it every part.
    store.prune(at=0)
    assert (store.usage().documents, store.usage().blobs) == (0, 0)
