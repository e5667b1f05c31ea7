import json

import polars as pl
import pytest

from curate.errors import CurateError
from curate.keys import canonical, draws
from curate.report.excerpts import WIDTH, excerpt, number
from curate.report.numbers import numbers
from curate.tables import STATES, VERDICTS


def rule_of(made, name):
    return next(rule for rule in made["rules"] if rule["name"] == name)


def test_every_record_ends_in_one_state_and_the_funnel_says_where(job):
    made = numbers(*job())
    assert made["summary"]["outcome"] == "Of 18 records, 10 are kept: 8 to train on and 2 for test."
    assert [(step["step"], step["removed"], step["left"]) for step in made["funnel"]["total"]["steps"]] == [
        ("excluded", 1, 17),
        ("rejected by rules on text", 4, 13),
        ("rejected by rules on measures", 1, 12),
        ("contaminated", 0, 12),
        ("duplicates", 1, 11),
        ("not drawn", 1, 10),
    ]
    for row in made["ledger"]["sources"]:
        assert sum(row[state] for state in STATES) == row["records"]
    assert {row["source"]: row["kept"] for row in made["ledger"]["sources"]} == {"forum": 4, "tasks": 6}
    assert all(balance["balanced"] for balance in made["balances"])


def test_exclusions_are_counted_by_the_entry_that_names_them(job):
    assert numbers(*job())["exclusions"] == [{"entry": "somebody", "records": 1}]


def test_intake_is_told_by_input_by_source_and_in_total(job):
    made = numbers(*job())["intake"]
    total = made["total"]
    assert (total["native"], total["used"], total["unreadable"], total["records"]) == (33, 22, 1, 18)
    assert total["passed_over"] == [{"cause": "a wiki page", "rows": 2}, {"cause": "no answer", "rows": 8}]
    assert [(row["input"], row["native"]) for row in made["inputs"]] == [("forum.jsonl", 20), ("tasks.jsonl", 13)]
    assert [(row["source"], row["inputs"], row["balanced"]) for row in made["sources"]] == [
        ("forum", 1, True),
        ("tasks", 1, True),
    ]


@pytest.mark.parametrize(
    ("table", "change", "told"),
    [
        ("intake", lambda rows: rows.with_columns(pl.col("native") + 1), "Intake of all"),
        ("intake", lambda rows: rows.with_columns(pl.col("repeated") + 1), "Reading of all"),
        ("unreadable", lambda rows: rows.head(0), "Unreadable"),
        ("ledger", lambda rows: rows.head(17), "Ledger of all"),
        ("ledger", lambda rows: pl.concat([rows.head(17), rows.head(1)]), "in the ledger"),
        ("ledger", lambda rows: rows.with_columns(state=pl.lit("lost")), "Ledger of all"),
        ("records", lambda rows: pl.concat([rows.tail(17), rows.tail(1)]), "Every id once"),
        ("records", lambda rows: rows.head(17), "Ledger of all"),
        ("verdicts", lambda rows: rows.with_columns(reasons=pl.lit(["too_short"])), "Rejections"),
        ("duplicates", lambda rows: rows.head(0), "Duplicates"),
        ("picks", lambda rows: rows.head(3), "Selection"),
    ],
)
def test_no_report_is_made_of_books_that_do_not_balance(job, table, change, told):
    tables, facts = job()
    with pytest.raises(CurateError, match="the books do not balance") as caught:
        numbers(tables | {table: change(tables[table])}, facts)
    assert told in caught.value.where


def test_errors_that_cancel_out_between_inputs_are_found(job):
    tables, facts = job()
    off = pl.Series([1, -1])
    wrong = tables["intake"].with_columns(native=(pl.col("native").cast(pl.Int64) + off).cast(pl.UInt64))
    with pytest.raises(CurateError, match="do not balance") as caught:
        numbers(tables | {"intake": wrong}, facts)
    assert "forum, forum.jsonl" in caught.value.where


def test_a_rule_says_what_it_judged_hit_and_hit_alone(job):
    made = numbers(*job())
    counted = {
        rule["name"]: [rule[key] for key in ("judged", "hit", "alone", "unknown", "not_judged")]
        for rule in made["rules"]
    }
    assert counted == {
        "too_short": [17, 2, 1, 0, 0],  # the prompt-only record has no response to be judged
        "low_score": [12, 2, 1, 1, 0],
        "first_person": [17, 1, 1, 0, 0],
        "wrong_language": [14, 1, 1, 0, 4],
    }
    by_source = {row["source"]: row for row in rule_of(made, "too_short")["sources"]}
    assert (by_source["forum"]["limit"], by_source["tasks"]["limit"]) == (1200, 3)
    assert (by_source["forum"]["hit"], by_source["tasks"]["hit"]) == (2, 0)
    assert by_source["tasks"]["evidence"] | {"n": 5, "median": 10} == by_source["tasks"]["evidence"]


def test_a_rule_on_every_response_has_judged_only_records_with_a_response(job):
    tables, facts = job()
    rule = next(rule for rule in facts["rules"] if rule["name"] == "first_person")
    rule["of"] = "every_response"
    assert rule_of(numbers(tables, facts), "first_person")["judged"] == 17
    rule["of"] = "conversation"
    assert rule_of(numbers(tables, facts), "first_person")["judged"] == 18


def test_a_limit_may_be_one_for_all_sources(job):
    tables, facts = job()
    facts["rules"][0]["limit"] = 1200
    assert [row["limit"] for row in numbers(tables, facts)["rules"][0]["sources"]] == [1200, 1200]


def test_unknown_values_are_counted_also_where_they_are_kept(job, bread):
    bread[2] |= {"score": 20.0}
    tables, facts = job(bread)
    assert rule_of(numbers(tables, facts), "low_score")["unknown"] == 0
    missing = pl.when(pl.col("id") == "forum:8").then(pl.lit(["low_score"])).otherwise(pl.col("unknown"))
    gone = pl.when(pl.col("id") != "forum:8").then("low_score").alias("low_score")
    tables |= {"evidence": tables["evidence"].with_columns(unknown=missing)}
    tables |= {"verdicts": tables["verdicts"].with_columns(gone)}
    rule = rule_of(numbers(tables, facts), "low_score")
    assert (rule["judged"], rule["unknown"], rule["hit"]) == (12, 1, 1)


def test_examples_show_the_evidence_where_it_was_found(job):
    example = rule_of(numbers(*job()), "first_person")["examples"][0]
    start, end = example["response"]["match"]
    assert example["response"]["text"][start:end] == "I think" == example["evidence"]
    assert len(example["response"]["text"]) == WIDTH
    assert example["url"] == "https://example.org/forum:3"


def test_examples_are_drawn_by_id_and_first_from_those_that_fall_to_one_rule_alone(job, bread):
    tables, facts = job(bread)
    assert [example["id"] for example in numbers(tables, facts)["rules"][0]["examples"]] == ["forum:0", "forum:1"]
    for number_, row in enumerate(bread):
        if row["source"] == "forum":
            bread[number_] = row | {"response": "Short.", "score": 20.0, "end": ("kept", "train")}
    tables, facts = job(bread)
    drawn = tables["records"].filter(source="forum").sort("draw").head(3).collect()["id"].to_list()
    assert [example["id"] for example in numbers(tables, facts)["rules"][0]["examples"]] == drawn


def test_near_misses_are_those_nearest_to_the_limit_on_the_kept_side(job, bread):
    bread[10] |= {"score": 10.5}
    bread[11] |= {"score": 12.0}
    near = rule_of(numbers(*job(bread)), "low_score")["near_misses"]
    assert [(each["id"], each["evidence"], each["state"]) for each in near] == [
        ("forum:10", 10.5, "kept"),
        ("forum:11", 12, "kept"),
    ]
    assert rule_of(numbers(*job()), "first_person")["near_misses"] == []


def test_the_least_similar_pair_shows_both_texts_where_they_part(job, bread):
    bread[5] |= {"response": "x" * 900 + "a" * 600}
    bread[6] |= {"response": "x" * 900 + "b" * 600}
    (pair,) = numbers(*job(bread))["dedup"]["least_similar"]
    assert (pair["id"], pair["kept_id"], pair["similarity"]) == ("forum:5", "forum:6", 0.9)
    assert pair["response"]["dropped"]["text"] == "x" * 200 + "a" * 200
    assert pair["response"]["kept"]["text"] == "x" * 200 + "b" * 200


def test_kept_rows_are_told_by_licence_domain_and_length(job):
    made = numbers(*job())
    assert made["licenses"] == [
        {"license": "CC-BY-SA-3.0", "kept": 9, "train": 8, "dev": 0, "test": 1},
        {"license": "CC-BY-SA-4.0", "kept": 1, "train": 0, "dev": 0, "test": 1},
    ]
    assert [(row["source"], row["domain"], row["records"], row["kept"]) for row in made["domains"]] == [
        ("tasks", None, 6, 6),
        ("forum", "d0", 6, 2),
        ("forum", "d1", 6, 2),
    ]
    assert sum(each["records"] for each in made["lengths"]["response"]["bins"]) == 9
    test = next(each for each in made["lengths"]["response"]["splits"] if each["split"] == "test")
    assert (test["n"], test["median"]) == (1, 1521)


def test_quotas_say_what_they_asked_for_and_drew(job):
    drawn = {quota["name"]: (quota["take"], quota["drawn"]) for quota in numbers(*job())["selection"]["quotas"]}
    assert drawn == {
        "forum-train": (12, 3),
        "forum-test": (None, 1),
        "tasks-train": (6, 5),
        "tasks-test": (None, 1),
    }


def test_alerts_name_what_somebody_should_look_at(job, bread):
    for row in bread[6:12]:
        row |= {"end": ("duplicate", "forum:7")}
    bread[7] |= {"end": ("kept", "train"), "license": None}
    bread[12] |= {"end": ("kept", "train")}
    tables, facts = job(bread)
    facts["alerts"] = ["no entry of takedown.txt met a record"]
    facts["shortages"] = [
        {"quota": "q", "wanted": 2, "drawn": 1, "candidates": 3, "rules": [], "sentence": "q: 1 of 2"}
    ]
    superseded = pl.when(source="tasks").then(1).otherwise(0).cast(pl.UInt64).alias("superseded")
    tables |= {"intake": tables["intake"].with_columns(superseded, read=pl.col("read") + superseded)}
    alerts = "\n".join(numbers(tables, facts)["alerts"])
    for told in (
        "The split test is empty",
        "A quota is short. q: 1 of 2.",
        "forum: 1 of 20 native rows could not be read",
        "tasks: 1 record was superseded",
        "low_score: the value of 1 of 12 records of forum is unknown",
        "forum: 5 of 12 records are duplicates",
        "no entry of takedown.txt met a record",
    ):
        assert told in alerts


def test_a_source_of_which_no_record_came_is_told_with_what_was_passed_over(job):
    tables, facts = job()
    silent = {
        "source": "site",
        "input": "site.xml",
        "native": 5,
        "used": 0,
        "passed_over": [{"cause": "a wiki page", "rows": 1}, {"cause": "no answer", "rows": 4}],
        "unreadable": 0,
        "read": 0,
        "repeated": 0,
        "superseded": 0,
        "records": 0,
    }
    more = pl.LazyFrame([silent], schema=tables["intake"].collect_schema())
    alerts = numbers(tables | {"intake": pl.concat([tables["intake"], more])}, facts)["alerts"]
    assert "No record came from the source site: 5 native rows, of them 4 no answer, 1 a wiki page." in alerts


def test_a_clean_job_has_no_alert(job, bread):
    clean = [row | {"end": ("kept", "test" if n % 2 else "train")} for n, row in enumerate(bread[-4:])]
    tables, facts = job(clean, unreadable=0)
    assert numbers(tables, facts)["alerts"] == []


def test_a_job_without_records_still_has_its_numbers(job):
    tables, facts = job([])
    facts["inputs"] = []
    made = numbers(tables, facts)
    assert made["summary"]["outcome"] == "No record was read."
    assert made["alerts"] == ["Nothing is kept: the set is empty."]


def test_a_job_that_keeps_nothing_says_so(job, bread):
    made = numbers(*job([row | {"end": ("not drawn", "no quota takes it")} for row in bread]))
    assert made["summary"]["outcome"] == "Of 18 records, none is kept."
    assert made["alerts"][0] == "Nothing is kept: the set is empty."
    assert made["lengths"]["response"]["splits"] == []


def test_a_job_without_measures_or_rules_has_its_numbers(job, bread):
    kept = [row | {"end": ("kept", "train")} for row in bread[-3:]]
    tables, facts = job(kept, unreadable=0)
    facts["rules"] = []
    for name in ("evidence", "verdicts_measured", "pairs", "duplicates", "exclusions", "amendments", "unreadable"):
        del tables[name]
    tables["verdicts"] = tables["verdicts"].select(VERDICTS.names())
    assert numbers(tables, facts)["summary"]["kept"] == 3


def test_numbers_do_not_depend_on_the_order_of_rows(job):
    tables, facts = job()
    turned = {name: table.reverse() for name, table in tables.items()}
    assert canonical(numbers(turned, facts)) == canonical(numbers(tables, facts))


def test_numbers_are_json_that_refuses_nothing(job, bread):
    bread[9] |= {"score": float("inf")}
    bread[10] |= {"score": 1 / 3}
    made = numbers(*job(bread))
    assert json.loads(canonical(made)) == json.loads(json.dumps(made))
    assert rule_of(made, "low_score")["evidence"]["max"] is None
    assert rule_of(made, "low_score")["evidence"]["min"] == 0.333333


def test_excerpts_keep_the_match_in_sight():
    text = "a" * 1000 + "here" + "b" * 1000
    cut = excerpt(text, around="here")
    assert cut["text"][slice(*cut["match"])] == "here"
    assert (len(cut["text"]), cut["cut_before"], cut["cut_after"], cut["chars"]) == (WIDTH, True, True, 2004)
    assert excerpt(text, around="there")["match"] is None
    assert excerpt("short", around="short")["match"] == [0, 5]
    assert excerpt("y" + "x" * 900, around="x" * 900)["match"] == [0, WIDTH]
    assert excerpt(None) is None


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (2.0, 2),
        (1 / 3, 0.333333),
        (float("nan"), None),
        (-float("inf"), None),
        (7, 7),
        (None, None),
        ("2.0", "2.0"),
    ],
)
def test_numbers_are_rounded_and_finite(given, made):
    assert number(given) == made
    assert type(number(given)) is type(made)


def test_records_that_a_rule_alone_removes_are_drawn_by_id_and_quoted_around_the_match(job, bread):
    bread += [bread[3] | {"id": f"forum:{number}"} for number in range(100, 120)]
    told = rule_of(numbers(*job(bread)), "first_person")
    assert told["alone"] == 21
    assert len(told["alone_examples"]) == 8
    drawn = draws([row["id"] for row in bread if "I think" in (row["response"] or "")])
    order = pl.DataFrame(
        {"id": [row["id"] for row in bread if "I think" in (row["response"] or "")], "draw": drawn}
    )
    assert [row["id"] for row in told["alone_examples"]] == order.sort("draw", "id")["id"].head(8).to_list()
    quote = told["alone_examples"][0]["response"]
    assert quote["text"][slice(*quote["match"])] == "I think"
    assert len(quote["text"]) == 160


def test_a_lifted_rule_has_evidence_but_no_hit_near_miss_or_alert(job):
    tables, facts = job()
    facts["rules"][0]["lifted"] = True
    told = rule_of(numbers(tables, facts), "too_short")
    assert told["lifted"]
    assert told["near_misses"] == []
    assert told["evidence"]["n"] == 17


def test_a_set_with_a_domain_for_each_record_lists_the_most_kept(job, bread):
    many = [bread[10] | {"id": f"forum:{n}", "domain": f"d{n:05}"} for n in range(100, 1500)]
    made = numbers(*job(many))
    assert len(made["domains"]) == 1000
    assert made["categories"]["distinct"] == 1400
    assert len(canonical(made)) < 500_000


def test_histograms_of_evidence_are_told_by_source_with_the_cut(job):
    tables, facts = job()
    rule = rule_of(numbers(tables, facts), "too_short")
    forum, tasks = (row["histogram"] for row in rule["sources"])
    assert (forum["limit"], tasks["limit"]) == (1200, 3)
    rejected = sum(each["records"] for each in forum["bins"] if each["below"] and each["below"] <= 1200)
    assert rejected == rule["sources"][0]["hit"] == 2
    assert sum(each["records"] for each in forum["bins"]) == 12
    assert [row["histogram"] for row in rule_of(numbers(tables, facts), "first_person")["sources"]] == [None, None]


def test_a_rule_on_numbers_that_names_no_limit_for_a_source_has_a_histogram_all_the_same(job):
    tables, facts = job()
    facts["rules"][0]["limit"] = {"forum": 1200}
    rule = rule_of(numbers(tables, facts), "too_short")
    assert [row["histogram"]["limit"] for row in rule["sources"]] == [1200, None]
