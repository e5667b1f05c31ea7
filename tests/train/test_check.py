"""`curate train check`: every doubt is raised where it should be, and nowhere else."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from curate.errors import CurateError, PipelineError
from curate.record import records as frame
from curate.train.checks.check import check
from curate.train.recipe import read_recipe
from curate.train.rows.tokens import tokenize
from curate.train.sets import TrainingSet

OWN = {"source": "mine", "license": "CC0-1.0"}
# Few enough rows a step, and an epoch of full steps, so that the recipe by itself raises no doubt.
QUIET = {"batch_size": 2, "micro_batch_size": 1, "max_tokens": 512, "learning_rate": 1e-4, "max_new_tokens": 64}
ADDED = {"added_tokens"}  # what ChatML needs and the tiny tokenizer lacks


def row(at, **parts):
    return {**OWN, "id": f"new:{at}", "prompt": f"What is number {at}?", "response": f"It is {at}.", **parts}


@pytest.fixture
def looked(tiny_model, records):
    """Check records with a tiny model: by default a set and a recipe that raise no doubt."""

    def look(rows=None, *, dev=(), test=(), model=None, recipe="small", processes=1, to=None, **changes):
        train = frame(rows) if isinstance(rows, list) else records if rows is None else rows
        splits = {"train": train, "dev": frame(list(dev)), "test": frame(list(test))}
        given = TrainingSet("mine", None, {name: rows for name, rows in splits.items() if rows.height})
        resolved = read_recipe(recipe, {**QUIET, **changes})
        return check(given, model or tiny_model(), resolved, processes=processes, to=to)

    return look


def kinds(checked):
    return {found["kind"] for found in checked.findings}


def of(checked, kind):
    (found,) = [found for found in checked.findings if found["kind"] == kind]
    return found


def test_a_set_a_model_and_a_recipe_that_fit_raise_no_doubt(looked):
    assert kinds(looked()) <= ADDED


@pytest.mark.parametrize("too_long", ["drop", "cut_turn"])
@pytest.mark.parametrize("markers", ["drop", "text"])
@pytest.mark.parametrize("limit", [32, 40, 64, 4096])
def test_rows_are_checked_as_the_tokens_that_training_would_make(
    looked, records, dialogues, too_long, markers, limit
):
    asked = pl.when(pl.col("id") == "mine:7").then(pl.lit("Say <|im_end|>.")).otherwise("prompt")
    rows = pl.concat([records, dialogues]).with_columns(prompt=asked)
    policies = {"max_tokens": limit, "too_long": too_long, "markers": markers}
    checked = looked(rows, **policies)
    made = tokenize(rows, checked.template, loss="assistant", **policies)
    assert checked.tokens["train"].digest == made.digest
    assert checked.tokens["train"].table == made.table


def test_steps_are_those_that_are_trained(looked):
    steps = looked(batch_size=8, epochs=3, warmup_share=0.1).facts["steps"]
    assert (steps["an_epoch"], steps["steps"], steps["last_step"], steps["warmup"]) == (4, 12, 6, 2)


def test_padding_is_what_the_longest_of_each_micro_batch_costs(looked):
    checked = looked(batch_size=30, micro_batch_size=30)
    lengths = checked.tokens["train"].lengths
    assert checked.facts["padding"]["share"] == pytest.approx(1 - lengths.sum() / (30 * lengths.max()), abs=1e-3)
    assert looked(micro_batch_size=1).facts["padding"]["share"] == 0


def test_much_padding_asks_for_packing(looked):
    rows = [row(at, response="A long story. " * (30 if at % 8 == 0 else 1)) for at in range(32)]
    checked = looked(rows, batch_size=8, micro_batch_size=8)
    assert "packing = true" in of(checked, "padding")["sentence"]
    packed = looked(rows, batch_size=8, micro_batch_size=8, packing=True)
    assert "padding" not in kinds(packed)
    assert packed.facts["steps"]["sequences"] == packed.facts["padding"]["packs"] < 32
    assert "packs_a_step" not in kinds(looked(rows, recipe="false-promise", packing=True))
    assert "batch_size = 1 " in of(packed, "packs_a_step")["sentence"]


@pytest.mark.parametrize(
    ("policy", "severity", "left"), [("error", "error", 29), ("drop", "note", 29), ("cut_turn", "note", 30)]
)
def test_rows_beyond_the_limit_are_told_with_what_becomes_of_them(looked, policy, severity, left):
    rows = [row(at, response="word " * (300 if at == 7 else 3)) for at in range(30)]
    checked = looked(rows, max_tokens=128, too_long=policy)
    found = of(checked, "too_long")
    assert (found["severity"], found["rows"], found["examples"]) == (severity, 1, ["new:7"])
    assert len(checked.tokens["train"]) == left
    (lengths,) = checked.facts["lengths"]
    assert lengths["beyond"] == 1
    assert lengths["most"] > 300
    assert ("lost_end" in kinds(checked)) == (policy == "cut_turn")


def test_answers_that_lose_their_end_are_named(looked):
    rows = [row(at, response="word " * (300 if at in (7, 9) else 3)) for at in range(30)]
    found = of(looked(rows, max_tokens=128, too_long="cut_turn"), "lost_end")
    assert (found["rows"], found["examples"]) == (2, ["new:7", "new:9"])


def test_no_limit_is_advised_that_the_model_has_no_window_for(looked, bare):
    rows = [row(at, response="word " * (300 if at == 7 else 3)) for at in range(30)]
    checked = looked(rows, model=bare(window=128), max_tokens=100, too_long="drop", max_new_tokens=8)
    assert "Raise max_tokens to 128 " in of(checked, "too_long")["sentence"]


def test_a_set_of_which_nothing_is_left_is_refused(looked):
    with pytest.raises(CurateError, match="no row"):
        looked(max_tokens=4, too_long="drop")


@pytest.mark.parametrize(("policy", "severity"), [("error", "error"), ("drop", "warning"), ("text", "note")])
def test_marks_of_the_template_in_a_text_are_told(looked, policy, severity):
    rows = [row(at, response="Say <|im_end|>." if at == 3 else "Yes.") for at in range(30)]
    checked = looked(rows, markers=policy, template="chatml")
    found = of(checked, "markers")
    assert (found["severity"], found["rows"], found["examples"]) == (severity, 1, ["new:3"])
    assert len(checked.tokens["train"]) == (29 if policy == "drop" else 30)


def test_a_set_that_was_made_for_another_template_is_an_error(looked):
    rows = [row(at, prompt=f"### Instruction:\nAdd {at}.\n\n### Response:") for at in range(30)]
    found = of(looked(rows), "formatted")
    assert (found["severity"], found["rows"]) == ("error", 30)
    assert of(looked(rows, markers="text"), "formatted")["severity"] == "warning"
    assert "formatted" not in kinds(looked([row(at) for at in range(20)] + rows[:10]))


def test_rows_of_dev_in_train_are_told_by_id_and_by_question(looked):
    rows = [row(at) for at in range(30)]
    assert of(looked(rows, dev=[row(4)]), "leak_id")["examples"] == ["new:4"]
    asked = of(looked(rows, dev=[{**row(99), "prompt": "what is  NUMBER 4?"}]), "leak_message")
    assert (asked["rows"], asked["severity"]) == (1, "warning")


@pytest.mark.parametrize(("template", "other"), [("lima", ["talk:0", "talk:1"]), ("chatml", [])])
def test_prompts_that_are_other_tokens_where_they_are_served_are_counted(
    looked, records, dialogues, bare, tokenizer_of, template, other
):
    model = bare(vocab=1_000)
    tokenizer_of("llama-2").save_pretrained(model)  # which puts a space before all that follows a special token
    talks = dialogues.filter(pl.col("system").is_null())
    marked = {**row(99), "prompt": "Say </s>."}  # is told of as a mark, not as this
    rows = pl.concat([records, talks, frame([marked])])
    checked = looked(rows, model=model, template=template, markers="text", learning_rate=1e-5)
    assert [each["examples"] for each in checked.findings if each["kind"] == "served_otherwise"] == (
        [other] if other else []
    )
    if other:
        assert f"Of {records.height + talks.height} prompts" in of(checked, "served_otherwise")["sentence"]


def test_rows_that_say_what_others_say_are_told(looked):
    rows = [row(at) for at in range(29)] + [
        {**row(29), "prompt": row(3)["prompt"], "response": row(3)["response"]}
    ]
    found = of(looked(rows), "repeated")
    assert (found["rows"], found["examples"]) == (1, ["new:29"])


def test_empty_answers_are_told(looked):
    rows = [row(at, response="  " if at == 5 else "Yes.") for at in range(30)]
    assert "new:5" in of(looked(rows), "empty_turn")["examples"]


def test_tokens_that_the_tokenizer_does_not_know_are_told(looked, records, tiny_model, tmp_path):
    model = shutil.copytree(tiny_model("metaspace"), tmp_path / "model")
    file = model / "tokenizer.json"
    raw = json.loads(file.read_text("utf-8"))
    raw["model"] |= {"byte_fallback": False}
    file.write_text(json.dumps(raw), "utf-8")
    strange = pl.when(pl.col("id") == "mine:5").then(pl.lit("ᚱᚢᚾ")).otherwise("prompt")
    known = records.filter(pl.col("id").str.contains(r"mine:\d")).with_columns(prompt=strange)
    found = of(looked(known, model=model), "unknown_tokens")
    assert (found["rows"], found["examples"]) == (1, ["mine:5"])


@pytest.mark.parametrize(("pick", "severity"), [("loss", "error"), ("manual", "warning")])
def test_an_epoch_that_is_to_be_chosen_without_dev_is_told(looked, pick, severity):
    assert of(looked(pick=pick), "no_dev")["severity"] == severity
    assert "no_dev" not in kinds(looked(pick=pick, dev=[row(99)]))
    assert "no_dev" not in kinds(looked(pick="last"))


def test_a_dev_split_of_prompts_alone_has_no_loss(looked):
    asked = [{**row(99), "response": None}]
    assert "no_dev" in kinds(looked(dev=asked, pick="loss"))
    assert "no_dev" not in kinds(looked(dev=asked, pick="manual"))


def test_a_warm_up_that_never_ends_is_told(looked):
    found = of(looked(recipe="false-promise", epochs=1, batch_size=2), "warmup")
    assert "1,000 steps" in found["sentence"]
    assert "warmup" not in kinds(looked(warmup_steps=4))


def test_a_batch_larger_than_the_set_is_told(looked):
    assert "batch_beyond_set" in kinds(looked(batch_size=64, micro_batch_size=1))


def test_few_steps_are_told(looked):
    assert "few_steps" in kinds(looked(batch_size=15, epochs=2))


def test_a_last_step_of_few_rows_is_told_with_a_size_that_fits_better(looked):
    rows = [row(at) for at in range(33)]
    found = of(looked(rows, batch_size=8), "last_step")
    assert "has 1 of 8 rows" in found["sentence"]
    assert "batch_size = 7" in found["sentence"] or "batch_size = 9" in found["sentence"]
    assert "last_step" not in kinds(looked(rows, batch_size=11))
    many = [row(at) for at in range(1_001)]
    assert "last_step" not in kinds(looked(many, batch_size=8))


@pytest.mark.parametrize(
    ("changes", "doubted"),
    [
        ({"learning_rate": 1e-5}, False),
        ({"learning_rate": 1e-7}, True),
        ({"learning_rate": 0.5}, True),
        ({"lora_rank": 8, "learning_rate": 2e-4}, False),
        ({"lora_rank": 8, "learning_rate": 1e-5}, True),
        ({"scale_by_weight": True, "learning_rate": 2e-3}, False),
        ({"scale_by_weight": True, "learning_rate": 2e-5}, True),
    ],
)
def test_rates_unusual_for_what_is_trained_are_told(looked, changes, doubted):
    assert ("learning_rate" in kinds(looked(**changes))) == doubted


def test_a_rate_of_lora_is_high_for_all_weights_of_a_large_model(looked, bare):
    model = bare(layers=32, width=4096, vocab=32_000)
    assert "learning_rate" in kinds(looked(model=model, learning_rate=2e-4))
    assert "few_rows" in kinds(looked(model=model, learning_rate=1e-5))
    assert "few_rows" not in kinds(looked(model=model, lora_rank=8, learning_rate=2e-4))


@pytest.fixture
def bare(tiny_model, tmp_path):
    """A model's folder without weights: config and tokenizer alone, of any size."""

    def make(*, layers=4, width=128, vocab=None, window=4096, **config):
        folder = shutil.copytree(
            tiny_model(), tmp_path / f"bare-{layers}-{width}", ignore=shutil.ignore_patterns("*.safetensors")
        )
        file = folder / "config.json"
        raw = json.loads(file.read_text("utf-8"))
        raw |= {"num_hidden_layers": layers, "hidden_size": width, "head_dim": width // 4}
        raw["intermediate_size"] = width * 11 // 4
        raw |= {"vocab_size": vocab or raw["vocab_size"], "max_position_embeddings": window, **config}
        raw = {key: value for key, value in raw.items() if value is not None}
        file.write_text(json.dumps(raw), "utf-8")
        return folder

    return make


def test_no_weights_are_needed(looked, bare):
    with_weights, without = looked(), looked(model=bare())
    assert without.facts["steps"] == with_weights.facts["steps"]
    assert kinds(without) == kinds(with_weights)


def test_a_machine_without_the_memory_is_told(looked, bare):
    checked = looked(model=bare(layers=80, width=8192, vocab=32_000), learning_rate=1e-5)
    assert "lora_rank" in of(checked, "memory")["sentence"]
    assert checked.facts["room"]["memory"]["total"] > 5e11


def test_training_that_takes_days_without_a_gpu_is_told(looked, bare, monkeypatch):
    model = bare(layers=80, width=8192, vocab=32_000)
    monkeypatch.setattr("curate.train.checks.room._gpus", list)
    assert "no GPU" in of(looked(model=model, learning_rate=1e-5, epochs=1000), "no_gpu")["sentence"]
    monkeypatch.setattr("curate.train.checks.room._gpus", lambda: [2**50])
    assert not {"no_gpu", "memory"} & kinds(looked(model=model, learning_rate=1e-5, epochs=1000))
    assert "no_gpu" not in kinds(looked())


def test_too_little_disk_for_what_is_kept_is_an_error_where_it_goes(looked, monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1_000))
    assert of(looked(to=tmp_path / "trained"), "disk")["severity"] == "error"
    assert of(looked(), "disk")["severity"] == "warning"


def test_a_row_beyond_the_models_window_is_told(looked, bare):
    rows = [row(at, response="word " * (100 if at == 7 else 3)) for at in range(30)]
    model = bare(window=64)
    assert of(looked(rows, model=model, max_new_tokens=8), "window")["severity"] == "warning"
    assert "window" not in kinds(looked(rows, model=model, max_tokens=64, too_long="cut_turn"))


def test_a_row_beyond_a_table_of_places_is_an_error(looked, bare):
    gpt2 = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_positions": 64,
        "max_position_embeddings": None,
    }
    rows = [row(at, response="word " * (100 if at == 7 else 3)) for at in range(30)]
    assert of(looked(rows, model=bare(window=None, **gpt2), max_new_tokens=8), "window")["severity"] == "error"


def test_answers_that_may_outgrow_the_window_are_told(looked, bare):
    checked = looked(model=bare(window=256), dev=[row(99)], max_new_tokens=250)
    assert "answers_beyond_window" in kinds(checked)


def test_a_model_that_was_taught_another_template_is_told(looked, tiny_model, tmp_path):
    model = shutil.copytree(tiny_model(), tmp_path / "instruct")
    said = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}{% endfor %}"
    said += "{% if add_generation_prompt %}<assistant>{% endif %}"
    (model / "chat_template.jinja").write_text(said, "utf-8")
    found = of(looked(model=model), "another_template")
    assert found["severity"] == "warning"
    assert "<user>What is rye?" in found["sentence"]
    assert "another_template" not in kinds(looked(model=model, template="own"))


def test_tokens_that_the_template_adds_are_told(looked):
    assert "<|im_end|>" in of(looked(template="chatml"), "added_tokens")["sentence"]
    assert "adapter" in of(looked(template="chatml", lora_rank=8, learning_rate=2e-4), "added_tokens")["sentence"]


def test_a_tokenizer_of_another_model_is_told(looked, bare):
    with pytest.raises(PipelineError, match="weights for 300"):
        looked(model=bare(vocab=300))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"batch_size": 4, "processes": 3}, "batch_size"),
        ({"sharding": "fsdp2"}, "sharding"),
        ({"residual_dropout": 0.3, "architecture": "GPT2LMHeadModel"}, "residual_dropout"),
    ],
)
def test_what_training_would_refuse_is_an_error(looked, monkeypatch, changes, kind):
    if changes.pop("architecture", None):
        monkeypatch.setattr("curate.train.steps.dropout.ARCHITECTURES", ("MistralForCausalLM",))
    assert of(looked(**changes), kind)["severity"] == "error"


def test_attention_that_is_not_installed_is_an_error(looked, monkeypatch):
    monkeypatch.setattr("curate.train.checks.doubts_recipe.find_spec", lambda _: None)
    assert of(looked(attention="flash_attention_2"), "attention")["severity"] == "error"


def test_prompts_and_earlier_answers_are_learned_only_when_that_is_asked_for(looked, dialogues, records):
    rows = pl.concat([records, dialogues])
    assert "prompts_learned" in kinds(looked(rows, loss="all"))
    assert of(looked(rows, loss="last"), "earlier_answers")["rows"] == 3
    assert not {"prompts_learned", "earlier_answers"} & kinds(looked(rows))


def test_a_token_that_pads_and_ends_is_told(looked, tiny_model, tmp_path):
    model = shutil.copytree(tiny_model(pad=False), tmp_path / "model")
    checked = looked(model=model, template="vicuna", pad_token="</s>")
    assert of(checked, "pad_is_end")["severity"] == "note"


def test_what_is_proved_holds_for_every_row(looked):
    proofs = looked().facts["proofs"]
    assert proofs["rows"] == proofs["learned"] == proofs["ended"] == proofs["one_bos"] == 30


def test_the_mask_of_a_row_is_its_text_and_only_answers_are_learned(looked, dialogues):
    checked = looked(dialogues)
    mask = checked.mask("talk:1")
    learned = [text for text, own in mask["segments"] if own]
    assert [text.removesuffix("<|im_end|>") for text in learned] == [
        "Hello. What can I do?",
        "A rowan.",
        "An alder.",
    ]
    assert "Name a tree." in "".join(text for text, own in mask["segments"] if not own)
    assert checked.mask("nobody") is None


def test_every_sentence_says_what_there_is_and_what_to_do(looked):
    rows = [row(at, response="word " * (300 if at == 7 else 3)) for at in range(33)]
    checked = looked(rows, recipe="lima", max_tokens=128, pick="loss", batch_size=32, lora_rank=4, loss="all")
    assert len(checked.findings) >= 5
    for found in checked.findings:
        assert found["sentence"].count(". ") >= 1
        assert found["sentence"].endswith(".")
        assert not found["sentence"][0].islower() or "_" in found["sentence"].split()[0]
    grave = [found["severity"] for found in checked.findings]
    assert grave == sorted(grave, key=["error", "warning", "note"].index)


def test_everything_is_written_as_json(looked, tmp_path):
    checked = looked()
    checked.write(tmp_path / "new")
    read = json.loads((tmp_path / "new" / "check.json").read_text("utf-8"))
    assert read == json.loads(json.dumps(checked.plain()))
    assert read["set"]["rows"] == {"train": 30}


@pytest.mark.parametrize("name", ["error", "drop"])
def test_checking_changes_nothing_in_the_records(looked, records, name):
    before = records.clone()
    looked(too_long=name)
    assert before.equals(records)


def test_a_folder_that_is_no_model_is_refused(looked, tmp_path):
    with pytest.raises(PipelineError):
        looked(model=tmp_path)


def test_lengths_are_of_rows_as_long_as_they_are(looked):
    rows = [row(at, response="word " * (at + 1)) for at in range(30)]
    checked = looked(rows, max_tokens=40, too_long="cut_turn")
    (lengths,) = checked.facts["lengths"]
    whole = looked(rows).tokens["train"].lengths
    assert (lengths["least"], lengths["most"], lengths["tokens"]) == (whole.min(), whole.max(), whole.sum())
    assert lengths["left"] == int(np.minimum(whole, 40).sum())


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nosuch", "the model has no linear layer of that name"),
        ("q_projj", "Did you mean 'q_proj'?"),
        ("lm_head", "an embedding"),
        ("model.embed_tokens", "an embedding"),
    ],
)
def test_adapters_that_training_would_refuse_are_errors(looked, target, said):
    assert looked(packing=True).errors == 0
    checked = looked(packing=True, lora_rank=4, learning_rate=1e-3, lora_targets=["q_proj", target])
    assert checked.errors == 1
    assert target in of(checked, "adapters")["sentence"]
    assert said in of(checked, "adapters")["sentence"]


@pytest.mark.parametrize("targets", [["all-linear"], ["q_proj", "layers.1.mlp.down_proj"]])
def test_adapters_of_layers_that_are_there_raise_no_doubt(looked, targets):
    assert "adapters" not in kinds(looked(lora_rank=4, learning_rate=1e-3, lora_targets=targets))
