"""Records that repeat a text of a reference set are found, named and left out."""

from __future__ import annotations

import json

import polars as pl
import pytest

import curate
from curate.errors import PipelineError

QUESTIONS = [
    "Explain why the leaves of many trees turn red and yellow before they fall in autumn.",
    "Name three towns by the sea.",
]


@pytest.fixture
def folder(tmp_path):
    rows = [
        {"prompt": QUESTIONS[0], "response": "Because the green in them decays first."},
        {"prompt": "Dear assistant: " + QUESTIONS[0] + " Be brief.", "response": "The green decays."},
        {"prompt": "Name three towns by the sea!", "response": "Kiel, Brest and Cork."},
        {"prompt": "Name three towns by the river.", "response": "Basel, Bonn and Linz."},
        {"prompt": "Who wrote this?", "response": QUESTIONS[0]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = "".join(json.dumps({"question_id": n, "turns": [text]}) + "\n" for n, text in enumerate(QUESTIONS))
    (tmp_path / "asked.jsonl").write_text(asked)
    return tmp_path


def pipeline(folder, *passes):
    text = 'name = "c"\n[[source]]\nuse = "jsonl"\npath = "rows.jsonl"\nlicense = "CC0-1.0"\n' + "".join(passes)
    (folder / "c.toml").write_text(text)
    return folder / "c.toml"


AGAINST = '[[dedup]]\nuse = "{use}"\nagainst = "asked.jsonl"\n{more}\n'


def found(folder, *passes):
    run = curate.run(pipeline(folder, *passes), runs=folder / "runs")
    ledger = run.table("ledger").collect()
    rows = run.table("contamination").collect()
    states = ledger.filter(pl.col("state") == "contaminated")
    assert sorted(states["id"]) == sorted(rows["id"])
    prompts = run.table("records").select("id", "prompt").collect()
    return run, rows.join(prompts, on="id").sort("prompt")


@pytest.mark.parametrize(
    ("use", "more", "prompts"),
    [
        ("exact", "", 1),
        ("ngram", "n = 8", 3),
        ("minhash", "threshold = 0.9", 2),
        ("minhash", "threshold = 0.9\nsimilarity = 'containment'\nrecall = 0.9999", 3),
        ("rouge_l", "threshold = 0.9", 2),
    ],
)
def test_each_method_finds_what_it_can(folder, use, more, prompts):
    _, rows = found(folder, AGAINST.format(use=use, more=more))
    assert rows.height == prompts
    assert set(rows["method"]) == {use}
    assert set(rows["on"]) == {"messages"}
    assert "Name three towns by the river." not in set(rows["prompt"])
    assert set(rows["text"]) <= set(QUESTIONS)


def test_a_record_is_told_with_the_reference_it_is_most_similar_to(folder):
    run, rows = found(folder, AGAINST.format(use="ngram", more="n = 8"))
    at = dict(zip(rows["prompt"], rows.select("file", "position").iter_rows(), strict=True))
    assert at[QUESTIONS[0]] == ("asked.jsonl", 0)
    assert at["Name three towns by the sea!"] == ("asked.jsonl", 1)
    id = rows.filter(pl.col("prompt") == QUESTIONS[0])["id"].item()
    assert run.why(id).state == "contaminated"


def test_responses_are_compared_when_they_are_asked_for(folder):
    _, rows = found(folder, AGAINST.format(use="exact", more='on = "pair"'))
    assert rows.height == 0
    answers = "".join(json.dumps({"instruction": q, "output": "The green decays."}) + "\n" for q in QUESTIONS)
    (folder / "asked.jsonl").write_text(answers)
    _, rows = found(folder, AGAINST.format(use="exact", more='on = "response"'))
    assert rows["text"].to_list() == ["The green decays."]


def test_what_is_contaminated_is_nobodys_twin(folder):
    passes = AGAINST.format(use="exact", more=""), '[[dedup]]\nuse = "exact"\non = "response"\n'
    rows = (folder / "rows.jsonl").read_text()
    twin = {"prompt": "Why do they?", "response": "Because the green in them decays first."}
    (folder / "rows.jsonl").write_text(rows + json.dumps(twin) + "\n")
    run, _ = found(folder, *passes)
    assert run.table("duplicates").collect().height == 0


def test_both_books_and_the_report_tell_of_it(folder):
    run, _ = found(folder, AGAINST.format(use="ngram", more="n = 8"))
    report = json.loads((run.path / "report.json").read_text())
    assert {(each["file"], each["records"]) for each in report["contamination"]["found"]} == {("asked.jsonl", 3)}
    assert next(b for b in report["balances"] if b["name"] == "Contamination")["balanced"]
    page = (run.path / "report.html").read_text()
    assert "References met" in page
    assert "Name three towns by the sea." in page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (AGAINST.format(use="exact", more="").replace("asked", "missing"), "no file is called 'missing.jsonl'"),
        (AGAINST.format(use="exact", more='on = "context"'), "nothing to compare with 'context'"),
        (AGAINST.format(use="declared", more=""), "cannot compare with another set"),
        (AGAINST.format(use="exact", more="strip_templates = 100"), "may be what many records begin with"),
        (AGAINST.format(use="exact", more='keep = ["longest"]'), "go whenever they match a reference"),
        ('[[dedup]]\nuse = "exact"\nfields = ["q"]\n', "`fields` are those of references"),
        ('[[dedup]]\nuse = "exact"\nstrip_templates = 1\n', "what one text has is no template"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder, text, says):
    with pytest.raises(PipelineError, match=says):
        curate.run(pipeline(folder, text), runs=folder / "runs")


def test_another_reference_file_is_compared_again_and_the_same_is_not(folder):
    text = AGAINST.format(use="exact", more="")
    _, rows = found(folder, text)
    assert rows.height == 1
    (folder / "asked.jsonl").write_text(json.dumps({"turns": ["Who wrote this?"]}) + "\n")
    _, rows = found(folder, text)
    assert rows["prompt"].to_list() == ["Who wrote this?"]


def test_what_is_asked_in_an_earlier_turn_is_found_too(folder):
    turns = [{"role": "user", "content": QUESTIONS[0]}, {"role": "assistant", "content": "It decays."}]
    later = [{"role": "user", "content": "Thank you."}, {"role": "assistant", "content": "You are welcome."}]
    (folder / "rows.jsonl").write_text(json.dumps({"messages": turns + later}) + "\n")
    run, rows = found(folder, AGAINST.format(use="ngram", more=""))
    assert rows.height == 1
    assert run.table("passes_against").collect()["dropped"].to_list() == [1]


def test_a_prompt_with_several_answers_is_one_reference_and_a_record_counts_for_one_pass(folder):
    rows = [{"problem": QUESTIONS[0], "solution": "It decays.", "answer": "Decay."}]
    (folder / "asked.jsonl").write_text(json.dumps(rows[0]) + "\n")
    run, _ = found(folder, AGAINST.format(use="exact", more=""), AGAINST.format(use="ngram", more=""))
    passes = run.table("passes_against").collect().sort("pass")
    assert passes["dropped"].to_list() == [1, 1]
    assert passes["note"].str.starts_with("1 references; ").all()
    assert run.table("contamination").collect().sort("method")["method"].to_list() == ["exact", "ngram"]


def test_a_prompt_stays_a_reference_however_many_records_repeat_it(folder):
    copies = [{"prompt": QUESTIONS[0], "response": f"answer {n}"} for n in range(1200)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in copies))
    _, rows = found(folder, AGAINST.format(use="ngram", more=""))
    assert rows.height == 1200


def test_what_is_no_reference_is_told_with_its_reason(folder):
    called = {"role": "user", "content": "Q", "tool_calls": [{"name": "search"}]}
    rows = [{"prompt": QUESTIONS[1]}, {"messages": [called]}, {"response": "An answer without its prompt."}]
    (folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run, _ = found(folder, AGAINST.format(use="exact", more=""))
    note = run.table("passes_against").collect()["note"].item()
    assert note.startswith("1 references")
    assert "1 without such a text; 1 rows are no references (first: row 1 of asked.jsonl: " in note


def test_references_under_another_name_are_told_by_it(folder):
    def at(name):
        (folder / name).mkdir()
        (folder / "asked.jsonl").rename(folder / name / "asked.jsonl")
        text = AGAINST.format(use="exact", more="").replace(
            '"asked.jsonl"', f'["{name}/asked.jsonl", "other/asked.jsonl"]'
        )
        return set(found(folder, text)[1]["file"])

    (folder / "other").mkdir()
    (folder / "other" / "asked.jsonl").write_text(json.dumps({"prompt": "Something else?"}) + "\n")
    assert at("one") == {"one/asked.jsonl"}
    (folder / "one" / "asked.jsonl").rename(folder / "asked.jsonl")
    assert at("two") == {"two/asked.jsonl"}
