"""Changing modules of other packages while they are in use, and putting everything back."""

from __future__ import annotations

from hagane._patching.imports import AfterImport
from hagane._patching.replacements import MISSING, Replacements

__all__ = ["MISSING", "AfterImport", "Replacements"]
