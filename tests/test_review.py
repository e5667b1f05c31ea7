"""A review in a spreadsheet comes back as it was meant, bad rows are named, and no formula runs on the way."""

from __future__ import annotations

import csv
import io
import json

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

import curate
from curate.cli import cli
from curate.decisions import Decision, add_decisions, contents, now, read_decisions
from curate.errors import CurateError, PipelineError
from curate.explore import Query
from curate.review import COLUMNS, export_rows, guarded, import_rows, unguarded
from tests.walk import PIPELINE, lay_out

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "|cmd", "%0A=1", "'=1", "''+1"]


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviewed")
    file = lay_out(folder)
    made = [
        {
            "id": f"f{n}",
            "prompt": each,
            "response": f'{each}\r\nmore, “quoted”; "and" so on\n',
            "score": 5,
            "topic": "t",
        }
        for n, each in enumerate(FORMULAS)
    ]
    made.append({"id": "long", "prompt": "long", "response": "word " * 8_000, "score": 5, "topic": "t"})
    (folder / "data" / "z.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made), "utf-8")
    return curate.run(file, runs=folder / "runs")


def exported(run, folder, **asked):
    file = folder / "rows.csv"
    export_rows(run, file, Query(**asked))
    return file


def read_rows(file):
    return list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")))


def filled(file, change, *, delimiter=","):
    """Write the rows again as a spreadsheet would, after `change` has had each."""
    rows = read_rows(file)
    for row in rows:
        change(row)
    made = io.StringIO(newline="")
    writer = csv.DictWriter(made, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    file.write_text(made.getvalue(), "utf-8", newline="")
    return file


@given(st.text())
@example("'tis")
@example("=1")
@example("''=1")
@example(" \t@x")
@example("")
def test_what_is_guarded_is_no_formula_and_comes_back(text):
    cell = guarded(text)
    assert unguarded(cell) == text
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%"))
    assert not cell.startswith(("\t", "\r", "\n"))


def test_no_cell_of_the_file_begins_a_formula_and_all_of_them_come_back(walked, tmp_path):
    file = exported(walked, tmp_path)
    rows = read_rows(file)
    assert len(rows) == walked.ledger.collect().height
    assert list(rows[0]) == list(COLUMNS)
    for row in rows:
        assert not [cell for cell in row.values() if cell.lstrip()[:1] in "=+-@＝＋－＠" and cell.strip()]
    records = {row["id"]: row for row in walked.records.collect().to_dicts()}
    for row in rows:
        for field in ("prompt", "response"):
            assert unguarded(row[field]) == (records[unguarded(row["id"])][field] or "")
    assert import_rows(walked, file) == []


def test_rows_are_those_that_were_asked_for_with_what_speaks_against_them(walked, tmp_path):
    rows = read_rows(exported(walked, tmp_path, reason="too_short", order="cut"))
    short = walked.verdicts.filter(pl.col("reasons").list.contains("too_short")).collect()
    assert {row["id"] for row in rows} == set(short["id"])
    assert all("too_short" in row["reasons"] for row in rows)
    assert "too_short: 10 against at least 100 → rejects" in {row["evidence"].split("; ")[0] for row in rows}


def test_decisions_come_back_with_who_said_what_and_what_the_record_said(walked, tmp_path):
    file = exported(walked, tmp_path)
    ids = [row["id"] for row in read_rows(file)]

    def fill(row):
        if row["id"] == ids[0]:
            row |= {"decision": " Accept ", "why": "it is good", "by": "Ada"}
        if row["id"] == ids[1]:
            row |= {"decision": "reject", "why": "'=it is not"}
        if row["id"] == ids[2]:
            row |= {"decision": "edit", "why": "a typo", "response": "'=mended", "context": "and more"}

    found = import_rows(walked, filled(file, fill), by="Bo")
    assert [(each.id, each.decision, each.by, each.why) for each in found[:2]] == [
        (ids[0], "accept", "Ada", "it is good"),
        (ids[1], "reject", "Bo", "=it is not"),
    ]
    assert [(each.field, each.after) for each in found[2:]] == [("context", "and more"), ("response", "=mended")]
    assert found[2].before is None
    known = contents(walked.table("read"), ids[:3])
    assert [each.content for each in found[:3]] == [known[id] for id in ids[:3]]


def test_a_spreadsheet_may_write_other_delimiters_line_ends_and_columns(walked, tmp_path):
    file = exported(walked, tmp_path)
    id = read_rows(file)[0]["id"]

    def fill(row):
        row["response"] = row["response"].replace("\r\n", "\n")
        row["prompt"] = row["prompt"].replace("\r", "\n")
        row["my notes"] = "x"
        if row["id"] == id:
            row |= {"decision": "REJECT", "why": "w", "by": "b"}

    rows = read_rows(file)
    for row in rows:
        fill(row)
    made = io.StringIO(newline="")
    writer = csv.DictWriter(made, ["my notes", *reversed(COLUMNS)], delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    file.write_bytes(b"\xef\xbb\xbf" + made.getvalue().encode())
    assert [each.id for each in import_rows(walked, file)] == [id]


def test_line_ends_of_a_spreadsheet_do_not_get_into_a_text(walked, tmp_path):
    file = exported(walked, tmp_path)
    id = read_rows(file)[0]["id"]

    def fill(row):
        if row["id"] == id:
            row |= {"response": "one\r\ntwo\rthree\n", "decision": "edit", "why": "w", "by": "b"}

    (edit,) = import_rows(walked, filled(file, fill))
    assert edit.after == "one\ntwo\nthree\n"


def test_texts_that_a_spreadsheet_cut_off_are_no_edits_and_cannot_be_edited(walked, tmp_path):
    file = filled(exported(walked, tmp_path), lambda row: row.update(response=row["response"][:32_767]))
    assert import_rows(walked, file) == []

    def fill(row):
        if row["id"].endswith("long"):
            row |= {"response": "short", "decision": "edit", "why": "w", "by": "b"}

    with pytest.raises(PipelineError, match="1 rows cannot be read") as caught:
        import_rows(walked, filled(file, fill))
    assert "longer than a spreadsheet's cell holds" in caught.value.where


BAD = {
    "an unknown decision": ({"decision": "acept", "why": "w", "by": "b"}, "'acept' is no decision (did you mean"),
    "no reason": ({"decision": "accept", "by": "b"}, "'why' is empty"),
    "nobody": ({"decision": "accept", "why": "w"}, "'by' is empty"),
    "an edit of nothing": ({"decision": "edit", "why": "w", "by": "b"}, "no text was changed"),
    "another text without a decision": (
        {"response": "other"},
        "its response was changed, but the",
    ),
    "another text under accept": (
        {"decision": "accept", "why": "w", "by": "b", "prompt": "other"},
        "its prompt was",
    ),
    "no prompt": ({"decision": "edit", "why": "w", "by": "b", "prompt": " "}, "no record is without one"),
    "another id": ({"id": "jsonl:nobody", "decision": "accept"}, "no record of the run is called 'jsonl:nobody'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_named_by_its_number_and_line_and_nothing_is_taken(case, walked, tmp_path):
    change, said = BAD[case]
    file = exported(walked, tmp_path, state="kept")
    first, _, third = [row["id"] for row in read_rows(file)][:3]

    def fill(row):
        if row["id"] == first:
            row |= {"decision": "reject", "why": "fine", "by": "Ada"}
        if row["id"] == third:
            row |= change

    with pytest.raises(PipelineError) as caught:
        import_rows(walked, filled(file, fill))
    assert "row 4 (line 4): " in caught.value.where
    assert said in caught.value.where


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no column 'id'"),
        (b"id,decision\n1,2\n", "has no column 'prompt'"),
        (b"\xff\xfei\x00d\x00", "is not UTF-8"),
        (b"\x00" * 20, "has no column"),
    ],
)
def test_a_file_of_anything_else_is_refused(content, said, walked, tmp_path):
    (tmp_path / "rows.csv").write_bytes(content)
    with pytest.raises(PipelineError, match=said):
        import_rows(walked, tmp_path / "rows.csv")


def test_the_command_goes_there_and_back(walked, tmp_path):
    rows, decisions = tmp_path / "rows.csv", tmp_path / "decisions.jsonl"
    asked = ["--rule", "too_short", "--near-cut", "--count", "4", "--to", str(rows)]
    shown = CliRunner().invoke(cli, ["review", str(walked.path), *asked])
    assert shown.output.startswith(f"4 rows in {rows}."), shown.output
    filled(rows, lambda row: row.update(decision="accept", why="near enough"))
    back = ["--from", str(rows), "--decisions", str(decisions), "--by", "Ada"]
    shown = CliRunner().invoke(cli, ["review", str(walked.path), *back])
    assert shown.output == f"4 decisions added to {decisions}.\n"
    assert len(read_decisions(decisions).accepted) == 4


def test_the_command_says_what_is_missing(walked, tmp_path):
    for flags, said in (
        ([], "give --to CSV"),
        (["--to", "a", "--from", "b"], "give --to CSV"),
        (["--from", str(tmp_path / "a.csv")], "--decisions"),
        (["--to", str(tmp_path / "a.csv"), "--near-cut"], "which cut is not said"),
    ):
        result = CliRunner().invoke(cli, ["review", str(walked.path), *flags])
        assert said in result.output + str(result.exception)


def test_a_reviewer_decides_and_takes_back(walked, tmp_path):
    reviewer = walked.review(tmp_path / "decisions.jsonl", by="Ada")
    kept = walked.find(state="kept").records
    reviewer.accept(kept[0].id, "good")
    reviewer.reject(kept[1].id, "bad")
    reviewer.edit(kept[2].id, "response", "other", "better")
    reviewer.withdraw(kept[1].id, "a mistake")
    found = reviewer.decisions
    assert found.accepted == {kept[0].id: "good"}
    assert found.rejected == {}
    assert [(each.before, each.after) for each in found.of(kept[2].id)] == [(kept[2].record["response"], "other")]
    assert repr(reviewer).startswith("Reviewer 'Ada' of ")
    for wrong, said in (
        (lambda: reviewer.edit(kept[2].id, "score", "9", "w"), "no edit can be made to 'score'"),
        (lambda: reviewer.edit(kept[2].id, "response", kept[2].record["response"], "w"), "that text already"),
        (lambda: reviewer.accept("nobody", "w"), "no record of the run is called"),
        (lambda: reviewer.reject(kept[1].id, " "), "'why' is empty"),
    ):
        with pytest.raises(CurateError) as caught:
            wrong()
        assert said in str(caught.value)


def test_the_next_run_carries_decisions_out_and_says_which_are_stale(tmp_path):
    file = lay_out(tmp_path, files="a")
    run = curate.run(file, runs=tmp_path / "runs")
    reviewer = run.review(tmp_path / "decisions.jsonl", by="Ada")
    short, shorter = (each.id for each in run.find(reason="too_short", size=2).records)
    kept = run.find(state="kept").records
    reviewer.accept(short, "short and right")
    reviewer.reject(kept[0].id, "an advertisement")
    reviewer.edit(kept[1].id, "response", kept[1].record["response"] + " Mended.", "a word was missing")
    on_another_text = Decision(shorter, "accept", "fine", "Ada", now(), content="0" * 32)
    add_decisions(reviewer.file, [on_another_text])
    file.write_text('decisions = "decisions.jsonl"\n' + PIPELINE, "utf-8")
    again = curate.run(file, runs=tmp_path / "runs")
    ends = {row["id"]: row for row in again.ledger.collect().to_dicts()}
    assert ends[short]["state"] != "rejected"
    assert ends[kept[0].id]["state"] == "excluded"
    assert "an advertisement" in ends[kept[0].id]["detail"]
    assert ends[shorter]["state"] == "rejected"
    assert again.record(kept[1].id).turns[-1].text.endswith(" Mended.")
    assert ("decided", "accepted, whatever the rules say, by Ada: short and right") in again.why(short).steps
    counted = again.numbers["decisions"]
    assert (counted["accepted"], counted["rejected"], counted["edited"]) == (1, 1, 1)
    # What was decided stands in the next run, too: edited texts make no decision stale.
    third = curate.run(file, runs=tmp_path / "runs")
    assert third.numbers["decisions"] == counted
    assert contents(third.table("read"), [kept[1].id]) == contents(run.table("read"), [kept[1].id])
