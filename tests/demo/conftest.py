"""What the tests of the demonstration share."""

from __future__ import annotations

from pathlib import Path

import pytest
from demo_command import Demo


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)
