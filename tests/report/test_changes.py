import math

import pytest

from curate.report.categories import SHOWN, categories, entropy
from curate.report.numbers import numbers


def rows_of(made):
    return {row["what"]: (row["before"], row["after"]) for row in made["before_after"]["rows"]}


def test_what_was_read_stands_beside_what_is_kept(job):
    told = rows_of(numbers(*job()))
    assert told["records"] == (18, 10)
    assert told["median length of prompts"] == (25, 25)
    # Of eleven long responses on the forum two are longer than the others, and one of six tasks has none.
    assert told["records without a response"] == (0.0555556, 0.1)
    # Two too short, one unrated, one in the first person, one in German; the unrated one is counted once.
    assert told["records with a fault that a rule finds"] == (0.277778, 0)
    assert told["records with a near copy in the set"] == (0.111111, 0)
    assert told["records in en, of those measured by wrong_language"] == (0.928571, 1)
    assert told["domains with a record"] == (2, 2)
    assert told["entropy of domains"] == (0.693147, 0.693147)
    assert "records with a context" not in told


def test_what_only_some_records_have_is_told_where_there_is_any(job, bread):
    bread[14] |= {"context": "In a cold kitchen.", "history": [{"role": "user", "text": "Hello."}]}
    bread[0] |= {"context": ""}
    told = rows_of(numbers(*job(bread)))
    assert told["records with a context"] == (0.0555556, 0.1)
    assert told["records with earlier turns"] == (0.0555556, 0.1)


def test_a_lifted_rule_says_what_it_would_reject(job, bread):
    bread[0] |= {"score": 1.0, "response": bread[10]["response"]}
    tables, facts = job(bread)
    facts["rules"][1]["lifted"] = True
    told = rows_of(numbers(tables, facts))
    # Two of 18 lie below ten; both are rejected in the verdicts of this job.
    assert told["records that the lifted rule low_score would reject"] == (0.111111, 0)


def test_a_median_that_doubles_is_an_alert(job, bread):
    more = [bread[10] | {"id": f"forum:{n}"} for n in range(100, 125)]
    short = [
        bread[12] | {"id": f"tasks:{n}", "response": "An answer.", "end": ("not drawn", "")} for n in range(60)
    ]
    tables, facts = job([*more, *short])
    made = numbers(tables, facts)
    rows = made["before_after"]["rows"]
    (row,) = [row for row in rows if row["alert"] and row["unit"] == "characters"]
    assert (row["what"], row["before"], row["after"]) == ("median length of responses", 10, 1522)
    assert row["alert"] in made["alerts"]


def test_a_category_that_becomes_most_of_the_set_is_an_alert(job, bread):
    kept = [bread[10] | {"id": f"forum:{n}", "domain": "d0"} for n in range(100, 130)]
    others = [
        bread[10] | {"id": f"forum:{n}", "domain": f"d{n}", "end": ("not drawn", "")} for n in range(200, 270)
    ]
    made = numbers(*job(kept + others))
    assert "d0 is 100% of what is kept, and was 30% of what was read." in made["alerts"]


def test_few_records_raise_no_alert_about_medians_and_shares(job, bread):
    few = [bread[10] | {"id": f"forum:{n}"} for n in range(100, 105)]
    others = [bread[12] | {"id": f"tasks:{n}", "response": "Yes.", "end": ("not drawn", "")} for n in range(30)]
    assert not [row for row in numbers(*job(few + others))["before_after"]["rows"] if row["alert"]]


def test_a_job_without_records_changes_nothing(job):
    tables, facts = job([])
    facts["inputs"] = []
    told = rows_of(numbers(tables, facts))
    assert told["records"] == (0, 0)
    assert told["median length of responses"] == (None, None)
    assert set(told["records with a fault that a rule finds"]) == {None}


def domain(name, records, kept, **more):
    return {"source": "s", "domain": name, "group": None, "records": records, "kept": kept} | more


def test_categories_are_counted_with_their_entropy_by_hand():
    made = categories(
        [domain("a", 8, 2), domain("b", 8, 1), domain("c", 4, 1), domain("d", 9, 0), domain(None, 3, 3)]
    )
    assert (made["by"], made["n"], made["unknown"], made["distinct"], made["read"]) == ("domain", 4, 3, 3, 4)
    expected = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert made["entropy"] == pytest.approx(expected, abs=1e-5)
    assert made["effective"] == pytest.approx(math.exp(expected), abs=1e-4)
    assert made["evenness"] == pytest.approx(expected / math.log(4), abs=1e-5)
    assert made["rows"] == [
        {"category": "a", "records": 2},
        {"category": "b", "records": 1},
        {"category": "c", "records": 1},
    ]


def test_the_finest_category_that_tells_records_apart_is_taken():
    same = [domain("x", 2, 2), domain("x", 1, 1, source="t")]
    assert categories(same)["by"] == "source"
    assert categories([row | {"group": row["source"]} for row in same])["by"] == "group"
    few = [domain("x", 1, 1), domain("y", 1, 1), domain(None, 9, 9, source="t")]
    assert categories(few)["by"] == "source"
    assert categories([domain(None, 5, 5), domain(None, 5, 0, source="t")])["rows"] == [
        {"category": "s", "records": 5}
    ]


def test_many_categories_are_counted_together_beyond_the_first():
    made = categories([domain(f"d{n:03}", 2, 1) for n in range(100)])
    assert len(made["rows"]) == SHOWN
    assert made["others"] == {"categories": 100 - SHOWN, "records": 100 - SHOWN}
    assert (made["effective"], made["evenness"]) == (100, 1)


def test_of_nothing_kept_there_are_no_categories():
    assert categories([domain("a", 5, 0), domain("b", 5, 0)]) is None
    assert categories([]) is None


def test_what_is_all_of_one_category_is_not_told_by_categories():
    assert categories([domain("a", 5, 3), domain(None, 5, 3)]) is None


def test_entropy_of_nothing_is_not_known_and_of_one_kind_is_zero():
    assert entropy([]) is None
    assert entropy([0, 7]) == 0
