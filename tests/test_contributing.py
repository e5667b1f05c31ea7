"""The source that CONTRIBUTING shows obeys the laws."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

import curate
from curate import registry

CONTRIBUTING = Path(__file__).parent.parent / "CONTRIBUTING.md"


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="CONTRIBUTING.md is not beside the tests")
def test_the_shown_source_reads_and_balances(tmp_path):
    (code,) = re.findall(r"```python\n(@reads.*?)```", CONTRIBUTING.read_text("utf-8"), re.DOTALL)
    head = (
        '"""Lines."""\nfrom collections.abc import Iterator\nfrom pathlib import Path\n'
        "from curate.api import Intake, Part, reads, records\n\n"
    )
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "lines.py").write_text(head + code)
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "p.toml").write_text('name = "p"\n[[source]]\nuse = "lines"\npath = "a.txt"\n')
    run = curate.run(tmp_path / "p.toml", plugins=[tmp_path / "plug"], runs=tmp_path / "runs")
    registry.use_folders([])
    assert run.records.select("prompt").collect()["prompt"].sort().to_list() == ["one", "two"]
    (intake,) = run.table("intake").collect().to_dicts()
    assert (intake["native"], intake["used"], intake["passed_over"]) == (
        4,
        2,
        [{"cause": "empty line", "rows": 2}],
    )
    # Prompts alone reach no training set; the ledger says so of each.
    assert run.ledger.select(pl.col("state").unique()).collect().item() == "not drawn"


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="CONTRIBUTING.md is not beside the tests")
def test_the_shown_dedup_method_finds_and_also_compares_with_another_set(tmp_path):
    (code,) = re.findall(r"```python\n(@finds.*?)```", CONTRIBUTING.read_text("utf-8"), re.DOTALL)
    head = (
        '"""Length."""\nfrom __future__ import annotations\nfrom collections import defaultdict\n'
        "import numpy as np\nfrom curate.api import Index, Texts, finds\n\n"
    )
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "same_length.py").write_text(head + code)
    (tmp_path / "asked.txt").write_text("four\n")
    prompts = ["one", "two", "three", "fife", "seven"]
    (tmp_path / "a.jsonl").write_text("".join(f'{{"prompt": "{word}", "response": "r"}}\n' for word in prompts))
    (tmp_path / "p.toml").write_text(
        'name = "p"\n[[source]]\nuse = "jsonl"\npath = "a.jsonl"\nlicense = "CC0-1.0"\n'
        '[[dedup]]\nuse = "same_length"\non = "prompt"\nkeep = ["native_order"]\n'
        '[[dedup]]\nuse = "same_length"\nagainst = "asked.txt"\n'
    )
    run = curate.run(tmp_path / "p.toml", plugins=[tmp_path / "plug"], runs=tmp_path / "runs")
    registry.use_folders([])
    ends = run.records.join(run.ledger, on="id").collect().sort("position")
    assert ends["state"].to_list() == ["kept", "duplicate", "kept", "contaminated", "duplicate"]
