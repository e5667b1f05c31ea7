"""What the rule on language does where the measure is in doubt."""

import polars as pl
import pytest

from curate import registry
from curate.record import records
from curate.testing import evaluate


def judged(language, confidence, *, by="language", **parameters):
    row = records([{"prompt": "A prompt.", "response": "A text.", "position": 0, "origin": {"position": 0}}])
    row = row.with_columns(
        pl.lit(language, dtype=pl.String).alias(f"measure:{by}:response:language"),
        pl.lit(confidence, dtype=pl.Float64).alias(f"measure:{by}:response:confidence"),
    )
    return evaluate(registry.get("filters", "wrong_language"), row, by=by, **parameters)["rejected"].item()


def test_a_foreign_text_is_rejected_only_where_the_measure_is_sure():
    assert judged("fr", 0.98) == "yes"
    assert judged("fr", 0.97) == "does not apply"
    assert judged("fr", 0.97, sure=0.9) == "yes"


def test_a_doubtful_text_in_the_wanted_language_is_kept_too():
    assert judged("en", 0.99) == "no"
    assert judged("en", 0.4) == "does not apply"


def test_no_language_is_unknown():
    assert judged(None, None) == "unknown"


@pytest.mark.parametrize("by", ["language", "langdetect"])
def test_either_measure_may_be_asked(by):
    assert judged("fr", 0.99, by=by) == "yes"
