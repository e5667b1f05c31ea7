"""Fixtures for the whole suite."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from curate import registry
from curate.errors import PluginError

# A busy machine is no fault of the code: examples are never timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Where pages are looked at. One with all its charts takes seconds, and most tests run a pipeline for other things.
DRAWN = ("tests/report", "tests/test_promises.py", "tests/test_notebooks.py", "tests/test_real.py")

REAL = os.environ.get("CURATE_REAL_DATA")


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data, or a skip that says why."""
    if not REAL:
        pytest.skip("CURATE_REAL_DATA is not set: no real data at hand")
    return Path(REAL)


@pytest.fixture(autouse=True, scope="module")
def _no_charts(request):
    """Pages have tables in place of charts, as without Altair, but where they are what is tested."""
    drawn = any(part in request.path.as_posix() for part in DRAWN)

    def refuse(*_, **__):
        raise PluginError("charts are not drawn in this test")

    with pytest.MonkeyPatch.context() as monkeypatch:
        if not drawn:
            monkeypatch.setattr("curate.report.charts.svg", refuse)
        yield


@pytest.fixture
def write_jsonl(tmp_path):
    """Write rows as JSON lines into a file of the test's folder."""

    def write(name, rows):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        return file

    return write


@pytest.fixture
def embedded(monkeypatch):
    """An embedding of two dimensions, whose angle is the number that a text ends with; and what it was asked."""
    measure = registry.get("measures", "embedding")
    before, asked = dict(vars(measure)), []

    def angles(texts, **_parameters):
        asked.extend(texts)
        made = [np.deg2rad(float(text.split()[-1])) for text in texts]
        vectors = [[float(np.cos(angle)), float(np.sin(angle))] for angle in made]
        return pl.DataFrame(
            {"vector": vectors, "tokens": [1] * len(texts), "cut": [text.startswith("long") for text in texts]},
            schema=dict(measure.schema),
        )

    monkeypatch.setattr(type(measure), "resolved", lambda _self, given: dict(given))
    for name, value in {"function": angles, "revision": "angles"}.items():
        object.__setattr__(measure, name, value)
    yield asked
    for name, value in before.items():
        object.__setattr__(measure, name, value)
    registry.use_folders([])
