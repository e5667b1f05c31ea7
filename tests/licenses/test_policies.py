"""What a declared use forbids, and which licence is shown for it."""

from __future__ import annotations

import polars as pl
import pytest
from curate.filters.license_forbids import license_forbids
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import PluginError
from curate.licenses.policies import allowed_licenses, standing
from curate.licenses.terms import TABLE
from curate.record import records
from curate.testing import evaluate

NAMES = st.one_of(
    st.sampled_from(sorted(TABLE)), st.sampled_from(["Foo", "a\nb", "MIT OR CC-BY-NC-4.0"]), st.none()
)


def judged(*rows, **parameters):
    made = records([{"id": str(number), "prompt": "A question?", **row} for number, row in enumerate(rows)])
    return evaluate(license_forbids, made, **parameters).select("rejected", "evidence").rows()


def works(*licenses):
    return {"works": [{"part": "response", "license": license} for license in licenses]}


def test_commercial_allows_what_permits_any_use_and_adapted_works():
    allowed = allowed_licenses("commercial")
    assert {"CC0-1.0", "MIT", "CC-BY-SA-4.0", "ODbL-1.0"} <= set(allowed)
    assert not [id for id in allowed if "NC" in id or "ND" in id or id.startswith("LicenseRef-R")]


def test_share_alike_safe_allows_what_goes_into_the_target():
    assert set(allowed_licenses("share_alike_safe")) - set(allowed_licenses("commercial")) == set()
    own = allowed_licenses("share_alike_safe", target="cc-by-nc-sa-4.0")
    assert {"CC-BY-4.0", "CC-BY-NC-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0"} <= set(own)
    assert not {"CC-BY-SA-4.0", "CC-BY-SA-2.5"} & set(own)


def test_an_unknown_licence_is_unknown_and_can_be_kept_as_such():
    rows = [works(None), works("CC-BY-4.0", None), {}, works("LicenseRef-unknown"), {"license": "unknown"}]
    assert judged(*rows) == [("unknown", None)] * 5


def test_the_strictest_licence_that_forbids_is_shown_and_else_the_use():
    rows = [
        works("CC-BY-NC-4.0", "CC-BY-NC-SA-3.0", "MIT"),
        works("MIT", "cc-by-sa-4.0"),
        works("MIT", "CC-BY-NC-4.0 OR ISC"),
        works(None, "Foo"),
    ]
    assert judged(*rows) == [
        ("yes", "CC-BY-NC-SA-3.0"),
        ("no", "commercial use"),
        ("no", "commercial use"),
        ("yes", "Foo (not known here)"),
    ]
    assert judged(works("MIT"), policy="share_alike_safe") == [("no", "CC-BY-SA-4.0")]


def test_no_name_for_a_licence_passes_for_the_use():
    rows = [works("commercial use"), works("Commercial Use"), works("commercial use (not known here)")]
    assert [rejected for rejected, _ in judged(*rows)] == ["yes"] * 3


def test_what_somebody_vouches_for_is_allowed_also_as_an_expression():
    also = ("LicenseRef-ours", "CC-BY-4.0 AND LicenseRef-OpenAI-terms")
    rows = [works("LicenseRef-ours"), works(also[1]), works("LicenseRef-OpenAI-terms"), works("LicenseRef-other")]
    assert [each[0] for each in judged(*rows, also=also)] == ["no", "no", "yes", "yes"]


@given(st.lists(st.lists(NAMES, max_size=3), min_size=1, max_size=5))
def test_the_rule_and_the_report_judge_alike(rows):
    for policy in ("commercial", "share_alike_safe"):
        allowed = allowed_licenses(policy)
        found = judged(*(works(*row) for row in rows), policy=policy)
        for row, (rejected, _) in zip(rows, found, strict=True):
            split = [each for name in row for each in (name.split("\n") if name else [None])]
            assert (rejected == "no") == standing(split, allowed).allowed


@given(st.lists(NAMES, min_size=1, max_size=3), NAMES)
def test_a_further_work_never_makes_a_record_allowed(licenses, further):
    for policy in ("commercial", "share_alike_safe"):
        allowed = allowed_licenses(policy)
        if not standing(licenses, allowed).allowed:
            assert not standing([*licenses, further], allowed).allowed


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"policy": "comercial"}, "did you mean 'commercial'"),
        ({"policy": "share_alike_safe", "target": "CC-BY-4.0"}, "no share-alike licence"),
        ({"policy": "share_alike_safe", "target": "CC-BY-SA-5.0"}, "CC-BY-SA-4.0"),
    ],
)
def test_a_policy_or_target_that_is_none_is_named(parameters, said):
    with pytest.raises(PluginError) as error:
        license_forbids(**parameters)
    assert said in str(error.value) + str(error.value.next)


def test_equal_records_are_judged_alike_however_many():
    made = records([{"id": "a", "prompt": "p", **works("CC-BY-SA-4.0", "CC-BY-SA-3.0")}])
    many = made.select(pl.all().repeat_by(50_000).explode())
    verdict = license_forbids()
    assert many.select(verdict.evidence.alias("it"))["it"].value_counts().rows() == [("commercial use", 50_000)]
