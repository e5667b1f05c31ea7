"""The card of a trained model: what the hub reads, what was done, and nothing of the machine."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from curate.errors import PipelineError
from curate.train.recipe import read_recipe
from curate.train.sets import TrainingSet

pytest.importorskip("torch")
pytest.importorskip("transformers")

from curate.train.checks.check import check
from curate.train.preparing import prepare, read_facts
from curate.train.report.card import card, head, write_card

LICENSES = ["CC0-1.0"] * 20 + ["CC-BY-SA-4.0"] * 8
METRICS = [{"loss": 2.5, "tokens": 100, "learned": 60}, {"loss": 0.75, "tokens": 90, "learned": 50}]
PICKED = {"epoch": 2, "by": "epoch", "who": "a person", "why": "it *explains*", "step": 8}


def kept(epoch, **changes):
    heard = {"step": 4 * epoch, "dev_per_token": 1.5, "dev_per_row": 1.25, "answers": 2, "ended": 2}
    return {"epoch": epoch, **heard, "mean_tokens": 12.0, "file": "", "whole": True, **changes}


def given_of(records, path, licences=LICENSES):
    train = records[:28].with_columns(license=pl.Series(licences))
    counted = {"train": dict(train["license"].fill_null("unknown").value_counts().rows())}
    manifest = {
        "inputs": [
            {"origin": {"url": "https://huggingface.co/datasets/mine/rows/resolve/main/a.jsonl"}},
            {"origin": None},
        ]
    }
    facts = {"kind": "run", "train": {}, "manifest": manifest, "licences": counted}
    return TrainingSet("invented", path, {"train": train, "dev": records[28:]}, facts)


@pytest.fixture(scope="module")
def prepared(records, tiny_model, tmp_path_factory):
    """A training folder in which all is ready for the first step."""
    root = tmp_path_factory.mktemp("prepared")
    run = root / "a run"
    run.mkdir()
    (run / "ATTRIBUTION.jsonl").write_text('{"id": "mine:1"}\n', "utf-8")
    model = shutil.copytree(tiny_model(), root / "tiny-llama")
    recipe = read_recipe("lima", {"epochs": 3, "keep_epochs": [1, 3], "precision": "fp32", "batch_size": 8})
    prepare(given_of(records, run), model, recipe, root / "trained", 1)
    return root / "trained"


@pytest.fixture
def facts(prepared):
    return read_facts(prepared)


def read(text):
    """The head of a card, and what is below it."""
    _, yaml_head, body = text.split("---\n", 2)
    return yaml.safe_load(yaml_head), body


def test_the_head_names_licence_base_and_data_as_the_hub_knows_them(facts):
    assert head(facts) == {
        "license": "cc-by-sa-4.0",
        "base_model": "tiny-llama",
        "base_model_relation": "finetune",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "datasets": ["mine/rows"],
        "tags": ["instruction-tuning", "supervised-fine-tuning", "curate"],
    }


def test_the_hubs_own_reader_takes_the_head(facts):
    hub = pytest.importorskip("huggingface_hub")
    read_by_hub = hub.ModelCard(card(facts, METRICS, [kept(2)], PICKED)).data
    assert read_by_hub.base_model == "tiny-llama"
    assert read_by_hub.license == "cc-by-sa-4.0"
    assert read_by_hub.datasets == ["mine/rows"]


@pytest.mark.parametrize("name", ["my model", "-llama", "ll..ama", "x" * 97])
def test_a_folder_whose_name_is_none_on_the_hub_is_no_base_model_in_the_head(facts, name):
    facts["model"]["name"] = name
    assert "base_model" not in head(facts)
    assert name in card(facts, METRICS, [], None)


def test_a_licence_that_the_hub_has_no_name_for_is_other_with_a_name_of_its_own(facts):
    facts["set"]["facts"]["licences"]["train"] = {"CC0-1.0": 3, "LicenseRef-mine": 1}
    made = head(facts)
    assert (made["license"], made["license_name"]) == ("other", "licenseref-mine")


def test_no_path_of_the_machine_stands_in_a_card(facts, prepared):
    text = card(facts, METRICS, [kept(1), kept(2)], PICKED, beside=["ATTRIBUTION.jsonl"])
    assert facts["model"]["path"].startswith("/")
    for path in (facts["model"]["path"], facts["set"]["path"], str(prepared), str(prepared.parent)):
        assert path not in text


def test_what_was_done_is_told_in_numbers(facts):
    _, body = read(card(facts, METRICS, [kept(2)], PICKED))
    tokens = facts["tokens"]["train"]
    assert f"| train | 28 | 28 | {tokens['tokens']:,} | {tokens['learned']:,} |" in body
    assert "12 steps, 190 tokens read and 110 learned over all epochs" in body
    assert "2.5 in the first step and 0.75 in the last" in body
    assert "epoch 2 of 3" in body
    assert "saw each row 2 times" in body
    assert facts["set"]["digest"] in body


def test_a_penalty_that_transformers_has_another_of_is_told_and_not_promised(facts):
    _, body = read(card(facts, METRICS, [], None))
    assert "penalty of 1.2 is on what the answer has already" in body
    assert "so that file has 1." in body
    facts["recipe"]["repetition_penalty"] = 1.0
    assert "penalty" not in read(card(facts, METRICS, [], None))[1]


def test_a_value_that_differs_from_the_published_recipe_shows_both(facts):
    _, body = read(card(facts, METRICS, [], None))
    assert "| `epochs` | `3` | `15` |" in body
    assert "| `weight_decay` | `0.1` |  |" in body
    assert "lora_rank" not in body


def test_how_the_epoch_was_chosen_is_told_and_reasons_are_no_markup(facts):
    _, by_hand = read(card(facts, METRICS, [kept(1), kept(2)], PICKED))
    assert "It was chosen by hand. The reason given: it \\*explains\\*" in by_hand
    assert "flatters" not in by_hand
    _, by_loss = read(card(facts, METRICS, [kept(1), kept(2)], {**PICKED, "by": "loss", "why": ""}))
    assert "The loss on dev chose the epoch, and so flatters it" in by_loss
    _, before = read(card(facts, METRICS, [], None))
    assert "Which epoch" not in before


def test_limits_name_endless_answers_and_what_nobody_measured(facts):
    _, body = read(card(facts, METRICS, [kept(1), kept(2, ended=1)], PICKED))
    assert "Of 2 answers to prompts of dev, 1 did not end by themselves." in body
    assert "not measured on any benchmark" in body
    assert "There was no dev split" not in body
    del facts["tokens"]["dev"]
    assert "The rows of dev have no answers" in card(facts, METRICS, [], None)
    del facts["set"]["rows"]["dev"]
    assert "There was no dev split" in card(facts, METRICS, [], None)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), "The model learned from train alone.\n"),
        (("dev",), "from train alone; on dev it was looked at while it learned.\n"),
        (("test",), "from train alone; the rows of test were put aside.\n"),
        (("dev", "test"), "on dev it was looked at while it learned, and the rows of test were put aside.\n"),
    ],
)
def test_what_was_not_learned_from_is_told_of_the_splits_that_there_are(facts, others, said):
    facts["set"]["rows"] = {"train": 28, **dict.fromkeys(others, 2)}
    _, body = read(card(facts, METRICS, [kept(1), kept(2)], {**PICKED, "by": "loss"}))
    assert said in body
    other = "only test" if "test" in others else "nothing"
    assert f"flatters it; {other} tells how it does" in body


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), "The same record is in two splits: 2 records of train, which dev has too."),
        (("id",), "One thread is in two splits: 2 records of train share one with dev."),
        (("id", "thread"), "The same question is in two splits: 2 records of train are asked in dev too."),
    ],
)
def test_what_is_in_two_splits_is_told_and_stands_among_the_limits(prepared, records, tmp_path, others, said):
    folder = shutil.copytree(prepared, tmp_path / "trained")
    (folder / "model").mkdir()
    dev = records.head(2).with_columns((pl.lit("new:") + pl.col(each)).alias(each) for each in others)
    given = TrainingSet("mine", tmp_path, {"train": records.head(28), "dev": dev})
    recipe = read_recipe("lima", {"precision": "fp32"})
    check(given, Path(read_facts(folder)["model"]["path"]), recipe).write(folder)
    _, body = read(write_card(folder).read_text("utf-8"))
    sections = dict(part.split("\n", 1) for part in body.split("\n## ")[1:])
    assert f"But these splits are not apart:\n\n- {said}\n" in sections["What it learned from"]
    assert "Splits have rows, questions or threads in common" in sections["Limits"]
    assert "mine:" not in body


def test_splits_that_are_apart_raise_no_limit(facts):
    _, body = read(card(facts, METRICS, [kept(2)], PICKED, findings=[{"kind": "lost_end", "sentence": "x."}]))
    assert "in common" not in body
    assert "not apart" not in body


def test_rows_that_were_cut_or_left_out_are_counted(facts):
    facts["tokens"]["train"] |= {"dropped": ["a", "b"], "shortened": 5, "lost_end": 3}
    _, body = read(card(facts, METRICS, [], None))
    assert "Of train, 2 rows were left out" in body
    assert "5 rows were beyond 2,048 tokens and shortened, 3 of them within an answer" in body


def test_licences_that_cannot_meet_in_one_work_are_told_apart(facts):
    _, one = read(card(facts, METRICS, [], None))
    assert "its licence is Creative Commons Attribution-ShareAlike 4.0" in one
    facts["set"]["facts"]["licences"]["train"] = {"CC-BY-SA-4.0": 5, "CC-BY-NC-4.0": 2}
    _, two = read(card(facts, METRICS, [], None))
    assert "cannot go into one adapted work" in two
    assert "its licence is" not in two
    facts["set"]["facts"]["licences"]["train"] = {"unknown": 4}
    assert read(card(facts, METRICS, [], None))[0]["license"] == "unknown"


def test_names_from_elsewhere_are_no_markup(facts):
    facts["set"]["name"] = "a|b <script>`x`"
    facts["model"]["name"] = "[x](http://example.org)"
    text = card(facts, METRICS, [], None)
    assert "<script>" not in text.replace("`` a|b <script>`x` ``", "")
    assert "# &#91;x&#93;(http://example.org), tuned on a&#124;b &lt;script>`x`" in text


def test_the_card_is_written_beside_the_model_with_the_attribution_of_the_run(prepared, tmp_path):
    folder = shutil.copytree(prepared, tmp_path / "trained")
    with pytest.raises(PipelineError, match="no epoch was picked yet"):
        write_card(folder)
    (folder / "model").mkdir()
    (folder / "picked.json").write_text(json.dumps(PICKED), "utf-8")
    file = write_card(folder)
    assert file == folder / "model" / "README.md"
    text = file.read_text("utf-8")
    assert (folder / "model/ATTRIBUTION.jsonl").read_text("utf-8") == '{"id": "mine:1"}\n'
    assert "`ATTRIBUTION.jsonl` names author" in text
    assert write_card(folder).read_text("utf-8") == text
