"""The table of licences, the order of strictness, and how names and expressions lead to terms."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import curate.sources
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import registry
from curate.licenses import FREEST_FIRST, UNKNOWN, strictest, strictness
from curate.licenses.terms import TABLE, USES, ids, named, terms, together

# The order before the table was made, in which sources and `freest_license` have ranked.
FORMERLY = (
    "CC0-1.0",
    "LicenseRef-public-domain",
    "MIT",
    "BSD-3-Clause",
    "Apache-2.0",
    "ODC-By-1.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-2.5",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-SA-3.0",
    "CC-BY-NC-SA-4.0",
)

KNOWN = st.sampled_from(sorted(TABLE))
NAMES = st.one_of(KNOWN, st.text(max_size=12), st.none())


def declared():
    """Every licence that our sources and our catalogue name."""
    found = {registry.get("sources", name).license for name in registry.names("sources")}
    shape = re.compile(r"\"((?:CC0?-|LicenseRef-|ODC-|CDLA-|GFDL-|MIT\b|Apache-|BSD-)[A-Za-z0-9.-]*(?<!\.))\"")
    for folder in (Path(curate.sources.__file__).parent, Path(str(files("curate.pull")))):
        for file in sorted([*folder.rglob("*.py"), *folder.rglob("*.toml")]):
            found |= set(shape.findall(file.read_text("utf-8")))
    return found


def test_every_licence_that_a_source_declares_is_in_the_table():
    found = declared()
    assert {"CC-BY-SA-2.5", "CC-BY-NC-ND-4.0", "LicenseRef-Reddit", "Apache-2.0"} <= found
    assert found - TABLE.keys() == set()


def test_the_table_is_in_the_order_of_strictness():
    assert list(TABLE) == sorted(TABLE, key=strictness)
    unranked = ("LicenseRef-OpenAI-terms", "LicenseRef-Reddit", UNKNOWN)
    assert tuple(TABLE) == FREEST_FIRST + unranked


def test_a_stricter_licence_of_creative_commons_permits_no_more():
    uses = [USES.index(TABLE[id].use) for id in FREEST_FIRST if "-ND-" not in id]
    assert uses == sorted(uses)
    assert all(TABLE[id].derivatives for id in FREEST_FIRST if "-ND-" not in id)


@pytest.mark.parametrize("id", [id for id in TABLE if id.startswith("CC-")])
def test_what_creative_commons_licences_ask_for_is_in_their_names(id):
    elements, version = re.fullmatch(r"CC-([A-Z-]+)-([0-9.]+)", id).groups()
    own = TABLE[id]
    assert own.use == ("non-commercial" if "NC" in elements else "all")
    assert own.share_alike == ("SA" in elements)
    assert own.derivatives == ("ND" not in elements)
    assert own.attribution
    assert own.url == f"https://creativecommons.org/licenses/{elements.lower()}/{version}/"
    assert own.title.endswith(version)


def test_every_row_of_the_table_has_the_same_keys():
    rows = tomllib.loads(files("curate.licenses").joinpath("terms.toml").read_text("utf-8"))
    needed = {"title", "use", "attribution", "share_alike", "derivatives"}
    for id, row in rows.items():
        assert needed <= row.keys() <= needed | {"url", "hub", "into", "note"}, id
        assert "into" not in row or row["share_alike"], id
        assert set(row.get("into", ())) <= rows.keys(), id


@given(st.lists(st.sampled_from([*FORMERLY, "LicenseRef-Reddit", UNKNOWN, None]), min_size=1))
def test_the_strictest_of_what_was_ranked_before_is_still_the_same(licenses):
    rank = {license: place for place, license in enumerate(FORMERLY)}
    before = max([license or UNKNOWN for license in licenses], key=lambda name: (rank.get(name, len(rank)), name))
    assert strictest(licenses) == before


@given(st.lists(NAMES, max_size=6))
def test_the_order_of_strictness_is_total(licenses):
    ordered = sorted({license or UNKNOWN for license in licenses}, key=strictness)
    assert all(strictness(one) < strictness(other) for one, other in pairwise(ordered))
    assert strictest(licenses) == (ordered[-1] if licenses else None)
    assert strictest(reversed(licenses)) == strictest(licenses)


def test_licences_that_nobody_ranked_are_stricter_than_all_that_somebody_did():
    assert strictest(["CC-BY-NC-ND-4.0", "Foo"]) == "Foo"
    assert strictest(["CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-SA-4.0"]) == "CC-BY-NC-4.0"
    assert strictest([]) is None


@pytest.mark.parametrize(
    ("written", "id"),
    [
        ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
        ("  CC BY-SA 3.0 ", "CC-BY-SA-3.0"),
        ("cc_by_nc_4.0", "CC-BY-NC-4.0"),
        ("odc-by", "ODC-By-1.0"),
        ("https://creativecommons.org/licenses/by-sa/3.0/", "CC-BY-SA-3.0"),
        ("http://www.creativecommons.org/licenses/by/4.0/deed.de", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by/4.0/legalcode", "CC-BY-4.0"),
        ("unknown", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
        ("gfdl", "gfdl"),  # a family; which one is not said
        ("CC-BY-SA", "CC-BY-SA"),  # as is one without a version
        ("Our own", "Our own"),
    ],
)
def test_people_s_names_for_a_licence_lead_to_its_id(written, id):
    assert named(written) == id


@pytest.mark.parametrize(
    ("written", "bind"),
    [
        ("CC-BY-SA-4.0 AND LicenseRef-OpenAI-terms", {"CC-BY-SA-4.0", "LicenseRef-OpenAI-terms"}),
        ("CC-BY-NC-4.0 OR MIT", {"MIT"}),
        ("CC-BY-NC-4.0 OR MIT AND Foo", {"CC-BY-NC-4.0"}),  # AND binds closer, and nothing is known of Foo
        ("(CC-BY-NC-4.0 OR MIT) AND CC0-1.0", {"MIT", "CC0-1.0"}),
        ("((mit))", {"MIT"}),
        ("(mit)AND(isc)", {"MIT", "ISC"}),
        ("MIT AND", {"MIT AND"}),
        ("(MIT", {"(MIT"}),
        ("MIT) OR ISC", {"MIT) OR ISC"}),
        ("()", {"()"}),
        ("Terms and Conditions", {"Terms and Conditions"}),
        ("ORACLE", {"ORACLE"}),
        ("(" * 99 + "MIT" + ")" * 99, {"(" * 99 + "MIT" + ")" * 99}),  # too long for an expression
        (None, {UNKNOWN}),
    ],
)
def test_an_expression_is_read_or_taken_for_a_name(written, bind):
    assert ids(written) == bind


@given(st.text(alphabet="() ANDORMIT\n", max_size=120))
def test_no_text_makes_an_expression_fail(written):
    assert terms(written).use in USES
    assert ids(written)


def test_licences_that_bind_together_ask_for_all_that_each_does():
    both = terms("CC-BY-SA-4.0 AND LicenseRef-OpenAI-terms")
    assert (both.use, both.attribution, both.share_alike, both.hub) == ("unspecified", True, True, None)
    assert both.id == "CC-BY-SA-4.0 AND LicenseRef-OpenAI-terms"
    assert terms("MIT AND MIT") == TABLE["MIT"]
    with pytest.raises(ValueError, match="no licences"):
        together([])


def test_nothing_is_known_of_a_name_that_the_table_lacks():
    foo = terms("Foo-1.0")
    assert (foo.known, foo.use, foo.derivatives, foo.hub, foo.url) == (False, "unspecified", False, None, None)
    assert terms(None).known
