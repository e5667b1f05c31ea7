import re

import numpy as np
import polars as pl
import pytest

from curate.metrics import Prepared, Sample, metrics
from curate.metrics.prepared import _all
from curate.report.evidence import quantiles


@pytest.mark.parametrize("each", _all(), ids=lambda each: each.info.name)
def test_a_metric_says_what_it_is(each):
    info = each.info
    assert info.title
    assert info.formula
    assert info.source
    assert info.summary.endswith((".", ";")) or ";" in info.summary
    assert info.source.startswith("ours") or re.search(r"\d{4}", info.source), "a source has a year or a number"


def test_names_are_of_one_metric_each():
    names = [info.name for info in metrics()]
    assert len(names) == len(set(names))
    assert {info.kind for info in metrics()} == {"diversity", "quality", "style", "length"}


def test_metrics_without_vectors_need_none():
    assert {info.needs for info in metrics(vectors=False)} == {"text"}


def test_the_order_of_rows_changes_no_value(many):
    places = np.arange(0, 400, 3)
    shuffled = np.random.default_rng(4).permutation(400)
    back = np.argsort(shuffled)
    other = Sample(many.rows[shuffled], many.vectors[shuffled])
    assert Prepared(other, seed=13).values(back[places][::-1]) == Prepared(many, seed=13).values(places)


def test_of_no_rows_nothing_is_told(many):
    values = Prepared(many, seed=13).values([])
    assert set(values.values()) == {None}


def test_a_pool_without_rows_tells_nothing(described):
    assert set(described([], vectors=np.zeros((0, 3))).values()) == {None}


def test_of_one_row_what_needs_two_is_not_told(many):
    values = Prepared(many, seed=13).values([60])
    assert values["nearest_distance"] is None
    assert values["vendi"] == 1
    assert values["verb_distinct"] == 1


def test_rows_without_responses_are_told_by_their_prompts(described):
    values = described(["Write a story.", "List three cities."], [None, None])
    told = {name for name, value in values.items() if value is not None}
    assert values["unanswered"] == 1
    assert values["verb_parsed"] == 1
    assert not {name for name in told if name.startswith("response")}
    assert values["lists"] is None


def test_a_single_word_of_nothing_breaks_nothing(described):
    values = described(["", " ", "\n\n", "\x00"], ["", "!!!", "\u200b", "😀"])
    assert values["response_distinct_1"] is None
    assert values["response_chars_median"] is not None


def test_values_are_finite(many):
    values = Prepared(many, seed=13).values(range(400))
    assert all(value is None or np.isfinite(value) for value in values.values())


def test_another_seed_changes_only_what_goes_by_chance(many):
    one, other = (Prepared(many, seed=seed).values(range(0, 400, 3)) for seed in (1, 2))
    changed = {name for name in one if one[name] != other[name]}
    assert changed <= {
        *("prompt_compression", "response_compression", "beginning_compression"),
        *("cluster_coverage", "cluster_evenness", "outliers"),
    }


def test_lengths_are_those_of_brute_force(many):
    lengths = sorted(len(text) for text in many.rows["response"] if text is not None)
    values = Prepared(many, seed=13).values(range(400))
    assert values["response_chars_median"] == lengths[len(lengths) // 2]
    assert values["response_chars_p95"] == lengths[(95 * (len(lengths) - 1) + 50) // 100]


@pytest.mark.parametrize("rows", [1, 2, 3, 11, 20, 40])
def test_lengths_are_those_of_the_reports_own_tables(described, rows):
    texts = ["x " * (3 * number) for number in range(rows)]
    found, told = described(texts), quantiles(pl.Series([len(text) for text in texts]))
    for field in ("prompt", "response"):
        assert (found[f"{field}_chars_median"], found[f"{field}_chars_p95"]) == (told["median"], told["p95"])
        assert found[f"{field}_words_median"] == told["median"] / 2


def test_rows_and_vectors_of_other_numbers_are_refused(many):
    with pytest.raises(ValueError, match="400 rows"):
        Prepared(Sample(many.rows, many.vectors[:3]), seed=1)


def test_a_missing_column_is_named(many):
    with pytest.raises(ValueError, match="category"):
        Prepared(Sample(many.rows.drop("category")), seed=1)


def test_metrics_need_no_heavy_package():
    import subprocess
    import sys

    program = (
        "import sys, curate.metrics as m; m.metrics(); "
        "print({'torch', 'numba', 'scipy', 'sklearn', 'transformers'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_columns_are_taken_by_name(many):
    other = Sample(many.rows.select(pl.all().reverse().reverse()).select(sorted(many.rows.columns)))
    assert Prepared(other, seed=13).values([1, 2]) == Prepared(Sample(many.rows), seed=13).values([1, 2])


def test_of_any_size_are_the_metrics_that_may_be_compared_between_sizes(many):
    pool = Prepared(many, seed=13)
    some, every = pool.values(range(50), of_any_size=True), pool.values(range(50))
    assert some == {info.name: every[info.name] for info in pool.infos() if not info.equal_size}
    assert "vendi" not in some
    assert "lists" in some
