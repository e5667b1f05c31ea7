import polars as pl

from curate.report.groups import GROUPS, MEMBERS, groups, named
from curate.report.numbers import numbers
from curate.tables import DUPLICATES


def shown(*rows):
    names = ("id", "kept_id", "similarity", "method", "on")
    frame = pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], schema=DUPLICATES)
    return groups({"duplicates": frame.lazy()})


def kept(made):
    return [group["kept"]["id"] for group in made]


def test_groups_come_with_the_least_similar_first_and_so_do_their_members():
    made = shown(
        ("a1", "a", 0.9, "minhash", "response"),
        ("a2", "a", 0.8, "minhash", "response"),
        ("b1", "b", 0.7, "minhash", "response"),
    )
    assert kept(made) == ["b", "a"]
    assert [each["id"] for each in made[1]["dropped"]] == ["a2", "a1"]
    assert (made[1]["similarity"], made[1]["size"]) == (0.8, 3)
    assert named(made) == {"a", "a1", "a2", "b", "b1"}


def test_methods_take_turns_since_their_similarities_cannot_be_compared():
    near = [(f"x{n}", f"k{n:02}", 0.7 + n / 1000, "minhash", "pair") for n in range(40)]
    alike = [(f"y{n}", f"s{n:02}", 0.95 + n / 1000, "semantic", "message") for n in range(40)]
    made = shown(*near, *alike)
    assert len(made) == GROUPS
    assert kept(made) == [f"k{n:02}" for n in range(6)] + [f"s{n:02}" for n in range(6)]


def test_equal_texts_are_shown_only_where_there_is_nothing_else():
    equal = [(f"e{n}", f"k{n}", 1.0, "exact", "pair") for n in range(3)]
    assert len(shown(*equal)) == 1
    assert kept(shown(*equal, ("x", "y", 0.99, "minhash", "pair"))) == ["y"]
    assert shown() == []


def test_a_group_of_thousands_shows_a_few_and_counts_all():
    (group,) = shown(*[(f"x{n:04}", "k", 0.8, "minhash", "pair") for n in range(2000)])
    assert [each["id"] for each in group["dropped"]] == [f"x{n:04}" for n in range(MEMBERS)]
    assert group["size"] == 2001


def test_texts_are_quoted_where_they_part(job, bread):
    bread[5] |= {"response": "x" * 900 + "a" * 600}
    bread[6] |= {"response": "x" * 900 + "b" * 600, "url": None}
    (group,) = numbers(*job(bread))["dedup"]["groups_shown"]
    (dropped,) = group["dropped"]
    assert (group["kept"]["id"], group["kept"]["source"], group["kept"]["url"]) == ("forum:6", "forum", None)
    assert (dropped["id"], dropped["url"]) == ("forum:5", "https://example.org/forum:5")
    assert set(dropped["response"]["text"]) == {"x", "a"}
    assert set(group["kept"]["response"]["text"]) == {"x", "b"}
    assert dropped["prompt"]["text"] == "How long does dough rest?"
