"""Two files are compared row by row: by what rows say, by their own ids, by what they ask."""

from __future__ import annotations

import json

import polars as pl
import pytest
from click.testing import CliRunner

from curate.cli import cli
from curate.errors import PipelineError
from curate.keys import draws
from curate.metrics import Prepared, Sample
from curate.record import message
from curate.reporting import compared, open_files
from tests.walk import prose


def row(seed, response=None, **more):
    return {"prompt": f"What is {prose(seed, 4)}", "response": response or prose(seed, 20), **more}


@pytest.fixture
def opened(tmp_path, write_jsonl):
    """Open rows as a file of the given name."""

    def open_rows(name, rows):
        return open_files(write_jsonl(name, rows), runs=tmp_path / "runs")

    return open_rows


def ends(found):
    return {kind: int((found.rows["end"] == kind).sum()) for kind in ("lost", "gained", "changed")}


def test_rows_are_the_same_changed_lost_or_gained(opened):
    a = opened("a.jsonl", [row(n) for n in range(20)])
    b = opened("b.jsonl", [row(n, prose(900 + n, 30) if n in {3, 4} else None) for n in range(2, 25)])
    found = a.diff(b)
    assert found.same == 16
    assert ends(found) == {"lost": 2, "gained": 5, "changed": 2}
    assert found.changed["by"].to_list() == ["prompt", "prompt"]
    assert found.changed["differs"].to_list() == ["response", "response"]
    n = found.counts()
    assert (n["rows_a"], n["rows_b"]) == (20, 23)


def test_a_file_does_not_differ_from_itself_in_another_order_or_layout(opened):
    rows = [row(n, context=f"about {n}" if n % 3 else None) for n in range(12)]
    messages = [
        {
            "messages": [
                {"role": "user", "content": f"{r['prompt']}\n\n{r['context']}" if r["context"] else r["prompt"]},
                {"role": "assistant", "content": r["response"]},
            ]
        }
        for r in reversed(rows)
    ]
    found = opened("a.jsonl", rows).diff(opened("b.jsonl", messages))
    assert found.rows.is_empty()
    assert found.same == 12
    assert all(shift["shift"] == 0 for shift in found.shifts)


def test_rows_said_more_than_once_are_matched_one_by_one(opened):
    found = opened("a.jsonl", [row(1)] * 3 + [row(2)]).diff(opened("b.jsonl", [row(1), row(2), row(2)]))
    assert found.same == 2
    assert ends(found) == {"lost": 2, "gained": 1, "changed": 0}


def test_own_ids_tell_what_has_another_prompt_and_response(opened):
    rows = [row(n, id=f"r{n}") for n in range(10)]
    other = [*rows[:8], row(70, id="r8"), row(71, id="r20")]
    found = opened("a.jsonl", rows).diff(opened("b.jsonl", other))
    assert found.ids_told
    assert found.changed.select("id_a", "by", "differs").rows() == [("jsonl:r8", "id", "prompt and response")]
    assert ends(found) == {"lost": 1, "gained": 1, "changed": 1}


def test_ids_that_are_addresses_are_told_apart_by_all_of_them(opened):
    rows = [row(n, id=f"https://example.org/questions/{n}") for n in range(10)]
    moved = [r | {"prompt": row(70 + n)["prompt"]} for n, r in enumerate(rows[:2])]
    other = [*rows[2:9], *reversed(moved), row(90, id="https://example.org/questions/90")]
    found = opened("a.jsonl", rows).diff(opened("b.jsonl", other))
    assert found.ids_told
    assert ends(found) == {"lost": 1, "gained": 1, "changed": 2}
    assert found.changed.select("id_a", "id_b", "differs").rows() == [
        (f"jsonl:https://example.org/questions/{n}",) * 2 + ("prompt",) for n in (0, 1)
    ]


def test_ids_that_are_but_places_are_not_gone_by(opened):
    rows = [row(n) for n in range(10)]
    numbered = [[r | {"id": place} for place, r in enumerate(each)] for each in (rows, [row(99), *rows[:-1]])]
    found = opened("a.jsonl", numbered[0]).diff(opened("b.jsonl", numbered[1]))
    assert not found.ids_told
    assert found.same == 9
    assert ends(found) == {"lost": 1, "gained": 1, "changed": 0}


def test_an_empty_response_is_not_the_same_as_none(opened):
    silent = [row(1), {"prompt": "Well?", "response": ""}]
    found = opened("a.jsonl", silent).diff(opened("b.jsonl", [row(1), {"prompt": "Well?", "response": None}]))
    assert ends(found)["changed"] == 1


def test_earlier_turns_and_system_messages_are_part_of_what_is_asked(opened):
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
    found = opened("a.jsonl", [{"messages": turns}, {"messages": turns[:1] + turns[1:] + turns}]).diff(
        opened(
            "b.jsonl", [{"messages": [{"role": "system", "content": "Be brief."}, *turns]}, {"messages": turns}]
        )
    )
    assert found.same == 1
    assert ends(found) == {"lost": 1, "gained": 1, "changed": 0}


def test_rows_that_could_not_be_read_are_counted_on_either_side(tmp_path, write_jsonl):
    a = write_jsonl("a.jsonl", [row(n) for n in range(5)])
    b = tmp_path / "b.jsonl"
    b.write_text(a.read_text() + '{"prompt": broken\n')
    n = compared(str(a), str(b), runs=tmp_path / "runs").counts()
    assert (n["unreadable_a"], n["unreadable_b"], n["same"]) == (0, 1, 5)


def test_rows_with_the_id_of_another_are_told(opened):
    a = opened("a.jsonl", [row(n, id=n // 2) for n in range(6)])
    found = a.diff(opened("b.jsonl", [row(n, id=n) for n in range(6)]))
    n = found.counts()
    assert (n["rows_a"], n["shared_id_a"], n["shared_id_b"]) == (3, 3, 0)
    assert found.plain(0)["not_compared"] == ["3 rows of A have the id of another row, and are not compared."]


def test_shifts_of_files_are_of_all_their_rows_and_name_no_source(opened):
    a = opened("a.jsonl", [row(n, domain="x" if n % 2 else "y") for n in range(20)])
    b = opened("b.jsonl", [row(n, domain="x") for n in range(20)])
    shifts = {shift["name"]: shift for shift in a.diff(b).shifts}
    assert shifts["domain"]["shift"] == 0.5
    assert [each["category"] for each in shifts["first_word"]["rows"]] == ["what"]
    assert not {"source", "split"} & shifts.keys()
    assert {shift["of"] for shift in shifts.values()} == {"all"}


def test_styles_are_of_the_rows_with_a_response(opened):
    listed = "First this:\n- one\n- two\n- three"
    a = opened("a.jsonl", [row(n, listed) for n in range(4)] + [{"prompt": "Well?", "response": None}])
    b = opened("b.jsonl", [row(n, listed if n else None) for n in range(4)])
    lists = next(shift for shift in a.diff(b).shifts if shift["name"] == "style:lists")
    assert (lists["n_a"], lists["n_b"], lists["shift"]) == (4, 4, 0.25)
    assert lists["title"] == "Responses with a list"


def test_styles_are_asked_of_the_prompt_with_its_context(opened):
    text = prose(5, 40)
    split = [{"prompt": "Repeat this.", "context": text, "response": f"{text} {n}"} for n in range(4)]
    whole = [{"prompt": f"Repeat this.\n\n{text}", "response": each["response"]} for each in split]
    a, b = opened("a.jsonl", split), opened("b.jsonl", whole)
    shifts = {shift["name"]: shift for shift in a.diff(b).shifts}
    assert {name for name, shift in shifts.items() if shift["shift"]} == set()
    said = a.records.select("id", message().alias("prompt"), "response", category="domain").collect()
    shares = Prepared(Sample(said.with_columns(draws(said["id"]))), seed=1).values(range(4))
    yes = {
        name: sum(row["a"] for row in shifts[name]["rows"] if row["category"] == "yes")
        for name in shifts
        if name.startswith("style:")
    }
    assert {name.partition(":")[2]: count / 4 for name, count in yes.items()}.items() <= shares.items()


def test_examples_are_drawn_by_id_and_show_what_differs(opened):
    rows = [row(n) for n in range(40)]
    found = opened("a.jsonl", rows).diff(
        opened("b.jsonl", [row(n, row(n)["response"] + " More.") for n in range(40)])
    )
    drawn = found.drawn("changed", 5)
    assert drawn.height == 5
    assert drawn.equals(found.drawn("changed", 5))
    assert set(found.drawn("changed", 3)["id_a"]) < set(drawn["id_a"])
    for example in found.examples(drawn):
        assert list(example["apart"]) == ["response"]
        assert ("differs" in {kind for _, kind in example["apart"]["response"]["b"]}) is True


def invoked(*arguments, exit_code=0):
    result = CliRunner().invoke(cli, ["diff", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.mark.parametrize("width", ["80", "120"])
def test_the_command_tells_rows_and_shifts_within_the_width(tmp_path, write_jsonl, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    a = write_jsonl("a.jsonl", [row(n) for n in range(20)])
    b = write_jsonl("b.jsonl", [row(n, prose(900 + n, 60) if n == 3 else None) for n in range(2, 25)])
    shown = invoked(a, b, "--runs", tmp_path / "runs", "--rows", "1").stdout
    for part in ("A  a.jsonl", "the same in both", "same prompt, another response", "Only in B: 1 of 5"):
        assert part in shown
    assert max(map(len, shown.split("\n"))) <= int(width)


def test_the_command_prints_json_and_writes_a_page(tmp_path, write_jsonl):
    a, b = (
        write_jsonl(name, [row(n) for n in range(at, at + 5)]) for name, at in (("a.jsonl", 0), ("b.jsonl", 2))
    )
    page = tmp_path / "pages" / "diff.html"
    told = json.loads(invoked(a, b, "--json", "--html", page, "--runs", tmp_path / "runs").stdout)
    assert told["kind"] == "files"
    assert (told["counts"]["lost"], told["counts"]["gained"], len(told["lost"])) == (2, 2, 2)
    assert "3 rows the same in both" in page.read_text("utf-8")


def test_a_run_and_a_file_are_not_compared(tmp_path, write_jsonl):
    file = write_jsonl("a.jsonl", [row(1)])
    (tmp_path / "ran" / "stages").mkdir(parents=True)
    with pytest.raises(PipelineError, match="is a run, and") as error:
        compared(str(file), str(tmp_path / "ran"))
    assert "train.jsonl" in error.value.next


@pytest.mark.real
def test_the_cleaned_alpaca_is_found_in_the_published_one(real_data, tmp_path):
    folder = real_data / "self_instruct"
    a, b = (
        open_files(folder / name, runs=tmp_path / "runs")
        for name in ("alpaca_data.json", "alpaca_data_cleaned_1000.json")
    )
    found = a.diff(b)
    assert found.counts() | {"unreadable_a": 0, "unreadable_b": 0} == found.counts()
    assert (found.counts()["rows_a"], found.counts()["rows_b"]) == (52_002, 1_000)
    assert found.same + found.changed.height > 850  # cleaning replaced most outputs and few instructions
    assert found.rows.filter(pl.col("end") == "changed")["differs"].unique().to_list() == ["response"]
    longer = next(shift for shift in found.shifts if shift["name"] == "response")
    assert longer["b"]["median"] > longer["a"]["median"]
