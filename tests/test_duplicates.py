"""Groups are told whole, the least similar first, and a screen of 80 columns shows them without breaking."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
from click.testing import CliRunner

import curate
from curate.cli import cli
from curate.errors import CurateError

PIPELINE = """
name = "twins"

[[source]]
use = "jsonl"
name = "first"
path = "first.jsonl"
score = "score"
license = "CC0-1.0"

[[source]]
use = "jsonl"
name = "second"
path = "second.jsonl"
score = "score"
license = "CC-BY-4.0"

[filters]
too_short = { min_chars = 3 }

[[dedup]]
use = "exact"
on = "prompt"
keep = ["source_order", "best_score", "longest"]

[[dedup]]
use = "minhash"
on = "response"
threshold = 0.6
keep = ["source_order", "best_score", "longest"]

[[select.quota]]
from = "first"

[[select.quota]]
from = "second"
"""

WORDS = [f"word{number}" for number in range(60)]


def said(*others):
    """A long answer whose last words are others."""
    return " ".join(WORDS[: len(WORDS) - len(others)] + list(others))


FIRST = [
    {"id": "a", "prompt": "What is a star?", "response": said(), "score": 5},
    {"id": "b", "prompt": "What is a star, please?", "response": said("one", "other"), "score": 3},
    {
        "id": "c",
        "prompt": "Tell me of stars",
        "response": said("one", "two", "three", "four", "five", "six", "seven"),
        "score": 4,
    },
    {"id": "d", "prompt": "How do I bake bread?", "response": "Slowly, and with care.", "score": 12},
    {"id": "e", "prompt": "how do i bake bread?", "response": "Buy it. \u001b[31mred\u001b[0m", "score": 3},
    {"id": "f", "prompt": "Nobody asks this", "response": "Nor answers it at all", "score": 1},
    {"id": "g", "prompt": "x", "response": "no", "score": 1},
]
SECOND = [
    {"id": "p", "prompt": "And again a star", "response": said(), "score": 50},
    {"id": "q", "prompt": "And once more", "response": said(), "score": 40},
    {"id": "r", "prompt": "Alone", "response": "There is nothing like this one", "score": 40},
]


def lines_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twins")
    (folder / "first.jsonl").write_text(lines_of(FIRST), "utf-8")
    (folder / "second.jsonl").write_text(lines_of(SECOND), "utf-8")
    (folder / "set.jsonl").write_text(
        lines_of([{"prompt": "Tell me of stars and suns"}, {"prompt": "how do I bake bread?"}])
    )
    return folder


def finished(folder, text=PIPELINE):
    (folder / "p.toml").write_text(text, "utf-8")
    return curate.run(folder / "p.toml", runs=folder / "runs")


@pytest.fixture(scope="module")
def run(folder):
    return finished(folder)


@pytest.fixture(scope="module")
def against(folder):
    pass_against = '\n[[dedup]]\nuse = "exact"\non = "prompt"\nagainst = "set.jsonl"\n'
    return finished(folder, PIPELINE.replace('"twins"', '"against"') + pass_against)


@pytest.fixture
def shown(run, monkeypatch):
    """What the command prints on a screen of so many columns."""

    def invoke(*arguments, columns=80, path=run.path):
        monkeypatch.setenv("COLUMNS", str(columns))
        result = CliRunner().invoke(cli, ["duplicates", str(path), *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    return invoke


def test_every_dropped_record_stands_in_one_group(run):
    found = run.duplicates()
    table = run.table("duplicates").collect()
    assert set(found.rows["id"]) == set(table["id"]) == {f"jsonl:{id}" for id in "bcepq"}
    groups = found.read(found.groups()["kept_id"].to_list(), rows=None)
    told = [(group.kept_id, member.id) for group in groups for member in group.members]
    assert sorted(told) == sorted(table.select("kept_id", "id").rows())
    assert [group.size for group in groups] == [len(group.members) for group in groups]


def test_the_least_similar_come_first_or_the_largest(run):
    found = run.duplicates()
    assert found.rows["similarity"].is_sorted()
    assert found.groups()["kept_id"].to_list() == ["jsonl:a", "jsonl:d"]
    assert found.groups().row(0) == ("jsonl:a", 4, found.rows["similarity"][0])
    small = found.where(max_similarity=0.9)
    assert small.groups(largest=True)["size"].to_list() == [1]
    assert found.groups(largest=True)["size"].to_list() == [4, 1]


def test_passes_and_sources_are_counted(run):
    found = run.duplicates()
    assert found.passes.select("method", "on", "rows", "groups", "largest").rows() == [
        ("exact", "prompt", 1, 1, 1),
        ("minhash", "response", 4, 1, 4),
    ]
    # `g` was too short to be compared.
    assert found.sources.rows() == [("first", 6, 3, 0.5, 0), ("second", 3, 2, 2 / 3, 2)]
    assert str(found).startswith("9 records were compared: 5 were dropped for 2 that stay.")


def test_those_asked_for_are_shown_and_no_others(run):
    found = run.duplicates()
    assert set(found.where(method="exact").rows["id"]) == {"jsonl:e"}
    assert set(found.where(on="response", source="second").rows["id"]) == {"jsonl:p", "jsonl:q"}
    assert set(found.where(min_similarity=1).rows["id"]) == {"jsonl:e", "jsonl:p", "jsonl:q"}
    assert found.where(min_similarity=0.99, max_similarity=0.999).rows.is_empty()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"method": "minhas"}, "no pass is by 'minhas'.*did you mean 'minhash'"),
        ({"on": "pair"}, "no pass is on 'pair'.*valid names: prompt, response"),
        ({"source": "third"}, "no source is called 'third'.*first, second"),
    ],
)
def test_what_the_run_has_not_is_an_error_that_names_what_it_has(run, asked, words):
    with pytest.raises(CurateError) as error:
        run.duplicates().where(**asked)
    assert re.search(words, str(error.value).replace("\n", " "))


def test_a_group_is_found_by_any_of_its_records(run):
    for id in ("jsonl:a", "jsonl:c", "jsonl:q"):
        assert set(run.duplicates().group(id).rows["kept_id"]) == {"jsonl:a"}
    for id, words in (
        ("jsonl:f", "in no group"),
        ("jsonl:g", "ended as rejected"),
        ("jsonl:", "did you mean|valid"),
    ):
        with pytest.raises(CurateError) as error:
            run.duplicates().group(id)
        assert re.search(words, str(error.value))


def test_the_screen_shows_both_texts_with_what_differs(shown):
    text = " ".join(shown("--limit", 1).split())
    assert "── 1. jsonl:a (first): 4 dropped for it" in text
    assert "and 1 more: --group jsonl:a" in text
    assert "{+word53 word54 word55 word56 word57 word58 word59+}" in text
    assert "[-one two three four five six seven-]" in text
    assert "prompt: Tell me of stars" in text
    assert "--page 2 shows more." in text
    assert "--page" not in shown("--limit", 1, "--page", 2)
    assert "no such page" in shown("--limit", 1, "--page", 3)


def test_a_choice_among_answers_shows_the_answers(shown):
    text = shown("--group", "jsonl:e")
    assert "response: Slowly, and with care." in text
    assert "response: Buy it." in text


@pytest.mark.parametrize("columns", [40, 80, 119, 120, 140])
def test_nothing_is_wider_than_the_screen_and_nothing_moves_its_cursor(shown, columns):
    for options in ([], ["--largest"], ["--group", "jsonl:e"], ["--threshold", "0.8"]):
        text = shown(*options, columns=columns)
        assert max(map(len, text.split("\n"))) <= columns
        assert "\u001b" not in text
        assert all(line == line.rstrip() for line in text.split("\n"))


def test_json_is_a_group_a_line_with_whole_texts(shown):
    groups = [json.loads(line) for line in shown("--json").splitlines()]
    assert [(group["kept_id"], group["size"], len(group["records"])) for group in groups] == [
        ("jsonl:a", 4, 4),
        ("jsonl:d", 1, 1),
    ]
    assert groups[0]["texts"] == {"response": said()}
    assert groups[0]["records"][0]["text"] == FIRST[2]["response"]
    assert len(shown("--json", "--limit", 1, "--page", 2).splitlines()) == 1


def test_another_threshold_is_told_from_stored_pairs(shown, run):
    text = shown("--threshold", 0.97, "--threshold", 0.5)
    assert "minhash on response  0.6  0.97     ?        ?  1 or more       ?          2" in text
    assert "at 0.97: the unmatched are like no record that the run keeps" in " ".join(text.split())
    assert "pairs below 0.6 are not stored" in text
    rows = [json.loads(line) for line in shown("--threshold", 0.97, "--json").splitlines()]
    assert [(row["method"], row["unmatched"], row["gained_least"]) for row in rows] == [("minhash", 2, 1)]
    assert run.duplicates().rethreshold([0.97]).to_dicts() == rows


def test_without_a_pass_it_is_said_that_nothing_was_compared(folder, shown):
    without = PIPELINE[: PIPELINE.index("[[dedup]]")] + PIPELINE[PIPELINE.index("[[select.quota]]") :]
    path = finished(folder, without.replace('"twins"', '"alone"')).path
    assert shown(path=path) == "The pipeline has no [[dedup]]: none of 9 records was compared.\n"
    assert "No pass of this run has a threshold." in shown("--threshold", 0.9, path=path)
    assert "compares with no reference" in shown("--against", path=path)


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    result = CliRunner().invoke(cli, ["duplicates", str(tmp_path)])
    assert isinstance(result.exception, CurateError)


def test_contaminated_records_are_shown_beside_the_reference(against, shown):
    found = against.duplicates(against=True)
    assert found.rows.select("id", "kept_id", "method").sort("id").rows() == [
        ("jsonl:d", "set.jsonl:1", "exact"),
        ("jsonl:e", "set.jsonl:1", "exact"),
    ]
    assert found.sources["came"].sum() == 9
    text = shown("--against", path=against.path)
    assert "── 1. set.jsonl:1: found in 2 records" in text
    assert "reference {+how+} do I bake bread? " in " ".join(text.split())
    (line,) = shown("--against", "--json", path=against.path).splitlines()
    assert {row["id"]: row["reference"] for row in json.loads(line)["records"]} == {
        "jsonl:d": "how do I bake bread?",
        "jsonl:e": "how do I bake bread?",
    }
    assert "jsonl:d" not in shown(path=against.path)


def test_a_notebook_shows_tables_and_escapes_texts(run):
    html = run.duplicates()._repr_html_()
    assert html.count("<table>") == html.count("</table>") == 4
    assert "<ins>word" in html.replace("<ins> ", "<ins>")
    assert "<script" not in html


def why(run, id):
    return str(run.why(f"jsonl:{id}"))


def test_why_names_the_twin_and_what_it_was_preferred_for(run):
    least = run.duplicates().rows.filter(pl.col("id") == "jsonl:c")["similarity"][0]
    assert f"duplicate of jsonl:a: {least:.3f} by minhash on response" in why(run, "c")
    assert "preferred the other, for its score: 5 against 4 (best_score)" in why(run, "c")
    assert "preferred the other, whose source comes first: first against second (source_order)" in why(run, "p")


def test_why_tells_a_choice_among_answers_from_a_copy(run):
    told = why(run, "e")
    assert "duplicate another answer to the same prompt was preferred, jsonl:d: 1.000 by exact on prompt" in told
    assert "preferred the other, for its score: 12 against 3 (best_score)" in told


def test_why_tells_of_a_kept_record_how_many_went_for_it(run):
    assert "preferred to 4 records, the least similar jsonl:c: 0." in why(run, "a")
    assert "preferred to jsonl:e: 1.000 by exact on prompt" in why(run, "d")
    assert "preferred" not in why(run, "f")


def test_why_names_the_reference(against):
    told = why(against, "d")
    assert "reference set.jsonl:1: 1.000 by exact on prompt\n            “how do I bake bread?”" in told
    assert "contaminated" in told
