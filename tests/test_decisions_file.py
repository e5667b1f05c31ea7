"""Decisions: the newest counts, a text that has changed since is no longer decided on, and bad lines are named."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import polars as pl
import pytest

from curate import amend, decisions
from curate.decisions import (
    Decision,
    Decisions,
    add_decisions,
    contents,
    now,
    read_decisions,
    standing,
)
from curate.errors import PipelineError
from curate.keys import draws
from curate.record import SCHEMA, records

HEADER = '{"curate": "decisions", "version": 1}'
LINE = {"id": "x:1", "decision": "reject", "why": "an advertisement", "by": "Ada", "at": "2026-11-21T14:00:00Z"}


def decision(id="x:1", kind="reject", at="2026-11-21T14:00:00Z", **given):
    return Decision(**{"id": id, "decision": kind, "why": "because", "by": "Ada", "at": at, **given})


def written(folder, *lines, header=HEADER):
    file = folder / "decisions.jsonl"
    shown = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    file.write_bytes("\n".join([header, *shown, ""]).encode("utf-8", "surrogatepass"))
    return file


def read_table(*rows):
    frame = records([{"prompt": "p", "response": "r", **row} for row in rows])
    return frame.with_columns(draws(frame["id"]).alias("draw")).cast(dict(SCHEMA)).lazy()


def test_what_is_decided_is_read_back_as_it_was_written(tmp_path):
    file = tmp_path / "deep" / "decisions.jsonl"
    made = [
        decision("x:1", "accept", content="abc"),
        decision("x:2", "reject", why="two\nlines, “quoted”"),
        decision("x:3", "edit", field="context", before="old", after=None),
        decision("x:3", "edit", field="response", before="old", after="new 🙂"),
    ]
    assert add_decisions(file, made) == 4
    assert file.read_text("utf-8").split("\n")[0] == HEADER
    found = read_decisions(file)
    assert found.standing == tuple(made)
    assert (found.accepted, found.rejected) == ({"x:1": "because"}, {"x:2": "two\nlines, “quoted”"})
    assert [(each.id, each.field, each.text) for each in found.edits] == [
        ("x:3", "context", None),
        ("x:3", "response", "new 🙂"),
    ]
    assert found.of("x:2") == [made[1]]


def test_no_file_decides_nothing_and_nothing_decided_makes_no_file(tmp_path):
    assert read_decisions(None) == Decisions()
    assert add_decisions(tmp_path / "decisions.jsonl", []) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_newest_decision_about_a_record_counts_whatever_the_order_of_lines(tmp_path):
    early, late = "2026-11-21T14:00:00Z", "2026-11-21T14:00:00.5+00:00"
    for order in (1, -1):
        lines = [LINE | {"at": early}, LINE | {"at": late, "decision": "accept"}][::order]
        found = read_decisions(written(tmp_path, *lines))
        assert (list(found.accepted), list(found.rejected)) == (["x:1"], [])


def test_of_decisions_at_one_time_the_later_line_counts(tmp_path):
    found = read_decisions(written(tmp_path, LINE, LINE | {"decision": "accept"}))
    assert list(found.accepted) == ["x:1"]


def test_edits_count_by_field_and_beside_a_verdict():
    found = standing(
        [
            decision(kind="accept"),
            decision(kind="edit", field="response", after="first"),
            decision(kind="edit", field="prompt", after="other"),
            decision(kind="edit", field="response", after="second"),
        ]
    )
    assert list(found.accepted) == ["x:1"]
    assert [(each.field, each.text) for each in found.edits] == [("prompt", "other"), ("response", "second")]


def test_what_was_decided_can_be_withdrawn_verdict_and_edit_apart():
    made = [decision(kind="accept"), decision(kind="edit", field="response", after="new")]
    assert standing([*made, decision(kind="withdraw")]).standing == (made[1],)
    assert standing([*made, decision(kind="withdraw", field="response")]).standing == (made[0],)
    again = [*made, decision(kind="withdraw"), decision(kind="reject")]
    assert list(standing(again).rejected) == ["x:1"]


def test_a_decision_on_a_text_that_has_changed_since_is_stale_and_one_without_a_record_unmet():
    before = read_table({"id": "x:1"}, {"id": "x:2"})
    content = contents(before, ["x:1", "x:2"])
    decided = standing(
        [
            decision("x:1", "accept", content=content["x:1"]),
            decision("x:2", "reject", content=content["x:2"]),
            decision("x:3", "reject", content="0" * 32),
            decision("x:2", "edit", field="response", after="new"),  # without a digest, whatever it says
        ]
    )
    assert decided.checked(before).stale == ()
    after = read_table({"id": "x:1"}, {"id": "x:2", "response": "another"})
    found = decided.checked(after)
    assert list(found.standing.accepted) == ["x:1"]
    assert [each.decision for each in found.stale] == ["reject"]
    assert [each.id for each in found.unmet] == ["x:3"]
    assert [each.text for each in found.standing.edits] == ["new"]


def test_only_what_a_record_says_makes_decisions_stale():
    before = contents(read_table({"id": "x:1", "score": 1.0, "works": []}), ["x:1"])
    moved = read_table({"id": "x:1", "score": 9.0, "domain": "elsewhere", "origin": {"file": "b", "position": 7}})
    assert contents(moved, ["x:1"]) == before
    for field in ("prompt", "context", "response", "system"):
        assert contents(read_table({"id": "x:1", field: "another"}), ["x:1"]) != before
    turned = read_table({"id": "x:1", "history": [{"role": "user", "text": "first"}]})
    assert contents(turned, ["x:1"]) != before


def test_of_rows_with_one_id_the_content_is_that_of_the_row_that_stays():
    rows = [
        {"id": "x:1", "response": response, "created": created}
        for response, created in (("old", None), ("newer", "2026-01-02 00:00"), ("older", "2026-01-01 00:00"))
    ]
    frames = [
        read_table({"id": row["id"], "response": row["response"]}).with_columns(
            pl.lit(row["created"], dtype=pl.String).str.to_datetime(time_zone="UTC").alias("created")
        )
        for row in rows
    ]
    assert contents(pl.concat(frames), ["x:1"]) == contents(frames[1], ["x:1"])


def test_adding_leaves_every_byte_that_is_there(tmp_path):
    file = written(tmp_path, json.dumps(LINE), "")
    file.write_bytes(file.read_bytes().rstrip(b"\n"))  # as an editor may leave it
    before = file.read_bytes()
    add_decisions(file, [decision("x:2")])
    assert file.read_bytes().startswith(before + b"\n{")
    assert set(read_decisions(file).rejected) == {"x:1", "x:2"}


def test_a_decision_that_is_none_is_not_written_and_nothing_with_it(tmp_path):
    file = tmp_path / "decisions.jsonl"
    with pytest.raises(PipelineError, match="'why' is empty"):
        add_decisions(file, [decision("x:1"), decision("x:2", why=" ")])
    with pytest.raises(PipelineError, match="no UTF-8 text"):
        add_decisions(file, [decision("x:1", why="\ud800")])
    assert not file.exists()


def test_nothing_is_added_to_a_file_of_anything_else(tmp_path):
    file = tmp_path / "train.jsonl"
    file.write_text('{"messages": []}\n', "utf-8")
    with pytest.raises(PipelineError, match="this is no file of decisions"):
        add_decisions(file, [decision()])
    assert file.read_text("utf-8") == '{"messages": []}\n'


def test_many_who_decide_at_once_lose_nothing(tmp_path):
    file = tmp_path / "decisions.jsonl"
    threads = [threading.Thread(target=add_decisions, args=(file, [decision(f"x:{n}")])) for n in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(read_decisions(file).rejected) == 12


def test_behind_a_link_the_file_is_meant(tmp_path):
    file = written(tmp_path, LINE)
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    add_decisions(link, [decision("x:2")])
    assert link.is_symlink()
    assert len(read_decisions(file).rejected) == 2


def test_files_put_together_are_a_file_and_windows_may_have_saved_it(tmp_path):
    file = written(tmp_path, LINE, HEADER, LINE | {"id": "x:2"})
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert set(read_decisions(file).rejected) == {"x:1", "x:2"}


def test_an_empty_file_decides_nothing(tmp_path):
    (tmp_path / "decisions.jsonl").touch()
    assert read_decisions(tmp_path / "decisions.jsonl") == Decisions()


def test_the_time_is_one_that_can_be_read_back():
    assert standing([decision(at=now())]).rejected == {"x:1": "because"}


EDIT = LINE | {"decision": "edit", "field": "response", "after": "new"}
BAD = {
    "no JSON": ("{", "no decision"),
    "a number": ("7", "it is int, not an object"),
    "a list": ("[]", "it is list"),
    "nested too deep": ("[" * 200_000, "nested too deep"),
    "a number of many digits": ('{"id": ' + "9" * 5000 + "}", "no decision"),
    "a key twice": ('{"id": "x", "id": "y"}', "'id' stands twice"),
    "an unknown key": (LINE | {"reson": "x"}, "no key 'reson'"),
    "no id": ({name: value for name, value in LINE.items() if name != "id"}, "'id' is missing"),
    "an id that is a number": (LINE | {"id": 7}, "'id' is 7, which is no text"),
    "an id that is true": (LINE | {"id": True}, "'id' is True"),
    "an empty id": (LINE | {"id": ""}, "'id' is empty"),
    "no reason": (LINE | {"why": "  "}, "'why' is empty"),
    "nobody": (LINE | {"by": ""}, "'by' is empty"),
    "null for a reason": (LINE | {"why": None}, "'why' is None"),
    "another decision": (LINE | {"decision": "rejects"}, "'rejects' is none"),
    "no time": (LINE | {"at": "yesterday"}, "no time such as"),
    "a time of nowhere": (LINE | {"at": "2026-11-21T14:00:00"}, "not in UTC"),
    "a time of elsewhere": (LINE | {"at": "2026-11-21T14:00:00+01:00"}, "not in UTC"),
    "half a character": ('{"id": "\\ud800"' + json.dumps(LINE)[12:], "half of a surrogate pair"),
    "NUL": (EDIT | {"after": "a\x00b"}, "NUL"),
    "a list for a text": (EDIT | {"after": ["new"]}, "which is no text"),
    "an edit of nothing": (LINE | {"decision": "edit", "after": "new"}, "an edit names its field"),
    "an edit of the id": (EDIT | {"field": "id"}, "no edit can be made to 'id'"),
    "an edit without a text": (LINE | {"decision": "edit", "field": "response"}, "says the text"),
    "an edit that takes the prompt away": (EDIT | {"field": "prompt", "after": None}, "without a prompt"),
    "a rejection of a field": (LINE | {"field": "response"}, "'field' says nothing"),
    "a withdrawal of no field": (LINE | {"decision": "withdraw", "field": "score"}, "no edit can be made"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named_with_what_is_wrong(case, tmp_path):
    line, said = BAD[case]
    file = written(tmp_path, LINE | {"id": "x:0"}, line)
    with pytest.raises(PipelineError) as caught:
        read_decisions(file)
    assert said in caught.value.what
    assert caught.value.where == f"{file}, line 3"
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    "header",
    [
        '{"id": "x"}',
        "[]",
        "no",
        "\ud800",
        '{"curate": "decisions"}',
        '{"curate": "decisions", "version": 2}',
        '{"curate": "decisions", "version": true}',
        '{"curate": "decisions", "version": 1, "more": 1}',
    ],
)
def test_a_file_of_another_kind_or_version_is_refused(header, tmp_path):
    with pytest.raises(PipelineError, match=r"no file of decisions|of version"):
        read_decisions(written(tmp_path, LINE, header=header))


def test_bytes_that_are_no_text_are_named(tmp_path):
    file = written(tmp_path)
    file.write_bytes(file.read_bytes() + b'{"id": "\xff\xfe"}\n')
    with pytest.raises(PipelineError, match="no UTF-8 text"):
        read_decisions(file)


def test_edits_fit_what_amends_by_hand(tmp_path):
    (edit,) = standing([decision(kind="edit", field="response", after="new")]).edits
    file = tmp_path / "edits.jsonl"
    file.write_text(json.dumps(vars(edit)), "utf-8")
    assert amend.read_edits(file) == [edit] == [replace(edit)]


def test_one_more_decision_costs_as_much_however_many_there_are(tmp_path, monkeypatch):
    file = written(tmp_path, *[LINE | {"id": f"x:{n}", "why": "because " * 20} for n in range(2_000)])
    before, inode = file.read_bytes(), file.stat().st_ino
    parsed = []
    whole = decisions._decided
    monkeypatch.setattr(
        decisions, "_decided", lambda file, content: parsed.append(len(content)) or whole(file, content)
    )
    monkeypatch.setattr(decisions, "write_bytes", None)  # which writes a file anew
    add_decisions(file, [decision("y:1")])
    assert sum(parsed) < 1_000 < len(before)
    assert file.stat().st_ino == inode
    assert file.read_bytes().startswith(before)
    assert "y:1" in read_decisions(file).rejected


@pytest.mark.parametrize("bytes_left", [1, 40, 90])
def test_a_torn_last_line_is_named_when_it_is_read_and_when_another_is_added(bytes_left, tmp_path):
    file = written(tmp_path, LINE)
    file.write_bytes(file.read_bytes() + json.dumps(LINE | {"id": "x:2"}).encode()[:bytes_left])
    before = file.read_bytes()
    for use in (read_decisions, lambda file: add_decisions(file, [decision("x:3")])):
        with pytest.raises(PipelineError, match="a line is no decision") as caught:
            use(file)
        assert caught.value.where == f"{file}, line 3"
        assert "take this line out" in caught.value.next
    assert file.read_bytes() == before


def test_when_a_disk_is_full_the_file_is_as_it_was(tmp_path, monkeypatch):
    file = written(tmp_path, LINE)
    before = file.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("curate.decisions.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        add_decisions(file, [decision("x:2"), decision("x:3")])
    assert file.read_bytes() == before


def test_a_last_line_may_be_long_and_blank_ones_may_follow(tmp_path):
    file = written(tmp_path, EDIT | {"after": "word " * 40_000})
    file.write_bytes(file.read_bytes() + b"\r\n \n")
    add_decisions(file, [decision("x:2")])
    assert {each.id for each in read_decisions(file).standing} == {"x:1", "x:2"}


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n \n"])
def test_a_file_of_blank_lines_is_begun(content, tmp_path):
    file = tmp_path / "decisions.jsonl"
    file.write_bytes(content)
    add_decisions(file, [decision()])
    assert set(read_decisions(file).rejected) == {"x:1"}


def test_of_a_table_only_the_records_asked_for_are_decoded(tmp_path):
    read_table({"id": "x:1"}, {"id": "x:2"}).collect().write_parquet(tmp_path / "read.parquet")
    plans = []
    scanned = pl.scan_parquet(tmp_path / "read.parquet")

    class Watched:
        def filter(self, wanted):
            plans.append(scanned.filter(wanted).explain())
            return scanned.filter(wanted)

    assert set(contents(Watched(), ["x:2"])) == {"x:2"}
    assert "FILTER" not in plans[0]
    assert "SELECTION: " in plans[0]  # of the scan, which looks at ids alone and decodes texts where they fit
