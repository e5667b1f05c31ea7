"""The plug-ins that CONTRIBUTING shows do what it says."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

import curate
from curate import registry

CONTRIBUTING = Path(__file__).parent.parent / "CONTRIBUTING.md"


pytestmark = pytest.mark.skipif(not CONTRIBUTING.exists(), reason="CONTRIBUTING.md is not beside the tests")


@pytest.fixture
def shown(tmp_path):
    """Run a pipeline with the plug-in that CONTRIBUTING shows under a decorator, below a head of imports."""

    def run(decorator, name, head, pipeline, **files):
        (code,) = re.findall(rf"```python\n({decorator}.*?)```", CONTRIBUTING.read_text("utf-8"), re.DOTALL)
        (tmp_path / "plug").mkdir()
        (tmp_path / "plug" / f"{name}.py").write_text(
            f'"""Shown."""\nfrom __future__ import annotations\n{head}\n{code}'
        )
        for file, text in files.items():
            (tmp_path / file.replace("_", ".")).write_text(text)
        (tmp_path / "p.toml").write_text(pipeline)
        return curate.run(tmp_path / "p.toml", plugins=[tmp_path / "plug"], runs=tmp_path / "runs")

    yield run
    registry.use_folders([])


def test_the_shown_source_reads_and_balances(shown):
    head = (
        "from collections.abc import Iterator\nfrom pathlib import Path\n"
        "from curate.api import Intake, Part, reads, records\n"
    )
    pipeline = 'name = "p"\n[[source]]\nuse = "lines"\npath = "a.txt"\n'
    run = shown("@reads", "lines", head, pipeline, a_txt="one\n\ntwo\n")
    assert run.records.select("prompt").collect()["prompt"].sort().to_list() == ["one", "two"]
    (intake,) = run.table("intake").collect().to_dicts()
    assert (intake["native"], intake["used"], intake["passed_over"]) == (
        4,
        2,
        [{"cause": "empty line", "rows": 2}],
    )
    # Prompts alone reach no training set; the ledger says so of each.
    assert run.ledger.select(pl.col("state").unique()).collect().item() == "not drawn"


def test_the_shown_dedup_method_finds_and_also_compares_with_another_set(shown):
    head = "from collections import defaultdict\nimport numpy as np\nfrom curate.api import Index, Texts, finds\n"
    prompts = ["one", "two", "three", "fife", "seven"]
    rows = "".join(f'{{"prompt": "{word}", "response": "r"}}\n' for word in prompts)
    pipeline = (
        'name = "p"\n[[source]]\nuse = "jsonl"\npath = "a.jsonl"\nlicense = "CC0-1.0"\n'
        '[[dedup]]\nuse = "same_length"\non = "prompt"\nkeep = ["native_order"]\n'
        '[[dedup]]\nuse = "same_length"\nagainst = "asked.txt"\n'
    )
    run = shown("@finds", "same_length", head, pipeline, a_jsonl=rows, asked_txt="four\n")
    ends = run.records.join(run.ledger, on="id").collect().sort("position")
    assert ends["state"].to_list() == ["kept", "duplicate", "kept", "contaminated", "duplicate"]


def test_the_shown_order_decides_who_is_drawn(shown):
    head = "import polars as pl\nfrom curate.api import Candidates, ranks\n"
    authors = ["Ann", "Bob", "Ann", "Ann", "Cyd", "Bob"]
    rows = "".join(
        f'{{"id": "{n}", "prompt": "{n}", "response": "r", "author": "{author}"}}\n'
        for n, author in enumerate(authors)
    )
    pipeline = (
        'name = "p"\n[[source]]\nuse = "jsonl"\npath = "a.jsonl"\nlicense = "CC0-1.0"\n'
        '[[select.quota]]\nfrom = "jsonl"\ntake = 3\nprefer = "least_used"\n'
    )
    run = shown("@ranks", "least_used", head, pipeline, a_jsonl=rows)
    assert run.split()["id"].to_list() == ["jsonl:4", "jsonl:1", "jsonl:5"]
