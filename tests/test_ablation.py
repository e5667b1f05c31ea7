"""Leaving one rule out reads nothing again, and tells what the rule alone keeps out of the set."""

from __future__ import annotations

import json

import polars as pl
import pytest
from click.testing import CliRunner

import curate
from curate.cli import cli
from curate.errors import PipelineError
from curate.registry import get
from tests.walk import PIPELINE, contents, lay_out

GERMAN = (
    "Der Teig ruht über Nacht im Kühlschrank und wird am Morgen noch einmal kräftig geknetet. Danach kommt er in"
    " eine Form, die vorher mit Butter bestrichen wurde. Während der Ofen heiß wird, geht das Brot ein zweites Mal"
    " auf. Nach einer Stunde ist die Kruste braun, und das Haus duftet nach frischem Brot."
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablated")
    lay_out(folder)
    return folder


@pytest.fixture(scope="module")
def ablation(folder):
    return curate.ablate(folder / "walk.toml", runs=folder / "runs")


def made(run):
    return {name for name, tally in run.manifest["parts"].items() if tally["made"]}


def unread(monkeypatch):
    """From now on, a source that is called and a rule whose evidence is computed are an error."""
    monkeypatch.setattr(type(get("sources", "jsonl")), "__call__", None)
    monkeypatch.setattr("curate.judge._evidence_part", forbidding_text)


def forbidding_text(scan, rules):
    from curate.judge import evidence

    assert all("measure:" in str(rule.verdict.evidence.meta.root_names()) for rule in rules)
    return evidence(scan(), rules).collect().sort("id")


def test_without_a_rule_nothing_is_read_and_no_evidence_computed_again(tmp_path, monkeypatch):
    file = lay_out(tmp_path)
    first = curate.run(file, runs=tmp_path / "runs")
    unread(monkeypatch)
    run = curate.run(file, runs=tmp_path / "runs", without=["first_person"])
    assert run.name == "walk-without-first_person"
    assert not made(run) & {"read", "records", "amendments", "evidence"}
    assert run.manifest["parts"]["evidence"]["found"] == 3
    parts = [sorted((each.path / "stages").glob("evidence-*/part-*.parquet")) for each in (first, run)]
    assert all(one.samefile(two) for one, two in zip(*parts, strict=True))


def test_a_lifted_rule_rejects_nothing_and_what_it_frees_goes_through_all_later_stages(folder, ablation):
    run = curate.run(folder / "walk.toml", runs=folder / "runs", without=["first_person"])
    verdicts = run.verdicts.collect()
    assert not verdicts["reasons"].explode().is_in(["first_person"]).any()
    before = ablation.run.ledger.filter(pl.col("detail") == "first_person").select("id").collect()["id"]
    freed = run.ledger.filter(pl.col("id").is_in(before.implode())).collect()
    assert set(freed["state"]) == {"kept", "not drawn"}
    measured = run.table("verdicts_measured").select("id", "wrong_language").collect()
    assert dict(measured.iter_rows())[before[0]] == "en"
    assert set(before) <= set(measured["id"])


def test_why_and_report_show_the_evidence_of_a_lifted_rule_and_say_that_it_is_lifted(folder, ablation):
    before = ablation.run.ledger.filter(pl.col("detail") == "first_person").select("id").collect()["id"][0]
    run = curate.run(folder / "walk.toml", runs=folder / "runs", without=["first_person"])
    assert "first_person: “I think” found; the rule is lifted" in str(run.why(before))
    rule = next(rule for rule in run.numbers["rules"] if rule["name"] == "first_person")
    assert (rule["lifted"], rule["hit"], rule["judged"]) == (True, 0, 180)
    assert run.numbers["summary"]["lifted"] == ["first_person"]
    assert "Lifted for this run: first_person." in (run.path / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("ablation")
def test_no_measure_is_taken_for_a_lifted_rule_alone(folder, monkeypatch):
    monkeypatch.setattr("curate.measuring.measure", None)
    run = curate.run(folder / "walk.toml", runs=folder / "runs", without=["wrong_language"])
    assert not [name for name in run.tables if name.startswith("language")]
    kept = run.ledger.filter(pl.col("state") == "kept").select("id").head(1).collect().item()
    assert "wrong_language: not judged, the rule is lifted" in str(run.why(kept))


@pytest.mark.usefixtures("ablation")
def test_two_lifted_rules_have_a_folder_of_their_own_whatever_their_order(folder):
    runs = [
        curate.run(folder / "walk.toml", runs=folder / "runs", without=names)
        for names in (["too_short", "low_score"], ["low_score", "too_short"])
    ]
    assert {run.name for run in runs} == {"walk-without-low_score+too_short"}


def test_many_lifted_rules_have_a_folder_whose_name_file_systems_take(tmp_path):
    names = [f"too_short_for_the_purpose_number_{n}" for n in range(10)]
    rules = "".join(f'{name} = {{ use = "too_short", min_chars = {n} }}\n' for n, name in enumerate(names))
    file = lay_out(tmp_path, files=("a",), pipeline=PIPELINE.replace("[filters]\n", f"[filters]\n{rules}"))
    found = [curate.run(file, runs=tmp_path / "runs", without=lifted).name for lifted in (names, names[1:])]
    assert [name[:21] for name in found] == ["walk-without-10-rules", "walk-without-9-rules-"]


def test_evidence_of_several_lines_is_told_on_one(tmp_path):
    (tmp_path / "data").mkdir()
    row = {"prompt": "Sing.", "response": "Once.\n" + "and round and\nround it goes again\n" * 6}
    (tmp_path / "data" / "a.jsonl").write_text(json.dumps(row) + "\n")
    file = tmp_path / "song.toml"
    source = '[[source]]\nuse = "jsonl"\npath = "data/*.jsonl"\nlicense = "CC0-1.0"\n'
    file.write_text(f'name = "song"\n{source}[filters]\nrepeats_itself = {{}}\n')
    found = curate.ablate(file, runs=tmp_path / "runs")
    assert found.examples["evidence"].to_list() == ["and round and round it goes again"]
    assert "  - evidence: and round and round it goes again\n" in (found.run.path / "ablation.md").read_text()


def test_a_rule_that_judges_nothing_is_a_row_of_zeros(tmp_path):
    pipeline = PIPELINE.replace('name = "mine"', 'name = "mine"\nlanguage = "de"')
    pipeline = pipeline.replace("min_chars = 100", "min_chars = 100_000")
    found = curate.ablate(lay_out(tmp_path, files=("a",), pipeline=pipeline), runs=tmp_path / "runs").table
    zeros = found.filter(pl.col("rule").is_in(["first_person", "wrong_language"]))
    assert zeros["alone"].to_list() == [0, 0]
    assert zeros.filter(rule="first_person")["judged"].item() == 0


@pytest.mark.parametrize("count", ["sample", "workers"])
def test_a_number_of_nothing_is_refused(folder, count):
    with pytest.raises(PipelineError, match=f"`{count}` is 0"):
        curate.ablate(folder / "walk.toml", runs=folder / "runs", **{count: 0})


def test_each_rule_counts_what_a_run_without_it_shows(folder, ablation):
    base = {row["id"]: row for row in ablation.run.ledger.collect().to_dicts()}
    kept = {id for id, row in base.items() if row["state"] == "kept"}
    assert ablation.table["rule"].to_list() == [rule["name"] for rule in ablation.run.numbers["rules"]]
    for row in ablation.table.to_dicts():
        run = curate.run(folder / "walk.toml", runs=folder / "runs", without=[row["rule"]])
        without = {each["id"]: each["state"] for each in run.ledger.collect().to_dicts()}
        freed = [id for id, each in base.items() if each["detail"] == row["rule"] and each["state"] == "rejected"]
        assert row["alone"] == len(freed)
        for state in ("rejected", "duplicate", "not drawn", "kept"):
            assert row[f"then_{state.replace(' ', '_')}"] == sum(without[id] == state for id in freed), state
        now = {id for id, state in without.items() if state == "kept"}
        assert (row["gained"], row["lost"]) == (len(now - kept), len(kept - now))
    by_rule = {row["rule"]: row for row in ablation.table.to_dicts()}
    assert by_rule["too_short"]["then_duplicate"] > by_rule["too_short"]["then_kept"] > 0
    assert by_rule["low_score"]["then_not_drawn"] > 0


def test_a_freed_record_may_fall_to_a_rule_on_measures(tmp_path):
    german = json.dumps(
        {
            "id": "german",
            "score": 9,
            "topic": "t",
            "prompt": "p",
            "response": GERMAN + " I think.",
        }
    )
    file = lay_out(tmp_path, files=("a",))
    with (tmp_path / "data" / "a.jsonl").open("a") as data:
        data.write(german + "\n")
    file.write_text(PIPELINE.replace("low_score = { min = 2", "low_score = { min = -1"))
    found = curate.ablate(file, rules=["first_person"], runs=tmp_path / "runs")
    (row,) = found.table.to_dicts()
    assert row["then_rejected"] == 1


def test_lifting_a_mask_gives_the_text_back(tmp_path):
    file = lay_out(tmp_path, files=("a",))
    with (tmp_path / "data" / "a.jsonl").open("a") as data:
        data.write(
            json.dumps(
                {
                    "id": "mail",
                    "score": 9,
                    "topic": "t",
                    "prompt": "p",
                    "response": "Write to jo@rye-bread.net. " * 9,
                }
            )
            + "\n"
        )
    file.write_text(PIPELINE.replace("removed = {}", 'removed = {}\nemail_address = { then = "mask" }'))
    run = curate.run(file, runs=tmp_path / "runs")
    (row,) = curate.ablate(file, rules=["email_address"], runs=tmp_path / "runs").table.to_dicts()
    assert (row["masked"], row["rejected"], row["alone"]) == (1, 0, 0)
    without = curate.run(file, runs=tmp_path / "runs", without=["email_address"])
    assert run.diff(without).rows.filter("other_text")["id"].to_list() == ["jsonl:mail"]


def test_examples_are_freed_records_and_those_first_that_are_then_kept(ablation):
    for rule, rows in ablation.examples.group_by("rule", maintain_order=True):
        counts = ablation.table.filter(pl.col("rule") == rule[0]).to_dicts()[0]
        assert rows.height == min(3, counts["alone"])
        assert (rows["state"] == "kept").sum() == min(3, counts["then_kept"])
    spoken = ablation.examples.filter(pl.col("rule") == "first_person")
    assert spoken["evidence"].to_list() == ["I think"] * 3
    assert all(response.index("I think") < 40 for response in spoken["response"])


def test_ablating_writes_its_table_and_changes_nothing_of_the_run(folder, ablation):
    told = json.loads((ablation.run.path / "ablation.json").read_text())
    assert [row["rule"] for row in told["rules"]] == ablation.table["rule"].to_list()
    assert told == ablation.plain
    assert "| `first_person` | 180 | 18 |" in (ablation.run.path / "ablation.md").read_text()
    assert ablation.run.verify() == []
    before = contents(ablation.run.path)
    curate.ablate(folder / "walk.toml", runs=folder / "runs")
    assert contents(ablation.run.path) == before
    assert "first_person" in repr(ablation)
    assert "first_person" in ablation._repr_html_()


def test_an_ablation_goes_when_the_records_of_its_run_end_otherwise(tmp_path):
    file = lay_out(tmp_path, files=("a",))
    found = curate.ablate(file, rules=["removed"], runs=tmp_path / "runs")
    written = [found.run.path / name for name in ("ablation.json", "ablation.md")]
    curate.run(file, runs=tmp_path / "runs")
    assert all(each.exists() for each in written)
    file.write_text(PIPELINE.replace("min_chars = 100", "min_chars = 130"))
    curate.run(file, runs=tmp_path / "runs")
    assert not any(each.exists() for each in written)


def test_an_unknown_rule_is_named_with_the_nearest(folder):
    with pytest.raises(PipelineError, match="no rule is called 'first_persn'") as caught:
        curate.ablate(folder / "walk.toml", rules=["first_persn"], runs=folder / "runs")
    assert "first_person" in caught.value.next


@pytest.mark.usefixtures("ablation")
@pytest.mark.parametrize("width", ["80", "120"])
def test_the_command_shows_a_line_a_rule_within_the_width(folder, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(cli, ["ablate", "walk.toml", "--examples"], catch_exceptions=False)
    assert result.exit_code == 0
    shown = result.stdout
    assert "runs/walk/ablation.md" in shown
    assert "first_person alone rejects, for example" in shown
    (line,) = [line for line in shown.split("\n") if line.startswith("first_person ") and "180" in line]
    assert line.split()[1:4] == ["180", "18", "16"]
    assert max(map(len, shown.split("\n"))) <= int(width)
