"""Checkpoints in memory, going back to them, and operations that are tried again from one."""

from __future__ import annotations

import threading

import pytest

from hagane.core import Checkpoint, CheckpointStatus, RollbackManager, RollbackRetryConfig

NO_WAITS = {"delay_seconds": 0.0}


@pytest.fixture
def manager():
    return RollbackManager(retry_config=RollbackRetryConfig(**NO_WAITS))


async def checkpoints(manager, *values):
    return [await manager.create_checkpoint({"v": value}, description=f"v{value}") for value in values]


async def test_going_back_restores_the_state_and_marks_what_came_after(manager):
    first, second, third = await checkpoints(manager, 1, 2, 3)
    result = await manager.rollback(first)
    assert (result.success, result.checkpoint_id, result.restored_state) == (True, first, {"v": 1})
    assert result.rolled_back_steps == 2
    assert [each.status for each in manager.get_checkpoint_chain()] == ["active", "rolled_back", "rolled_back"]
    assert manager.get_stats() == {
        "total_checkpoints": 3,
        "max_checkpoints": 50,
        "current_checkpoint_id": first,
        "status_counts": {"active": 1, "committed": 0, "rolled_back": 2, "expired": 0},
    }
    assert (await manager.rollback(third)).success is False
    assert manager.get_checkpoint(second).parent_id == first


async def test_b1_one_step_back_from_the_only_checkpoint_is_refused(manager):
    for count in (0, 1):
        result = await manager.rollback(steps=1)
        assert (result.success, result.checkpoint_id) == (False, "")
        assert "not 1 checkpoints before the current one" in result.message
        await checkpoints(manager, count)


async def test_b2_steps_count_from_where_a_rollback_went(manager):
    first, second, _, _ = await checkpoints(manager, 1, 2, 3, 4)
    assert (await manager.rollback(second)).success
    result = await manager.rollback(steps=1)
    assert (result.success, result.checkpoint_id, result.restored_state) == (True, first, {"v": 1})
    (fifth,) = await checkpoints(manager, 5)
    assert manager.get_checkpoint(fifth).parent_id == first
    assert (await manager.rollback(steps=1)).checkpoint_id == first


async def test_b3_the_current_checkpoint_is_never_evicted(caplog):
    manager = RollbackManager(max_checkpoints=2)
    first, *_ = await checkpoints(manager, 1, 2)
    await manager.rollback(first)
    (third,) = await checkpoints(manager, 3)
    # The one that was rolled back went, not the one that the third is built on.
    assert [each.id for each in manager.get_checkpoint_chain()] == [first, third]
    assert caplog.records == []
    await checkpoints(manager, 4)
    assert f"active checkpoint {first} (v1) went" in caplog.text
    result = await manager.rollback(first)
    assert (result.success, "more than max_checkpoints" in result.message) == (False, True)


async def test_steps_go_on_past_a_checkpoint_that_was_evicted():
    manager = RollbackManager(max_checkpoints=2)
    await checkpoints(manager, 1, 2, 3)
    assert (await manager.rollback(steps=1)).restored_state == {"v": 2}
    assert (await manager.rollback(steps=1)).success is False


async def test_b8_a_lock_in_the_state_does_not_matter(manager):
    lock = threading.Lock()
    checkpoint = await manager.create_checkpoint({"lock": lock, "items": [1]})
    restored = (await manager.rollback(checkpoint)).restored_state
    assert (restored["lock"] is lock, restored["items"]) == (True, [1])


async def test_b11_a_snapshot_cannot_be_changed_through_get_checkpoint(manager):
    checkpoint = await manager.create_checkpoint({"items": [1]}, metadata={"by": "me"})
    for each in (manager.get_checkpoint(checkpoint), manager.get_checkpoint_chain()[0]):
        each.state["items"].append(2)
        each.metadata["by"] = "you"
        each.status = CheckpointStatus.EXPIRED
    kept = manager.get_checkpoint(checkpoint)
    assert (kept.state, kept.metadata, kept.status) == ({"items": [1]}, {"by": "me"}, CheckpointStatus.ACTIVE)


async def test_what_is_committed_cannot_be_returned_to(manager):
    first, _ = await checkpoints(manager, 1, 2)
    assert await manager.commit(first)
    assert await manager.commit()
    assert not await manager.commit("unknown")
    result = await manager.rollback(first)
    assert (result.success, "is committed" in result.message) == (False, True)
    assert not await RollbackManager().commit()


async def test_a_protected_execution_is_committed(manager):
    given = {"items": [1]}
    async with manager.protected_execution(given) as protected:
        protected.state["items"].append(2)
        protected.update_state({"more": True})
    assert (protected.state, given) == ({"items": [1, 2], "more": True}, {"items": [1]})
    assert manager.get_checkpoint(protected.checkpoint_id).status is CheckpointStatus.COMMITTED


async def test_a_protected_execution_that_raises_is_undone(manager):
    async def work():
        async with manager.protected_execution({"items": [1]}):
            await checkpoints(manager, 1)
            raise ValueError("down")

    with pytest.raises(ValueError, match="down"):
        await work()
    assert [each.status for each in manager.get_checkpoint_chain()] == ["active", "rolled_back"]


async def test_without_cleanup_everything_stays():
    manager = RollbackManager(max_checkpoints=1, auto_cleanup=False)
    await checkpoints(manager, 1, 2, 3)
    assert len(manager.get_checkpoint_chain()) == 3


async def test_numbers_that_make_no_sense_are_refused(manager):
    with pytest.raises(ValueError, match="max_checkpoints is 0"):
        RollbackManager(max_checkpoints=0)
    with pytest.raises(ValueError, match="delay_seconds is -1"):
        RollbackRetryConfig(delay_seconds=-1)
    with pytest.raises(ValueError, match="steps is -1"):
        await manager.rollback(steps=-1)


def test_a_checkpoint_as_a_dictionary():
    checkpoint = Checkpoint(id="c", state={"v": 1}, description="first")
    assert checkpoint.to_dict() == {
        "id": "c",
        "state": {"v": 1},
        "metadata": {},
        "parent_id": None,
        "status": "active",
        "created_at": checkpoint.created_at.isoformat(),
        "description": "first",
    }
