from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def fuzz(tmp_path):
    """Feeds a reader with damaged inputs; see :class:`harness.Fuzz`."""
    pytest.importorskip("resource")  # limits of time and memory are the system's; Windows has none of this kind
    from harness import Fuzz

    return Fuzz(tmp_path)
