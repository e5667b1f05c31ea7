"""Rules that mask take out what they find; everything later sees what is left, and the ledger says who did it."""

from __future__ import annotations

import textwrap

import polars as pl
import pytest

import curate
from curate.errors import PipelineError, PluginError

FILTERS = {
    "secret": '''
        """Finds secrets."""
        import re
        from curate.api import Field, Verdict, present, rejects, text

        @rejects
        def secret(*, of: Field = "conversation", mask_with: str = "<secret>") -> Verdict:
            """A word that begins with `s3cr3t`."""
            pattern = r"s3cr3t\\w*"
            return present(text(of), pattern, mask=lambda found: re.sub(pattern, mask_with, found))
        ''',
    "half_masked": '''
        """Finds shouting, and masks the first alone."""
        from curate.api import Field, Verdict, present, rejects, text

        @rejects
        def half_masked(*, of: Field = "response") -> Verdict:
            """The word HEY."""
            return present(text(of), "HEY", mask=lambda found: found.replace("HEY", "hey", 1))
        ''',
    "answered_secret": '''
        """Finds secrets of those who answer at length."""
        import polars as pl
        from curate.api import Field, Verdict, present, rejects, text

        @rejects
        def answered_secret(*, of: Field = "conversation") -> Verdict:
            """The letters s3cr3t in a record with a long answer."""
            long = pl.col("response").str.len_chars() > 10
            return present(
                text(of), "s3cr3t", applies=long, mask=lambda found: found.replace("s3cr3t", "<secret>")
            )
        ''',
    "rated_secret": '''
        """Finds conflicts, and would mask them."""
        from curate.api import Field, Verdict, measured, rejects

        @rejects
        def rated_secret(*, of: Field = "response") -> Verdict:
            """A conflict."""
            evidence = measured("instances", "conflicts", of)
            return Verdict(evidence, "above", 0, mask=lambda found: found)
        ''',
    "loud": '''
        """Finds shouting by how much there is."""
        from curate.api import Field, Limit, Verdict, rejects, text

        @rejects
        def loud(*, of: Field = "response", most: Limit[int] = 1) -> Verdict:
            """The word HEY more than `most` times."""
            count = text(of).str.count_matches("HEY")
            return Verdict(count, "above", most, mask=lambda found: found.replace("HEY", "hey"))
        ''',
    "unmaskable": '''
        """Finds length."""
        from curate.api import Field, Limit, Verdict, above, rejects, text

        @rejects
        def unmaskable(*, of: Field = "response", chars: Limit[int] = 1000) -> Verdict:
            """Long text."""
            return above(text(of).str.len_chars(), chars)
        ''',
}
ROWS = [
    {"id": "1", "prompt": "What is s3cr3t1?", "response": "Nothing."},
    {"id": "2", "prompt": "b", "response": "HEY, it is s3cr3t2 and s3cr3t3."},
    {"id": "3", "prompt": "c", "response": "d"},
    {"id": "4", "prompt": "e", "response": "HEY HEY"},
]
DIALOGUE = [
    ("user", "I say s3cr3t4."),
    ("assistant", "You said s3cr3t4."),
    ("user", "Did I?"),
    ("assistant", "Yes: s3cr3t4."),
    ("user", "And now?"),
    ("assistant", "No."),
]


@pytest.fixture
def run(tmp_path, write_jsonl):
    folder = tmp_path / "plugins"
    folder.mkdir()
    for name, source in FILTERS.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))

    def run(rules):
        write_jsonl("a.jsonl", ROWS)
        turns = [{"role": role, "content": text} for role, text in DIALOGUE]
        write_jsonl("b.jsonl", [{"id": "5", "messages": turns}])
        file = tmp_path / "p.toml"
        file.write_text(
            f'name = "p"\n[[source]]\nuse = "jsonl"\nname = "s"\npath = "[ab].jsonl"\n[source.filters]\n{rules}\n'
            '[[select.quota]]\nfrom = "s"\n'
        )
        return curate.run(file, runs=tmp_path / "runs", plugins=[folder])

    return run


def by_id(frame, *columns):
    return {row[0]: row[1:] for row in frame.select("id", *columns).iter_rows()}


def turns(records):
    (history,) = by_id(records, "history")["jsonl:5"]
    return [turn["text"] for turn in history]


def test_what_a_rule_finds_is_masked_in_every_text_of_a_record(run):
    records = run('secret = { then = "mask" }').records.collect()
    assert by_id(records, "prompt", "response")["jsonl:1"] == ("What is <secret>?", "Nothing.")
    assert by_id(records, "response")["jsonl:2"] == ("HEY, it is <secret> and <secret>.",)
    (history,) = by_id(records, "history")["jsonl:5"]
    assert [turn["text"] for turn in history] == [
        "I say <secret>.",
        "You said <secret>.",
        "Did I?",
        "Yes: <secret>.",
    ]
    assert [turn["role"] for turn in history] == ["user", "assistant", "user", "assistant"]
    assert records.schema == curate.load(run("").path).records.collect_schema()


def test_a_masked_record_is_not_rejected(run):
    ledger = run('secret = { then = "mask" }').ledger.collect()
    assert set(ledger["state"]) == {"kept"}


def test_without_then_the_rule_rejects(run):
    ledger = run("secret = {}").ledger.collect()
    assert dict(ledger.filter(pl.col("state") == "rejected").select("id", "detail").iter_rows()) == {
        "jsonl:1": "secret",
        "jsonl:2": "secret",
        "jsonl:5": "secret",
    }


def test_every_mask_is_an_amendment_by_its_rule(run):
    amendments = run('secret = { then = "mask" }').table("amendments").collect()
    found = amendments.select("id", "field", "before", "after", "by", "why").rows()
    assert ("jsonl:1", "prompt", "What is s3cr3t1?", "What is <secret>?", "secret", "masked") in found
    assert [row[1] for row in found if row[0] == "jsonl:5"] == ["history[0]", "history[1]", "history[3]"]
    assert len(found) == 5


def test_rules_mask_one_after_the_other(run):
    made = run('secret = { then = "mask" }\nhalf_masked = { then = "mask" }')
    assert by_id(made.records.collect(), "response")["jsonl:2"] == ("hey, it is <secret> and <secret>.",)
    changes = made.table("amendments").collect().filter(pl.col("id") == "jsonl:2")
    assert changes.select("by", "before").rows() == [
        ("secret", "HEY, it is s3cr3t2 and s3cr3t3."),
        ("half_masked", "HEY, it is <secret> and <secret>."),
    ]


def test_what_a_mask_leaves_is_rejected(run):
    ledger = run('half_masked = { then = "mask" }').ledger.collect()
    assert by_id(ledger, "state", "detail")["jsonl:4"] == ("rejected", "half_masked")
    assert by_id(ledger, "state")["jsonl:2"] == ("kept",)


def test_a_rule_masks_no_field_but_its_own(run):
    records = run('secret = { then = "mask", of = "response" }').records.collect()
    assert by_id(records, "prompt")["jsonl:1"] == ("What is s3cr3t1?",)
    (history,) = by_id(run('secret = { then = "mask", of = "every_response" }').records.collect(), "history")[
        "jsonl:5"
    ]
    assert [turn["text"] for turn in history] == [
        "I say s3cr3t4.",
        "You said <secret>.",
        "Did I?",
        "Yes: <secret>.",
    ]


def test_a_second_run_masks_nothing_again_and_says_the_same(run):
    first = run('secret = { then = "mask" }')
    amendments = first.table("amendments").collect()
    second = run('secret = { then = "mask" }')
    assert second.manifest["parts"]["masks"] == {"made": 0, "found": 2}
    assert second.table("amendments").collect().equals(amendments)


def test_the_report_says_how_many_records_a_rule_masked(run):
    made = run('secret = { then = "mask" }')
    (rule,) = made.numbers["rules"]
    assert (rule["masked"], rule["hit"]) == (3, 0)
    assert "It masked what it found in 3 records" in (made.path / "report.html").read_text("utf-8")


def test_why_says_which_rule_masked_and_what(run):
    said = str(run('secret = { then = "mask" }').why("jsonl:1"))
    assert "prompt, by secret: masked, “s3cr3t1” → “<secret>”" in said


def test_a_rule_that_cannot_mask_stops_before_data_is_read(run):
    with pytest.raises(PluginError, match="cannot mask"):
        run('unmaskable = { then = "mask" }')


def test_a_rule_masks_only_records_that_it_applies_to(run):
    records = run('answered_secret = { then = "mask" }').records.collect()
    assert by_id(records, "prompt")["jsonl:1"] == ("What is s3cr3t1?",)
    assert by_id(records, "response")["jsonl:2"] == ("HEY, it is <secret>2 and <secret>3.",)


def test_a_rule_masks_only_what_it_would_reject(run):
    records = run('loud = { then = "mask" }').records.collect()
    assert by_id(records, "response")["jsonl:2"] == ("HEY, it is s3cr3t2 and s3cr3t3.",)
    assert by_id(records, "response")["jsonl:4"] == ("hey hey",)


def test_a_rule_on_a_measure_cannot_mask(run):
    with pytest.raises(PluginError, match="cannot mask"):
        run('rated_secret = { then = "mask" }')


def test_a_rule_on_titles_cannot_mask(run):
    with pytest.raises(PluginError, match="cannot mask"):
        run('secret = { then = "mask", of = "title" }')


def test_then_is_reject_or_mask(run):
    with pytest.raises(PipelineError, match="`then` is 'hide'"):
        run('secret = { then = "hide" }')
