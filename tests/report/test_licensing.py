"""Composition, strictest terms, conflicts, and what a declared use would cost."""

from __future__ import annotations

import polars as pl
import pytest

from curate.record import records
from curate.report.licensing import licensing
from curate.tables import PICKS


def tables(*rows):
    """Tables of records given as (source, split or None, licences of the works); None as the end: not eligible."""
    made, picks = [], []
    for number, (source, end, licenses) in enumerate(rows):
        id = f"{source}:{number}"
        works = [{"part": "response", "license": license} for license in licenses]
        made.append({"id": id, "prompt": "A question?", "source": source, "works": works})
        if end is not None:
            split = None if end == "spare" else end
            picks.append({"id": id, "split": split, "quota": "q", "rank": number, "why": None})
    return {"records": records(made).lazy(), "picks": pl.DataFrame(picks, schema=PICKS).lazy()}


MIXED = [
    ("se", "train", ["CC-BY-SA-2.5", "CC-BY-SA-4.0"]),
    ("se", "train", ["CC-BY-SA-4.0", "CC-BY-SA-4.0"]),
    ("se", "dev", ["CC-BY-SA-3.0"]),
    ("se", "spare", ["CC-BY-SA-3.0"]),
    ("se", None, ["CC-BY-SA-3.0"]),
    ("wikihow", "train", ["CC-BY-NC-SA-3.0"]),
    ("wikihow", "spare", ["CC-BY-NC-SA-3.0"]),
    ("ours", "test", []),
    ("ours", "test", [None, "MIT"]),
]


def policy(made, name, target=None):
    (found,) = (each for each in made["policies"] if (each["policy"], each["target"]) == (name, target))
    return found


def test_records_are_counted_by_source_licence_and_split():
    made = licensing(tables(*MIXED), {})
    counts = {(row["source"], row["license"]): row for row in made["by_source"]}
    numbers = ("records", "kept", "train", "dev", "test")
    assert [counts["se", "CC-BY-SA-4.0"][name] for name in numbers] == [2, 2, 2, 0, 0]
    assert [counts["se", "CC-BY-SA-3.0"][name] for name in numbers] == [3, 1, 0, 1, 0]
    assert counts["ours", None]["test"] == 1
    assert sum(row["records"] for row in made["by_source"]) == len(MIXED)
    assert made["by_source"][0]["license"] == "CC-BY-SA-4.0"


def test_every_licence_of_a_kept_record_s_works_is_counted():
    made = licensing(tables(*MIXED), {})
    assert {row["license"]: row["records"] for row in made["works"]} == {
        "CC-BY-SA-4.0": 2,
        "CC-BY-SA-2.5": 1,
        "CC-BY-SA-3.0": 1,
        "CC-BY-NC-SA-3.0": 1,
        "LicenseRef-unknown": 2,
        "MIT": 1,
    }


def test_the_strictest_terms_of_each_split_that_has_records():
    made = licensing(tables(*MIXED), {})
    assert [(row["split"], row["license"], row["use"], row["share_alike"]) for row in made["strictest"]] == [
        ("train", "CC-BY-NC-SA-3.0", "non-commercial", True),
        ("dev", "CC-BY-SA-3.0", "all", True),
        ("test", "LicenseRef-unknown", "unspecified", False),
    ]


def test_conflicts_are_of_kept_records_alone():
    made = licensing(tables(*MIXED), {})
    assert [sentence.split(" cannot")[0] for sentence in made["conflicts"]] == [
        "3 records under CC-BY-SA-2.5, CC-BY-SA-3.0 and CC-BY-SA-4.0 and 1 under CC-BY-NC-SA-3.0",
        "2 records are under no known licence: nothing can be said of these.",
    ]
    rest = [row for row in MIXED if row[0] == "se" or row[1] == "spare"]
    assert licensing(tables(*rest), {})["conflicts"] == []


def test_what_each_policy_costs_and_what_stands_by():
    made = licensing(tables(*MIXED), {})
    assert made["policy"] == "any"
    assert [policy(made, "any")[key] for key in ("kept", "lost", "spare", "by")] == [6, 0, 2, []]
    commercial = policy(made, "commercial")
    assert [commercial[key] for key in ("kept", "lost", "spare")] == [3, 3, 1]
    assert commercial["by"] == [
        {"license": "LicenseRef-unknown", "records": 2},
        {"license": "CC-BY-NC-SA-3.0", "records": 1},
    ]
    assert policy(made, "share_alike_safe", "CC-BY-SA-4.0")["kept"] == 3
    assert [policy(made, "share_alike_safe", "CC-BY-NC-SA-4.0")[key] for key in ("kept", "spare")] == [1, 1]


@pytest.mark.parametrize("name", ["any", "commercial", "share_alike_safe"])
def test_kept_and_lost_add_up_under_every_policy(name):
    for each in licensing(tables(*MIXED), {})["policies"]:
        if each["policy"] == name:
            assert each["kept"] + each["lost"] == 6
            assert sum(row["records"] for row in each["by"]) == each["lost"]


def test_the_pipeline_s_own_policy_is_named_with_its_target_and_what_it_vouches_for():
    declared = {"policy": "share_alike_safe", "target": "CC-BY-SA-3.0", "also": ["LicenseRef-ours"]}
    made = licensing(tables(*MIXED, ("ours", "train", ["LicenseRef-ours"])), {"licence": declared})
    assert made["policy"] == "share_alike_safe"
    own = policy(made, "share_alike_safe", "CC-BY-SA-3.0")
    assert own["kept"] == 2  # BY-SA 3.0, and what is vouched for; BY-SA 4.0 goes into no earlier version
    assert own["lost"] == 5


def test_an_empty_set_has_no_terms_and_costs_nothing():
    made = licensing(tables(), {})
    assert (made["by_source"], made["strictest"], made["conflicts"]) == ([], [], [])
    assert all(each["kept"] == each["lost"] == 0 for each in made["policies"])


def test_a_licence_of_its_own_for_each_record_does_not_fill_the_report():
    rows = [("odd", "train", [f"Licence number {number}"]) for number in range(300)]
    made = licensing(tables(*rows), {})
    assert len(made["by_source"]) == 51
    rest = made["by_source"][-1]
    assert (rest["source"], rest["license"], rest["records"], rest["train"]) == ("others", "250 more", 250, 250)
    commercial = policy(made, "commercial")
    assert len(commercial["by"]) == 51
    assert sum(row["records"] for row in commercial["by"]) == commercial["lost"] == 300


def test_the_same_tables_give_the_same_numbers_in_any_order():
    other = tables(*MIXED)
    other["records"] = other["records"].reverse()
    other["picks"] = other["picks"].reverse()
    assert licensing(tables(*MIXED), {}) == licensing(other, {})
