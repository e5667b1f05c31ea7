"""Decisions of people are carried out by the next run, counted in its ledger, and told by `why`."""

import json

import pytest

import curate
from curate.errors import PipelineError
from curate.runs import prepare

PIPELINE = """
name = "p"
decisions = "decisions.jsonl"
[[source]]
use = "jsonl"
name = "s"
path = "a.jsonl"
[filters]
too_short = { min_chars = 10 }
"""
ROWS = [
    {"id": "1", "prompt": "a", "response": "short"},
    {"id": "2", "prompt": "b", "response": "long enough, and dull"},
    {"id": "3", "prompt": "c", "response": "long enough, and good"},
    {"id": "4", "prompt": "d", "response": "tiny"},
]


def decision(id, decided, **more):
    about = {
        "id": f"jsonl:{id}",
        "decision": decided,
        "why": f"{decided} it",
        "by": "Ada",
        "at": "2026-11-21T14:00:00Z",
    }
    return json.dumps(about | more)


@pytest.fixture
def reviewed(tmp_path, write_jsonl):
    """The run of a pipeline with these decisions."""

    def run(*lines, rows=ROWS, pipeline=PIPELINE):
        write_jsonl("a.jsonl", rows)
        head = json.dumps({"curate": "decisions", "version": 1})
        (tmp_path / "decisions.jsonl").write_text("\n".join([head, *lines]) + "\n", "utf-8")
        (tmp_path / "p.toml").write_text(pipeline)
        return curate.run(tmp_path / "p.toml", runs=tmp_path / "runs")

    return run


def states(run):
    return {
        id.removeprefix("jsonl:"): (state, detail)
        for id, state, detail in run.ledger.select("id", "state", "detail").collect().rows()
    }


def test_the_ledger_counts_what_was_accepted_and_what_was_rejected(reviewed):
    run = reviewed(decision(1, "accept"), decision(2, "reject"))
    assert states(run) == {
        "1": ("kept", "train"),
        "2": ("excluded", "decision: reject it"),
        "3": ("kept", "train"),
        "4": ("rejected", "too_short"),
    }
    assert run.numbers["decisions"] == {
        "accepted": 1,
        "rejected": 1,
        "edited": 0,
        "unmet": 0,
        "stale": 0,
        "accepted_not_kept": 0,
    }
    assert sorted(run.split()["id"]) == ["jsonl:1", "jsonl:3"]


def test_without_decisions_nothing_is_said_of_any(reviewed):
    run = reviewed(pipeline=PIPELINE.replace('decisions = "decisions.jsonl"\n', ""))
    assert run.numbers["decisions"] is None
    assert states(run)["1"] == ("rejected", "too_short")


def test_what_is_withdrawn_is_not_carried_out(reviewed):
    later = decision(1, "withdraw", at="2026-11-22T00:00:00Z")
    assert states(reviewed(decision(1, "accept"), later))["1"] == ("rejected", "too_short")


def test_an_edit_is_an_amendment_that_every_rule_sees(reviewed):
    run = reviewed(decision(4, "edit", field="response", before="tiny", after="no longer tiny"))
    assert states(run)["4"] == ("kept", "train")
    (change,) = run.table("amendments").collect().to_dicts()
    assert (change["before"], change["after"], change["by"]) == ("tiny", "no longer tiny", "hand")


def test_why_says_who_decided_and_what_the_rules_had_said(reviewed):
    run = reviewed(decision(1, "accept"), decision(2, "reject"))
    accepted, rejected = str(run.why("jsonl:1")), str(run.why("jsonl:2"))
    assert "too_short: 5 against at least 10 → rejects" in accepted
    assert "accepted, whatever the rules say, by Ada: accept it" in accepted
    assert "it would take" not in accepted
    assert "rejected by Ada: reject it" in rejected


def test_a_takedown_wins_over_an_accepted_record(reviewed, tmp_path):
    (tmp_path / "takedown.txt").write_text("jsonl:1\n")
    run = reviewed(decision(1, "accept"), pipeline='exclude = "takedown.txt"\n' + PIPELINE)
    assert states(run)["1"] == ("excluded", "jsonl:1")


def test_an_accepted_copy_is_still_a_copy(reviewed):
    rows = [{"id": n, "prompt": "a", "response": "short"} for n in "12"]
    pipeline = PIPELINE + '[[dedup]]\nuse = "exact"\non = "response"\n'
    run = reviewed(decision(1, "accept"), decision(2, "accept"), rows=rows, pipeline=pipeline)
    assert sorted(state for state, _ in states(run).values()) == ["duplicate", "kept"]
    assert run.numbers["decisions"]["accepted_not_kept"] == 1
    (alert,) = [alert for alert in run.numbers["alerts"] if "accepted" in alert]
    assert alert.startswith("1 accepted record is not kept, though no rule counts: jsonl:")


def test_a_decision_on_a_text_that_has_changed_since_is_an_alert_and_not_carried_out(reviewed):
    run = reviewed(decision(1, "accept", content="0" * 64))
    assert states(run)["1"] == ("rejected", "too_short")
    assert run.numbers["decisions"]["stale"] == 1
    assert any("changed" in alert and "jsonl:1" in alert for alert in run.numbers["alerts"])


def test_a_decision_about_nothing_is_an_alert(reviewed):
    run = reviewed(decision(9, "reject"))
    assert any("'jsonl:9'" in alert for alert in run.numbers["alerts"])


def test_another_decision_reads_and_judges_nothing_again(reviewed):
    reviewed(decision(1, "accept"))
    parts = reviewed(decision(1, "accept"), decision(3, "reject")).manifest["parts"]
    assert parts["read"]["made"] == parts["verdicts"]["made"] == 0


def test_the_manifest_knows_the_file_of_decisions(reviewed):
    one, other = (reviewed(decision(n, "accept")).manifest for n in (1, 4))
    assert one["pipeline"]["decisions"] == "decisions.jsonl"
    assert one["files"]["decisions"] != other["files"]["decisions"]


def test_a_file_that_is_missing_is_named_with_its_line(tmp_path):
    (tmp_path / "p.toml").write_text(PIPELINE)
    with pytest.raises(PipelineError, match="line 3, key decisions"):
        curate.run(tmp_path / "p.toml", runs=tmp_path / "runs")


def test_a_file_that_holds_no_decisions_is_refused_before_anything_is_read(tmp_path, write_jsonl):
    write_jsonl("a.jsonl", ROWS)
    (tmp_path / "decisions.jsonl").write_text('{"id": "jsonl:1"}\n')
    (tmp_path / "p.toml").write_text(PIPELINE)
    with pytest.raises(PipelineError, match=r"decisions\.jsonl"):
        prepare(tmp_path / "p.toml")
