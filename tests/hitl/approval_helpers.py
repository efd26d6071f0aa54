"""Managers, requests, and tasks that wait for answers."""

from __future__ import annotations

import asyncio

from hagane.core.model import utc_now
from hagane.hitl import ApprovalManager, ApprovalRequest, HITLConfig


def request(action="deploy", **fields):
    return ApprovalRequest(action=action, reason="r", **fields)


async def settle():
    """Let every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


def manager_of(clock=utc_now, callback=None, *, chain=(), channels=None, **config):
    return ApprovalManager(HITLConfig(**config), callback, escalation_chain=chain, channels=channels, clock=clock)


async def begun(manager, *requests, **options):
    """Ask for approvals in tasks of their own, and wait until they wait."""
    tasks = [asyncio.ensure_future(manager.request_approval(each, **options)) for each in requests]
    await settle()
    return tasks
