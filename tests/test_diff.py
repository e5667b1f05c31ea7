"""What differs between two runs is told by row, by reason and by setting, and nothing else is said to differ."""

from __future__ import annotations

import json

import polars as pl
import pytest
from click.testing import CliRunner

import curate
from curate.cli import cli
from curate.errors import CurateError, ReproducibilityError
from tests.walk import PIPELINE, lay_out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def walked(folder):
    return curate.run(lay_out(folder), runs=folder / "runs")


@pytest.fixture(scope="module")
def lifted(folder, walked):
    return curate.run(folder / "walk.toml", runs=walked.path.parent, without=["first_person"])


def ends(run):
    return {row["id"]: row for row in run.ledger.collect().to_dicts()}


def test_a_run_does_not_differ_from_itself(walked):
    found = walked.diff(walked)
    assert found.rows.is_empty()
    assert found.settings.is_empty()
    assert found.counts()["both"] == walked.ledger.collect().height


def test_rows_are_those_that_end_otherwise_and_only_those(walked, lifted):
    found = walked.diff(lifted)
    a, b = ends(walked), ends(lifted)
    verdicts = lifted.table("verdicts").filter(pl.col("first_person").is_not_null()).select("id").collect()
    expected = {id for id in a if (a[id]["state"]) != b[id]["state"]} | set(verdicts["id"])
    assert set(found.rows["id"]) == expected
    for row in found.rows.to_dicts():
        assert (row["state_a"], row["detail_b"]) == (a[row["id"]]["state"], b[row["id"]]["detail"])
    assert found.rows["id"].is_sorted()


def test_lost_and_gained_are_the_two_sides_of_the_kept_set(walked, lifted):
    found = walked.diff(lifted)
    kept = [{id for id, row in ends(run).items() if row["state"] == "kept"} for run in (walked, lifted)]
    assert set(found.lost["id"]) == kept[0] - kept[1] != set()
    assert set(found.gained["id"]) == kept[1] - kept[0] != set()
    assert found.counts()["kept_a"] == len(kept[0])
    back = lifted.diff(walked)
    assert set(back.lost["id"]) == set(found.gained["id"])


def test_states_count_every_record_once_and_reasons_what_one_run_alone_says(walked, lifted):
    found = walked.diff(lifted)
    assert found.states["records"].sum() == len(ends(walked))
    said = {row["reason"]: row for row in found.reasons.to_dicts()}
    hits = walked.verdicts.filter(pl.col("reasons").list.contains("first_person")).collect().height
    assert said["first_person"] == {"reason": "first_person", "a": hits, "b": 0, "only_a": hits, "only_b": 0}
    assert said["too_short"]["only_a"] == said["too_short"]["only_b"] == 0


def test_settings_name_the_innermost_key_that_differs(walked, lifted, tmp_path):
    found = walked.diff(lifted).settings.to_dicts()
    assert found == [{"setting": "sources.mine.rules.first_person.lifted", "a": "false", "b": "true"}]
    other = PIPELINE.replace("min_chars = 100", "min_chars = 130").replace(
        "low_score = {", "poor = { use='low_score',"
    )
    file = lay_out(tmp_path, pipeline=other)
    (tmp_path / "data" / "c.jsonl").write_text('{"prompt": "one", "response": "two", "score": 1, "topic": "t"}\n')
    by_name = {row["setting"]: row for row in walked.diff(curate.run(file, runs=tmp_path)).settings.to_dicts()}
    assert by_name["sources.mine.rules.too_short.min_chars"]["b"] == "130"
    assert by_name["sources.mine.rules.low_score"]["b"] == ""
    assert by_name["input.mine/c.jsonl"]["a"] != by_name["input.mine/c.jsonl"]["b"]
    assert "input.mine/a.jsonl" not in by_name


def told(found):
    return {row["setting"]: (row["a"], row["b"]) for row in found.settings.to_dicts()}


def test_a_sample_says_that_it_is_one(folder, walked):
    sample = curate.run(folder / "walk.toml", runs=walked.path.parent, sample=20)
    assert told(walked.diff(sample)) == {"sample": ("", "20")}


def test_files_beside_the_inputs_differ_by_what_is_in_them(tmp_path):
    named = 'amend = "edits.jsonl"\nexclude = "out.txt"\n' + PIPELINE.replace(
        "license =", 'groups = "groups.toml"\nlicense ='
    )
    runs = []
    for word in ("one", "two"):
        file = lay_out(tmp_path, files=("a",), pipeline=named)
        edit = {"id": "jsonl:1", "field": "prompt", "text": word, "why": "a test"}
        (tmp_path / "edits.jsonl").write_text(json.dumps(edit) + "\n")
        (tmp_path / "out.txt").write_text("jsonl:2\n" if word == "one" else "jsonl:4\n")
        (tmp_path / "groups.toml").write_text(f'{word} = ["topic-1"]\n')
        runs.append(curate.run(file, runs=tmp_path / word))
    assert set(told(runs[0].diff(runs[1]))) == {"file.amend", "file.exclude", "file.sources.mine.groups"}


def test_another_order_of_rules_is_a_setting_and_no_other_end(walked, tmp_path):
    turned = PIPELINE.replace("removed = {}\n", "").replace(
        "first_person = {}\n", "first_person = {}\nremoved = {}\n"
    )
    found = walked.diff(curate.run(lay_out(tmp_path, pipeline=turned), runs=tmp_path / "runs"))
    (order,) = told(found)
    assert order == "sources.mine.rules in order"
    assert found.rows.is_empty()


def test_records_in_one_run_only_are_told(walked, tmp_path):
    fewer = curate.run(lay_out(tmp_path, files=("a", "b")), runs=tmp_path / "runs")
    found = walked.diff(fewer)
    gone = found.rows.filter(pl.col("state_b").is_null())
    assert gone.height == found.counts()["only_a"] == len(ends(walked)) - len(ends(fewer))
    assert gone["id"].str.starts_with("jsonl:2").sum() >= 60
    assert {each["id"] for each in found.examples(gone.head(2))} == set(gone["id"].head(2))


def test_a_record_with_another_text_differs_even_where_it_ends_the_same(walked, tmp_path):
    edit = {"id": "jsonl:1", "field": "prompt", "text": "Another question?", "why": "a test"}
    (tmp_path / "edits.jsonl").write_text(json.dumps(edit) + "\n")
    edited = curate.run(lay_out(tmp_path, pipeline='amend = "edits.jsonl"\n' + PIPELINE), runs=tmp_path / "runs")
    found = walked.diff(edited)
    assert found.rows.filter("other_text")["id"].to_list() == ["jsonl:1"]
    assert found.counts()["other_text"] == 1


def test_ranges_of_ids_change_nothing(walked, lifted, monkeypatch):
    import curate.diff

    whole = walked.diff(lifted)
    monkeypatch.setattr(curate.diff, "_RANGE", 7)
    pieces = walked.diff(lifted)
    assert pieces.rows.equals(whole.rows)
    assert pieces.states.equals(whole.states)


def test_what_cannot_be_compared_is_named(walked, tmp_path):
    with pytest.raises(ReproducibilityError, match="there is no such run folder"):
        curate.load(tmp_path / "nothing")
    (tmp_path / "begun" / "stages").mkdir(parents=True)
    with pytest.raises(CurateError, match="the run is not finished"):
        walked.diff(curate.load(tmp_path / "begun"))
    with pytest.raises(CurateError, match="this is no run folder"):
        walked.diff(curate.load(tmp_path))
    tables = {name: table for name, table in walked.manifest["tables"].items() if name != "verdicts"}
    older = curate.Run(walked.path, walked.manifest | {"tables": tables})
    with pytest.raises(ReproducibilityError, match="it has no table 'verdicts'"):
        walked.diff(older)


def test_shifts_are_of_kept_rows_and_of_the_evidence_that_both_have(walked, lifted):
    shifts = {(row["name"], row["of"]): row for row in walked.diff(lifted).shifts}
    kept = [run.ledger.filter(pl.col("state") == "kept").select("id", "detail") for run in (walked, lifted)]
    records = [run.records.join(own, on="id").collect() for run, own in zip((walked, lifted), kept, strict=True)]
    domain = {row["category"]: (row["a"], row["b"]) for row in shifts["domain", "kept"]["rows"]}
    for name, counts in domain.items():
        assert counts == tuple(int((each["domain"] == name).sum()) for each in records)
    length = shifts["response", "kept"]
    for side, own in zip("ab", records, strict=True):
        assert length[side]["n"] == own["response"].len() - own["response"].null_count()
        assert length[side]["max"] == own["response"].str.len_chars().max()
    # What a rule measures of a record does not change when it is lifted, and what is kept by it does.
    assert shifts["evidence:first_person", "judged"]["shift"] == 0
    found = {row["category"]: (row["a"], row["b"]) for row in shifts["evidence:first_person", "kept"]["rows"]}
    assert found["found"][0] == 0 < found["found"][1]
    assert shifts["evidence:too_short", "kept"]["a"]["min"] >= 100
    assert {name for name, _ in shifts} >= {
        "split",
        "source",
        "license",
        "score:mine",
        "language_response",
        "prompt",
    }


def test_evidence_is_of_the_records_that_a_rule_asks_of(walked, lifted):
    shifts = {(row["name"], row["of"]): row for row in walked.diff(lifted).shifts}
    for side, run in (("n_a", walked), ("n_b", lifted)):
        answered = run.records.filter(pl.col("response").is_not_null()).select("id").collect()
        silent = run.records.filter(pl.col("response").is_null()).select("id").collect()
        judged, kept = run.verdicts.collect(), run.ledger.filter(pl.col("state") == "kept").collect()
        assert judged["id"].is_in(silent["id"].implode()).any()
        assert kept["id"].is_in(silent["id"].implode()).any()
        for rows, of in ((judged, "judged"), (kept, "kept")):
            expected = int(rows["id"].is_in(answered["id"].implode()).sum())
            assert shifts["evidence:first_person", of][side] == expected


def test_evidence_is_of_the_sources_that_have_the_rule_each_with_its_field(folder):
    rules = {
        "one": 'ends_with_colon = { of = "response" }',
        "two": 'ends_with_colon = { of = "context" }',
        "three": 'low_score = { min = 2, unknown = "keep" }',
    }
    (folder / "fields").mkdir()
    tables = []
    for name, rule in rules.items():
        rows = [
            {
                "id": f"{name}-{n}",
                "prompt": f"{name} {n}?",
                "response": None if n % 2 else f"{n}.",
                "context": f"{n}" if n % 3 else None,
            }
            for n in range(12)
        ]
        (folder / "fields" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        tables.append(f'[[source]]\nuse = "jsonl"\nname = "{name}"\npath = "fields/{name}.jsonl"\n')
        tables.append(f'[source.filters]\n{rule}\n\n[[select.quota]]\nfrom = "{name}"\n')
    (folder / "fields.toml").write_text("\n".join(['name = "fields"\n', *tables]))
    run = curate.run(folder / "fields.toml", runs=folder / "runs")
    shifts = {(row["name"], row["of"]): row for row in run.diff(run).shifts}
    # Six rows of one have a response, eight of two a context, and three has no such rule.
    assert shifts["evidence:ends_with_colon", "judged"]["rows"] == [{"category": "not found", "a": 14, "b": 14}]


def test_a_run_is_not_shifted_from_itself(walked):
    assert {row["shift"] for row in walked.diff(walked).shifts} == {0}


def test_shifts_come_the_largest_first_and_the_same_each_time(walked, lifted):
    found = [walked.diff(lifted).shifts for _ in range(2)]
    assert found[0] == found[1]
    sizes = [row["shift"] for row in found[0]]
    assert sizes == sorted(sizes, reverse=True)
    back = {(row["name"], row["of"]): row["shift"] for row in lifted.diff(walked).shifts}
    assert back == {(row["name"], row["of"]): row["shift"] for row in found[0]}


def invoked(*arguments):
    result = CliRunner().invoke(cli, ["diff", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("width", ["80", "120"])
def test_the_command_tells_settings_counts_and_rows_within_the_width(walked, lifted, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    shown = invoked(walked.path, lifted.path, "--rows", "1")
    for part in ("rules.first_person.lifted", "Records by state", "A only", "Kept in A and not in B: 1 of"):
        assert part in shown
    # The folders of a test's run may be longer than a line.
    assert max(len(line) for line in shown.split("\n") if "/" not in line) <= int(width)
    assert "  prompt    " not in invoked(walked.path, lifted.path, "--rows", "0")


def test_the_command_prints_json(walked, lifted):
    told = json.loads(invoked(walked.path, lifted.path, "--json", "--rows", "2"))
    found = walked.diff(lifted)
    assert told["counts"] == found.counts()
    assert [row["id"] for row in told["lost"]] == found.lost["id"].head(2).to_list()
    assert "lost and" in repr(found)
    assert "first_person" in found._repr_html_()
    assert "Length of responses" in found._repr_html_()
    assert [row["name"] for row in told["shifts"]] == [row["name"] for row in found.shifts]
