"""Pipelines of agents with validation, quality gates, rollback and resumable runs."""

from __future__ import annotations

from hagane.engines.base import BaseEngine
from hagane.engines.config import EngineConfig, HITLEngineConfig, Quorum, StageConfig, quorum
from hagane.engines.effects import StageContext, current_stage
from hagane.engines.environment import Environment
from hagane.engines.pipeline_engine import PipelineEngine
from hagane.engines.resilient import ResilientPipelineEngine

__all__ = [
    "BaseEngine",
    "EngineConfig",
    "Environment",
    "HITLEngineConfig",
    "PipelineEngine",
    "Quorum",
    "ResilientPipelineEngine",
    "StageConfig",
    "StageContext",
    "current_stage",
    "quorum",
]
