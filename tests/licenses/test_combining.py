"""What goes into what, and what is said of licences that do not meet."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.licenses.combining import composition, conflicts, goes_into, joined, strictest_terms
from curate.licenses.terms import TABLE

KNOWN = st.sampled_from(sorted(TABLE))

# Creative Commons' chart of adapter's licences: of what is under the first, an adaptation may be under the second
# (https://creativecommons.org/faq/#combining-and-adapting-cc-material).
CHART = {
    "BY": {"BY", "BY-NC", "BY-NC-ND", "BY-NC-SA", "BY-ND", "BY-SA"},
    "BY-NC": {"BY-NC", "BY-NC-ND", "BY-NC-SA"},
    "BY-NC-ND": set(),
    "BY-NC-SA": {"BY-NC-SA"},
    "BY-ND": set(),
    "BY-SA": {"BY-SA"},
}


@pytest.mark.parametrize("elements", CHART)
def test_one_version_of_creative_commons_licences_goes_as_their_chart_says(elements):
    found = {other for other in CHART if goes_into(f"CC-{elements}-4.0", f"CC-{other}-4.0")}
    assert found == CHART[elements]


@pytest.mark.parametrize(
    ("license", "target", "goes"),
    [
        ("CC-BY-SA-2.5", "CC-BY-SA-4.0", True),
        ("CC-BY-SA-3.0", "CC-BY-SA-4.0", True),
        ("CC-BY-SA-4.0", "CC-BY-SA-3.0", False),
        ("CC-BY-NC-SA-2.5", "CC-BY-NC-SA-3.0", True),
        ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", False),
        ("CC-BY-SA-4.0", "GFDL-1.3-only", False),
        ("CC0-1.0", "CC-BY-NC-SA-2.0", True),
        ("MIT", "CC-BY-SA-4.0", True),
        ("MIT", "CC0-1.0", False),
        ("ODbL-1.0", "CC-BY-SA-4.0", False),
        ("LicenseRef-Reddit", "CC-BY-NC-SA-4.0", False),
        ("MIT", "LicenseRef-unknown", False),
        ("Foo", "Foo", False),
    ],
)
def test_what_goes_into_what(license, target, goes):
    assert goes_into(license, target) is goes


@given(KNOWN, KNOWN)
def test_two_licences_conflict_whichever_is_named_first(one, other):
    assert joined(one, other) == joined(other, one)
    sets = {frozenset({one}): 2, frozenset({other}): 3}
    assert bool(conflicts(sets)) == bool(conflicts(dict(reversed(sets.items()))))


@given(KNOWN, KNOWN, KNOWN)
def test_a_work_that_may_become_another_may_become_what_that_may(first, second, third):
    # Save for licences without derivatives: they may be put upon a work, and then nothing is made of it.
    if goes_into(first, second) and goes_into(second, third):
        assert goes_into(first, third)


@given(KNOWN)
def test_whoever_lets_a_work_be_adapted_lets_it_under_the_same_licence(id):
    own = TABLE[id]
    assert goes_into(id, id) == (own.derivatives and own.use in {"all", "non-commercial"})


def test_versions_of_one_share_alike_licence_meet_in_the_last():
    assert joined("CC-BY-SA-2.5", "CC-BY-SA-3.0") == ("CC-BY-SA-3.0", "CC-BY-SA-4.0")
    assert conflicts({frozenset({"CC-BY-SA-2.5"}): 4, frozenset({"CC-BY-SA-4.0", "CC-BY-SA-3.0"}): 5}) == []


def test_a_conflict_is_said_with_the_numbers_of_records():
    sets = {
        frozenset({"CC-BY-SA-3.0"}): 1000,
        frozenset({"CC-BY-SA-4.0"}): 400,
        frozenset({"CC-BY-NC-SA-3.0"}): 200,
        frozenset({"CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"}): 1,
        frozenset({"MIT"}): 7,
    }
    (said,) = conflicts(sets)
    assert said == (
        "1,401 records under CC-BY-SA-3.0 and CC-BY-SA-4.0 and 201 under CC-BY-NC-SA-3.0 and CC-BY-NC-SA-4.0 "
        "cannot go into one adapted work; a collection may hold both. 1 holds works under both."
    )


def test_what_gives_no_leave_to_adapt_stands_by_itself():
    sets = {
        frozenset({"CC-BY-ND-4.0"}): 1,
        frozenset({"LicenseRef-Reddit"}): 2,
        frozenset({"Foo"}): 3,
        frozenset({"LicenseRef-unknown"}): 4,
    }
    assert conflicts(sets) == [
        "1 record is under CC-BY-ND-4.0: no adapted work may be passed on.",
        "2 records are under LicenseRef-Reddit: no leave to adapt is given there.",
        "3 records are under Foo: nothing is known here of such a licence.",
        "4 records are under no known licence: nothing can be said of these.",
    ]


def test_of_many_unheard_of_licences_a_few_are_named():
    (sentence,) = conflicts({frozenset({f"Foo-{number:04}"}): 1 for number in range(2000)})
    assert sentence.startswith("2,000 records are under Foo-0000, ")
    assert " and 1,995 more: " in sentence
    assert len(sentence) < 200


@given(st.dictionaries(st.frozensets(KNOWN, min_size=1, max_size=3), st.integers(1, 9), max_size=5))
def test_a_set_without_conflicts_meets_in_one_licence_pair_by_pair(sets):
    said = conflicts(sets)
    met = frozenset().union(*sets) if sets else frozenset()
    alone = [id for id in met if not goes_into(id, id)]
    apart = [1 for one in met for other in met if not joined(one, other)]
    assert bool(said) == bool(apart)
    assert bool(alone) <= bool(said)
    assert all(re.fullmatch(r"[^\n]+\.", sentence) for sentence in said)


def test_a_composition_counts_each_licence_once_however_it_is_written():
    found = composition({"cc-by-4.0": 2, "CC-BY-4.0": 3, None: 9, "MIT": 5})
    assert [(terms.id, records) for terms, records in found] == [
        ("LicenseRef-unknown", 9),
        ("MIT", 5),
        ("CC-BY-4.0", 5),
    ]


def test_the_terms_of_a_set_are_those_of_all_under_the_name_of_the_strictest():
    found = strictest_terms(["CC-BY-SA-4.0", "CC-BY-NC-4.0", "MIT"])
    assert (found.id, found.use, found.share_alike) == ("CC-BY-NC-4.0", "non-commercial", True)
    assert strictest_terms([]) is None
    assert strictest_terms([None]).use == "unspecified"
