import json
import sys

import pytest

from curate.errors import PipelineError, PluginError
from curate.report.numbers import numbers

WORDS = {"[UNK]": 0, "how": 1, "long": 2, "does": 3, "dough": 4, "rest": 5, "?": 6}


@pytest.fixture
def tokenizer(tmp_path):
    """A tokenizer by whole words, which would cut at three of them, in a folder named like a model."""
    pytest.importorskip("tokenizers")
    folder = tmp_path / "tiny-model"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(
        json.dumps(
            {
                "version": "1.0",
                "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
                "padding": None,
                "added_tokens": [],
                "normalizer": {"type": "Lowercase"},
                "pre_tokenizer": {"type": "Whitespace"},
                "post_processor": None,
                "decoder": None,
                "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"},
            }
        ),
        encoding="utf-8",
    )
    return folder


def kept(bread, responses, **more):
    return [
        row | {"response": response, "end": ("kept", "train"), **more}
        for row, response in zip(bread[-len(responses) :], responses, strict=True)
    ]


def told(job, rows, **asked):
    tables, facts = job(rows, unreadable=0)
    made = numbers(tables, facts | {"report": {"tokenizer": None, "max_tokens": 2048} | asked})
    return made["tokens"], made["alerts"]


def test_without_a_tokenizer_a_token_is_four_bytes_and_is_called_an_estimate(job, bread):
    # The prompt has 25 bytes, the blank line two, the response 13 and 9: ö has two.
    made, _ = told(job, kept(bread, ["x" * 13, "ö" * 4 + "x"]))
    assert (made["exact"], made["limit"]) == (False, 2048)
    assert made["tokenizer"] == "UTF-8 bytes / 4"
    assert "an estimate" in made["note"]
    (train,) = made["splits"]
    assert (train["n"], train["max"], train["tokens"]) == (2, 10, 10 + 9)
    assert sum(each["records"] for each in made["bins"]) == 2


def test_a_tokenizer_counts_all_turns_whole(job, bread, tokenizer):
    rows = kept(bread, ["rest rest", "rest"], system="dough", history=[{"role": "user", "text": "how long"}])
    for named in (tokenizer, tokenizer / "tokenizer.json"):
        made, _ = told(job, rows, tokenizer=str(named), tokenizer_digest="ab")
        assert (made["tokenizer"], made["digest"], made["exact"]) == ("tiny-model", "ab", True)
        assert "estimate" not in made["note"]
        # How long does dough rest? has six, the system message one, the turn before two.
        assert [(row["max"], row["tokens"]) for row in made["splits"]] == [(11, 21)]
        assert str(tokenizer.parent) not in json.dumps(made)


def test_splits_say_how_many_records_a_trainer_would_cut(job, bread):
    rows = kept(bread, ["x" * 400] * 3 + ["Yes."] * 3)
    rows[5]["end"] = ("kept", "test")
    made, alerts = told(job, rows, max_tokens=50)
    assert [(row["split"], row["n"], row["beyond"], row["beyond_share"]) for row in made["splits"]] == [
        ("train", 5, 3, 0.6),
        ("test", 1, 0, 0),
        ("all", 6, 3, 0.5),
    ]
    assert "train: 3 of 5 records are longer than 50 tokens, by an estimate." in alerts
    assert not any("all:" in alert for alert in alerts)


def test_a_record_as_long_as_the_limit_is_not_cut(job, bread):
    (split,) = told(job, kept(bread, ["x" * 13]), max_tokens=10)[0]["splits"]
    assert (split["max"], split["beyond"]) == (10, 0)


def test_a_set_without_records_has_no_lengths(job, bread):
    made, _ = told(job, [row | {"end": ("not drawn", "no quota takes it")} for row in bread])
    assert made is None


def test_what_is_no_tokenizer_is_refused_with_its_place(job, bread, tmp_path):
    pytest.importorskip("tokenizers")
    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    for bad in (tmp_path / "bad.json", tmp_path / "none.json", tmp_path):
        with pytest.raises(PipelineError, match="cannot be read") as caught:
            told(job, bread, tokenizer=str(bad))
        assert str(bad) in caught.value.where


def test_without_the_package_the_answer_is_how_to_install_it(job, bread, tokenizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(PluginError, match="tokenizers") as caught:
        told(job, bread, tokenizer=str(tokenizer))
    assert "pip install" in caught.value.next
