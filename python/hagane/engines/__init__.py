"""Pipelines of agents with validation, quality gates, rollback and resumable runs."""

from __future__ import annotations

from hagane.engines.config import EngineConfig, HITLEngineConfig, StageConfig
from hagane.engines.environment import Environment
from hagane.engines.pipeline import PipelineEngine
from hagane.engines.resilient import ResilientPipelineEngine

__all__ = [
    "EngineConfig",
    "Environment",
    "HITLEngineConfig",
    "PipelineEngine",
    "ResilientPipelineEngine",
    "StageConfig",
]
