"""What a data set card says of licences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.licenses.card import card_license
from curate.licenses.terms import TABLE

# Those that the hub's documentation lists and that are licences of texts or data:
# https://huggingface.co/docs/hub/repositories-licenses, docs/hub/repositories-licenses.md in huggingface/hub-docs,
# commit 008d54d08fd9d5d05ed2840bebb0b61111326a15.
HUB = frozenset(
    {
        *("apache-2.0", "mit", "isc", "unlicense", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear"),
        *(
            "c-uda",
            "cdla-sharing-1.0",
            "cdla-permissive-1.0",
            "cdla-permissive-2.0",
            "etalab-2.0",
            "gfdl",
            "odc-by",
            "odbl",
            "pddl",
            "unknown",
            "other",
        ),
        *("cc", "cc0-1.0"),
        *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
    }
)


@pytest.mark.parametrize(
    ("licenses", "card"),
    [
        ({"MIT": 4}, {"license": "mit"}),
        ({"cc-by-sa-4.0": 1, "CC-BY-SA-3.0": 9}, {"license": ["cc-by-sa-3.0", "cc-by-sa-4.0"]}),
        ({None: 2, "LicenseRef-unknown": 1}, {"license": "unknown"}),
        ({}, {}),
        ({"MIT": 0}, {}),
        (
            {"CC-BY-SA-2.5": 3},
            {
                "license": "other",
                "license_name": "cc-by-sa-2.5",
                "license_link": "https://creativecommons.org/licenses/by-sa/2.5/",
            },
        ),
        (
            {"CC-BY-SA-4.0": 90, "CC-BY-SA-2.5": 3, "LicenseRef-Reddit": 7},
            {
                "license": ["cc-by-sa-4.0", "other"],
                "license_name": "licenseref-reddit-and-cc-by-sa-2.5",
                "license_link": "https://redditinc.com/policies/user-agreement",
            },
        ),
        (
            {"Our <own> terms": 1},
            {"license": "other", "license_name": "our-own-terms", "license_link": "LICENSE"},
        ),
        ({"MIT AND CC-BY-4.0": 1}, {"license": ["mit", "cc-by-4.0"]}),
    ],
)
def test_a_card_names_licences_as_the_hub_does(licenses, card):
    assert card_license(licenses) == card


@given(st.dictionaries(st.one_of(st.sampled_from(sorted(TABLE)), st.text(max_size=30)), st.integers(1, 5)))
def test_whatever_the_licences_the_card_is_one_that_the_hub_accepts(licenses):
    card = card_license(licenses)
    names = card.get("license", [])
    assert ({names} if isinstance(names, str) else set(names)) <= HUB
    assert ("other" in names) == ("license_name" in card) == ("license_link" in card)
    if "license_name" in card:
        assert set(card["license_name"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


@pytest.mark.parametrize("id", TABLE)
def test_hub_identifiers_are_in_the_hub_s_list_and_none_is_forgotten(id):
    assert TABLE[id].hub in HUB | {None}
    if id.lower() in HUB:
        assert TABLE[id].hub == id.lower()


def test_the_hub_has_no_identifier_for_early_share_alike_licences():
    assert {id for id in TABLE if id.startswith("CC-") and TABLE[id].hub is None} == {
        *("CC-BY-SA-2.0", "CC-BY-SA-2.5", "CC-BY-NC-2.5", "CC-BY-NC-SA-2.5"),
        *("CC-BY-ND-2.0", "CC-BY-ND-2.5", "CC-BY-ND-3.0", "CC-BY-NC-ND-2.0", "CC-BY-NC-ND-2.5"),
    }
