"""Fixtures for the whole suite."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no fault of the code: examples are never timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

REAL = os.environ.get("CURATE_REAL_DATA")


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data, or a skip that says why."""
    if not REAL:
        pytest.skip("CURATE_REAL_DATA is not set: no real data at hand")
    return Path(REAL)


@pytest.fixture
def write_jsonl(tmp_path):
    """Write rows as JSON lines into a file of the test's folder."""

    def write(name, rows):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        return file

    return write
