"""What is known of texts is kept by content, for one measure with one set of parameters, and outlives a kill."""

from __future__ import annotations

import polars as pl
import pytest

from curate import measuring, registry
from curate.errors import CurateError
from curate.keys import text_digests
from curate.measure import measures
from curate.measuring import cache_of, measure_key, measured_texts
from curate.store import Store
from curate.watch import Watch

calls: list[list[str]] = []


def named_by(*, unit: str, fails_at: str) -> str:
    return f"counts {unit}" if not fails_at else f"counts {unit} until {fails_at}"


@measures(schema={"length": pl.UInt32()}, revision=named_by, batch=3, own_threads=True)
def length(texts: list[str], *, unit: str = "characters", fails_at: str = "") -> pl.DataFrame:
    """How long a text is."""
    calls.append(list(texts))
    if fails_at and fails_at in texts:
        raise CurateError(f"{fails_at!r} cannot be measured", next="leave it out")
    counts = [len(text.split()) if unit == "words" else len(text) for text in texts]
    return pl.DataFrame({"length": pl.Series(counts, dtype=pl.UInt32)})


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A function of texts and parameters that answers with their lengths, and forgets the calls before."""
    monkeypatch.setattr(registry, "get", lambda _kind, _name: length)

    def lengths(texts, run="one", **parameters):
        calls.clear()
        given = {"unit": "characters", "fails_at": "", **parameters}
        blocks = (pl.Series(texts[begin : begin + 4], dtype=pl.String) for begin in range(0, len(texts), 4))
        found = measured_texts(length, given, blocks, Store(tmp_path / run), Watch(), total=len(texts), workers=2)
        frame = pl.concat([pl.DataFrame(schema={"length": pl.UInt32, "place": pl.UInt32}), *found])
        assert frame["place"].sort().to_list() == list(range(len(texts)))
        return frame.sort("place")["length"].to_list()

    return lengths


def test_each_text_has_its_row_in_order_and_equal_texts_are_measured_once(measured):
    assert measured(["bb", "a", "bb", "cccc", "a", ""]) == [2, 1, 2, 4, 1, 0]
    assert calls == [["bb", "a", "cccc"], [""]]


def test_a_batch_is_no_larger_than_the_measure_asks_for(measured):
    assert measured([str(number) * number for number in range(1, 8)]) == [1, 2, 3, 4, 5, 6, 7]
    assert [len(call) for call in calls] == [3, 3, 1]


def test_another_run_beside_it_measures_only_what_is_new(measured):
    measured(["a", "bb"])
    assert measured(["ccc", "bb", "a"], run="another") == [3, 2, 1]
    assert calls == [["ccc"]]


def test_of_a_large_cache_only_what_is_asked_for_is_read(measured, monkeypatch):
    texts = [f"text {number}" for number in range(3_000)]
    measured(texts)
    monkeypatch.setattr(measuring, "_ROWS", 30)
    read, collect = [], pl.LazyFrame.collect

    def counted(frame, **options):
        made = collect(frame, **options)
        if "length" in made.columns:
            read.append(made.height)
        return made

    monkeypatch.setattr(pl.LazyFrame, "collect", counted)
    assert measured(["text 2999", "text 7", "text 2999"]) == [9, 6, 9]
    assert sum(read) == 2
    assert not calls
    read.clear()
    assert measured(texts) == [len(text) for text in texts]
    assert max(read) <= 30


def test_what_is_known_is_not_read_before_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "get", lambda _kind, _name: length)
    read: list[int] = []
    known = measuring._known_texts
    monkeypatch.setattr(
        measuring, "_known_texts", lambda *given: (read.append(1) or each for each in known(*given))
    )
    parameters = {"unit": "characters", "fails_at": ""}
    found = measured_texts(length, parameters, [["a"], ["b"]], Store(tmp_path), Watch(), total=2, workers=1)
    assert read == []
    assert len(list(found)) == len(read) == 1


def test_of_a_text_that_two_batches_have_the_first_counts(measured, tmp_path):
    measured(["a", "bb", "ccc"])
    folder = cache_of(Store(tmp_path / "one"), length, {"unit": "characters", "fails_at": ""})
    (first,) = folder.glob("batch-*.parquet")
    pl.read_parquet(first).with_columns(length=pl.lit(99, pl.UInt32)).write_parquet(folder / "batch-z.parquet")
    assert measured(["ccc", "a"]) == [3, 1]


def test_no_text_has_no_row_and_is_no_call(measured):
    assert measured([]) == []
    assert not calls


def test_other_parameters_are_another_cache(measured):
    assert measured(["two words"]) == [9]
    assert measured(["two words"], unit="words") == [2]
    assert measured(["two words"]) == [9]
    assert not calls


def test_batches_that_are_done_outlive_a_failure(measured, tmp_path):
    texts = ["a", "b", "c", "d", "e", "f", "broken"]
    with pytest.raises(CurateError, match="'broken' cannot be measured"):
        measured(texts, fails_at="broken")
    assert len(calls) == 3
    with pytest.raises(CurateError):
        measured(texts, fails_at="broken")
    assert calls == [["broken"]]
    known = cache_of(Store(tmp_path / "one"), length, {"unit": "characters", "fails_at": "broken"})
    kept = pl.concat([pl.read_parquet(file) for file in sorted(known.glob("*.parquet"))])
    assert set(kept["text"]) == set(text_digests(texts[:6]))


def test_the_revision_may_be_a_function_of_the_parameters_and_is_in_the_key():
    keys = {
        measure_key(length, parameters)
        for parameters in (
            {"unit": "characters", "fails_at": ""},
            {"unit": "words", "fails_at": ""},
            {"unit": "words", "fails_at": "x"},
        )
    }
    assert len(keys) == 3
    assert length.revised({"unit": "words", "fails_at": ""}) == "counts words"
