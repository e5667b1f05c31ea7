"""A query finds the records that fit it and no other, texts are read for one page, and nothing shown is markup."""

from __future__ import annotations

import json
from html import escape

import polars as pl
import pytest

import curate
from curate.chat import Turn, chat, link, text_html, turns_of
from curate.errors import CurateError
from curate.explore import Explorer, Query, asked
from tests.walk import lay_out

HOSTILE = "<script>alert('one')</script><img src=x onerror=alert(2)> $5 and $6 \u202egnp.exe \x07 </div>"


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explored")
    file = lay_out(folder)
    hostile = {"id": "<b>", "prompt": HOSTILE, "response": HOSTILE * 40, "score": 9, "topic": "<i>topic</i>"}
    (folder / "data" / "z.jsonl").write_text(json.dumps(hostile) + "\n", "utf-8")
    return curate.run(file, runs=folder / "runs")


@pytest.fixture(scope="module")
def everything(walked):
    """All records with all that can be asked of them, made another way."""
    said = pl.concat([walked.table(name).select("id", "reasons") for name in ("verdicts", "verdicts_measured")])
    reasons = said.explode("reasons").drop_nulls().group_by("id").agg("reasons").collect()
    frame = walked.records.collect().join(walked.ledger.select("id", "state", "detail").collect(), on="id")
    return frame.join(reasons, on="id", how="left").with_columns(pl.col("reasons").fill_null([])).sort("id")


def found(run, **query):
    return run.explorer.ids(asked(query)).to_list()


def test_without_a_query_every_record_is_there_once(walked, everything):
    assert found(walked) == everything["id"].to_list()


@pytest.mark.parametrize(
    ("query", "fit"),
    [
        ({"state": "rejected"}, pl.col("state") == "rejected"),
        ({"source": "mine", "state": "kept"}, pl.col("state") == "kept"),
        ({"domain": "topic-1"}, pl.col("domain") == "topic-1"),
        ({"reason": "too_short"}, pl.col("reasons").list.contains("too_short")),
        ({"min_score": 14}, pl.col("score") >= 14),
        ({"min_score": 3, "max_score": 3}, pl.col("score") == 3),
        (
            {"state": "rejected", "reason": "first_person", "max_score": 9},
            pl.col("reasons").list.contains("first_person") & (pl.col("score") <= 9),
        ),
        ({"text": "MY ANSWER is"}, pl.col("response").str.contains("my answer is")),
        ({"text": "$5 and ("}, pl.lit(value=False)),
        ({"text": "$5 and $6"}, pl.col("id").str.ends_with("<b>")),
    ],
)
def test_a_query_finds_what_fits_and_nothing_else(query, fit, walked, everything):
    assert found(walked, **query) == everything.filter(fit)["id"].to_list()


def test_a_rule_is_asked_for_by_what_it_found_rejecting_or_not(walked):
    evidence = walked.verdicts.filter(pl.col("low_score").is_not_null()).select("id").collect()
    assert found(walked, rule="low_score") == evidence["id"].sort().to_list()


def test_a_word_is_looked_for_in_every_text_of_a_record(tmp_path, write_jsonl):
    turns = [{"role": role, "content": f"word-{role}-{n}"} for n, role in enumerate(("user", "assistant") * 2)]
    rows = [
        {"id": "turns", "messages": [{"role": "system", "content": "word-system"}, *turns]},
        {"id": "plain", "messages": turns[2:]},
    ]
    write_jsonl("data.jsonl", rows)
    pipeline = tmp_path / "p.toml"
    pipeline.write_text(
        'name = "p"\n[[source]]\nuse = "jsonl"\nname = "s"\npath = "data.jsonl"\nlicense = "CC0-1.0"\n'
    )
    run = curate.run(pipeline, runs=tmp_path / "runs")
    assert [
        len(found(run, text=f"WORD-{each}")) for each in ("system", "user-0", "assistant-1", "user-2", "x")
    ] == [*(1, 1, 1, 2, 0)]
    assert [turn.role for turn in run.find(text="system").records[0].turns] == [
        "system",
        *("user", "assistant") * 2,
    ]


def test_orders_are_permutations_of_one_another(walked, everything):
    by_id = found(walked)
    for order in ("random", "score"):
        assert sorted(found(walked, order=order)) == by_id
    drawn = everything.sort("draw", "id")["id"].to_list()
    assert found(walked, order="random") == drawn != by_id
    scores = dict(everything.select("id", "score").iter_rows())
    listed = [scores[id] for id in found(walked, order="score")]
    known = [score for score in listed if score is not None]
    assert listed[: len(known)] == sorted(known, reverse=True)


def test_nearest_to_the_cut_are_rows_on_both_sides_of_it(walked):
    values = dict(walked.verdicts.select("id", "too_short").collect().iter_rows())
    ids = found(walked, rule="too_short", order="cut")
    rooms = [abs(int(values[id]) - 100) for id in ids]
    assert rooms == sorted(rooms)
    assert found(walked, reason="too_short", order="cut")[0] in ids


def test_pages_hold_every_record_once_and_the_last_one_what_is_left(walked):
    explorer = Explorer(walked)
    total = walked.ledger.collect().height
    first = explorer.page(size=25)
    ids = [each.id for n in range(1, first.pages + 1) for each in explorer.page(number=n, size=25).records]
    assert (ids, first.total) == (found(walked), total)
    assert explorer.page(number=99, size=25).number == first.pages
    assert explorer.page(number=-3, size=25).number == 1


def test_no_record_may_fit_and_the_page_says_so(walked):
    page = walked.find(text="nobody says this")
    assert (page.total, page.records, page.pages) == (0, (), 1)
    assert page.said == "No record fits: text nobody says this."
    assert found(walked, state="contaminated") == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"state": "keptt"}, "did you mean 'kept'"),
        ({"reason": "too_shrt"}, "did you mean 'too_short'"),
        ({"rule": "nothing"}, "no rule is called"),
        ({"source": "yours"}, "no source is called"),
        ({"domain": "nowhere"}, "no domain is called"),
        ({"order": "cut"}, "which cut is not said"),
        ({"order": "cut", "rule": "first_person"}, "has no cut"),
        ({"order": "best"}, "there is no order"),
        ({"sauce": "mine"}, "did you mean 'source'"),
    ],
)
def test_what_cannot_be_asked_is_an_error_that_says_what_can(query, said, walked):
    with pytest.raises(CurateError) as caught:
        walked.find(**query)
    assert said in str(caught.value)


def test_an_answer_is_remembered_and_few_are(walked):
    explorer = Explorer(walked)
    first = explorer.ids(Query(state="kept"))
    assert explorer.ids(Query(state="kept")) is first
    for score in range(20):
        explorer.ids(Query(min_score=score))
    assert len(explorer._answers) <= 8


def test_a_record_is_shown_with_its_end_what_was_found_and_whose_it_is(walked, everything):
    row = everything.filter(pl.col("reasons").list.contains("first_person")).to_dicts()[0]
    shown = walked.record(row["id"])
    assert (shown.state, shown.detail, shown.reasons) == ("rejected", row["detail"], row["reasons"])
    assert [turn.text for turn in shown.turns] == [row["prompt"], row["response"]]
    html = shown._repr_html_()
    assert "first_person" in html
    assert "CC0-1.0" in html
    assert " found</bdi> → rejects" in html
    assert str(shown).startswith(f"{row['id']}  (rejected: ")
    with pytest.raises(CurateError, match="no record of the run is called"):
        walked.record("jsonl:nothing")


def test_nothing_a_record_says_is_markup_anywhere(walked):
    id = next(id for id in found(walked) if id.endswith("<b>"))
    shown = [
        walked.record(id),
        walked.why(id),
        walked.find(text="onerror"),
        walked.find(domain="<i>topic</i>"),
        walked,
    ]
    for each in shown:
        html = each._repr_html_()
        for tag in ("<script", "<img", "<b>", "<i>", "\x07"):
            assert tag not in html, (type(each), tag)
    assert "&lt;script&gt;" in walked.record(id)._repr_html_()


def test_texts_keep_their_lines_and_direction_and_are_no_formulas():
    html = text_html("one\ntwo $x$", 100)
    assert "white-space:pre-wrap" in html
    assert "unicode-bidi:isolate" in html
    assert "dir='auto'" in html
    assert "tex2jax_ignore mathjax_ignore" in html


def test_a_long_text_is_whole_behind_a_fold():
    text = "".join(f"{n} & " for n in range(1_000))
    html = chat([Turn("user", text)], chars=50)
    assert f"{len(text) - 50:,} more characters" in html
    assert html.count("&amp;") == text.count("&")


def test_displays_have_no_colour_of_their_own(walked):
    for each in (walked, walked.find(), walked.record(found(walked)[0]), walked.rule("too_short")):
        html = each._repr_html_()
        assert not [word for word in ("#fff", "white;", "black", "rgb(", "color:#") if word in html]


def test_only_addresses_of_the_web_are_links():
    assert "href='https://a.b/?x=1&amp;y=&#x27;2'" in link("https://a.b/?x=1&y='2", "name")
    for address in ("javascript:alert(1)", " https://a.b", "data:text/html,x", None, ""):
        assert link(address, "<name>") == "<bdi>&lt;name&gt;</bdi>"


def test_turns_are_system_history_message_and_answer():
    record = {
        "system": "be kind",
        "history": [{"role": "user", "text": "hi"}, {"role": "assistant", "text": None}],
        "prompt": "what?",
        "context": "this",
        "response": None,
    }
    assert turns_of(record) == (
        ("system", "be kind"),
        ("user", "hi"),
        ("assistant", ""),
        ("user", "what?\n\nthis"),
    )


def test_a_run_shows_its_states_its_funnel_and_its_alerts(walked):
    html = walked._repr_html_()
    total = walked.numbers["ledger"]["total"]
    for number in (total["records"], total["kept"], total["rejected"]):
        assert f">{number:,}<" in html
    for alert in walked.numbers["alerts"]:
        assert escape(alert) in html
    assert "rejected by rules on text" in html
    assert f"<code>{walked.path / 'report.html'}</code>" in html or f"{walked.path / 'report.json'}" in html


def test_a_million_records_are_asked_in_narrow_columns(walked):
    assert set(Explorer(walked).index.columns) == {"id", "source", "state", "domain", "score", "draw", "reasons"}
