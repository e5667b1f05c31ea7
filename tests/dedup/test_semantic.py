"""The walk over known pairs, and passes on vectors from the pipeline to the table."""

from __future__ import annotations

import json

import numpy as np
import pytest

import curate
from curate.dedup import finds
from curate.dedup.neighbours import CAP
from curate.dedup.semantic import Joined, semantic
from curate.dedup.walk import batches
from curate.errors import PipelineError, PluginError

pytest.importorskip("torch", reason='needs pip install "curate-sft[embed]"')


def joined(pairs, count, threshold=0.9, floor=0.8):
    left, right, similarity = (np.array(column) for column in zip(*pairs, strict=True))
    return Joined(left, right, similarity, count=count, threshold=threshold, floor=floor, note="how")


def kept(index, count):
    stay = set(range(count))
    for batch in batches([index], np.ones(count, np.int64)):
        for row in batch:
            if index.matches(row):
                stay.discard(row)
            else:
                index.keep(row)
    return sorted(stay)


def test_a_row_joins_the_first_kept_one_and_a_chain_does_not_drag_its_end_along():
    chain = [(0, 1, 0.95), (1, 2, 0.95), (2, 3, 0.85)]
    assert kept(joined(chain, 5), 5) == [0, 2, 3, 4]
    assert kept(joined(chain, 5, threshold=0.8), 5) == [0, 2, 4]
    assert kept(joined([(b, a, s) for a, b, s in chain[::-1]], 5), 5) == [0, 2, 3, 4]


def test_rows_whose_neighbours_were_not_all_kept_are_counted_where_they_join_none():
    # Row CAP + 1 knows of CAP rows before it, all of which join row 0, and of row 0 itself nothing.
    pairs = [(0, row, 0.95) for row in range(1, CAP + 1)]
    pairs += [(row, CAP + 1, 0.95) for row in range(1, CAP + 1)]
    index = joined(pairs, CAP + 2)
    assert kept(index, CAP + 2) == [0, CAP + 1]
    assert index.note == "how; 1 rows with more neighbours than were kept of them joined none, and stay"


@pytest.mark.parametrize("threshold", [0.0, 1.1, float("nan")])
def test_a_threshold_that_is_none_is_refused(threshold):
    with pytest.raises(PipelineError, match="cannot be a threshold"):
        semantic.function(np.ones((2, 2), np.float32), threshold=threshold)


def test_a_threshold_below_the_floor_is_refused():
    with pytest.raises(PipelineError, match=r"pairs are known from 0\.8 on, and the threshold is 0\.7"):
        semantic(np.ones((2, 2), np.float32), threshold=0.7)


def test_a_method_on_vectors_has_a_floor_and_a_threshold():
    def near(texts, *, threshold: float = 0.9):
        """Near vectors."""

    with pytest.raises(PluginError, match="has no parameter 'floor'"):
        finds(measure="embedding")(near)


PIPELINE = """
name = "s"
[[source]]
use = "jsonl"
path = "rows.jsonl"
license = "CC0-1.0"
[[dedup]]
use = "semantic"
on = "prompt"
threshold = {threshold}
keep = ["native_order"]
{more}
"""


def run(folder, threshold=0.99, more=""):
    (folder / "s.toml").write_text(PIPELINE.format(threshold=threshold, more=more))
    return curate.run(folder / "s.toml", runs=folder / "runs")


def write(folder, angles):
    rows = [{"prompt": f"turn by {angle}", "response": f"r {n}"} for n, angle in enumerate(angles)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def dropped(made):
    drops = made.table("duplicates").collect()
    records = made.records.select("id", "prompt").collect()
    return sorted(drops.join(records, on="id")["prompt"])


def test_another_threshold_computes_nothing_again(tmp_path, embedded):
    write(tmp_path, [0, 5, 20, 90])
    first = run(tmp_path)
    assert dropped(first) == ["turn by 5"]
    assert "all 6 pairs" in first.table("passes").collect()["note"].item()
    assert sorted(set(embedded)) == ["turn by 0", "turn by 20", "turn by 5", "turn by 90"]
    embedded.clear()
    again = run(tmp_path, 0.9)
    assert dropped(again) == ["turn by 20", "turn by 5"]
    assert embedded == []
    assert again.manifest["parts"]["neighbours_prompt"]["made"] == 0
    pairs = first.table("neighbours_prompt").collect()
    assert sorted(pairs["similarity"].round(3)) == [0.94, 0.966, 0.996]


def test_texts_that_were_cut_are_counted_in_the_note(tmp_path, embedded):
    write(tmp_path, [0, 5])
    rows = (tmp_path / "rows.jsonl").read_text().replace("turn by 5", "long 5")
    (tmp_path / "rows.jsonl").write_text(rows)
    note = run(tmp_path).table("passes").collect()["note"].item()
    assert "1 texts were longer than the model's window" in note
    assert embedded


@pytest.mark.usefixtures("embedded")
def test_another_set_is_compared_by_meaning(tmp_path):
    write(tmp_path, [0, 5, 50])
    (tmp_path / "asked.txt").write_text("turn by 52\n")
    made = run(tmp_path, 0.99, '[[dedup]]\nuse = "semantic"\nthreshold = 0.99\nagainst = "asked.txt"')
    found = made.table("contamination").collect()
    assert found["text"].to_list() == ["turn by 52"]
    assert found["similarity"].item() == pytest.approx(np.cos(np.deg2rad(2)))
    assert dropped(made) == ["turn by 5"]
