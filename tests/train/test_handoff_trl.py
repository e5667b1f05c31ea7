"""Sets for TRL: its trainer learns our ids and labels, by the recipe's values."""

import runpy
import sys
from itertools import product

import pytest

from curate.train.recipe import read_recipe, recipe_names
from curate.train.targets.handoff import hand_off
from tests.train.handed_sets import pairs, recipe, set_of, tokens_of

pytest.importorskip("torch")
datasets = pytest.importorskip("datasets")
trl = pytest.importorskip("trl")
transformers = pytest.importorskip("transformers")

# Said by TRL, peft and transformers of one another.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
]


@pytest.fixture(scope="module")
def given(records):
    """Twenty-eight questions to learn, and two for dev."""
    return set_of(records[:28], records[28:])


def trl_arguments(folder, **changes):
    """TRL's own reading of its configuration."""
    from trl import ModelConfig, SFTConfig, TrlParser

    texts = [word for name, value in changes.items() for word in (f"--{name}", str(value))]
    return TrlParser((SFTConfig, ModelConfig)).parse_args_and_config(
        ["--config", str(folder / "trl.yaml"), "--output_dir", str(folder / "out"), "--use_cpu", "true", *texts]
    )


def sft_trainer(folder, model, **changes):
    """TRL's trainer of a folder that was handed on."""
    arguments, _ = trl_arguments(folder, **changes)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model)
    loaded.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = loaded_rows(folder, "parquet")
    return trl.SFTTrainer(
        loaded, arguments, train_dataset=rows["train"], eval_dataset=rows["dev"], processing_class=tokenizer
    )


def loaded_rows(folder, form):
    """The rows of a folder as `datasets` loads them."""
    name = "jsonl" if form == "json" else form
    files = {split: str(folder / f"{split}.{name}") for split in ("train", "dev")}
    return datasets.load_dataset(form, data_files=files, cache_dir=str(folder / "cache"))


def unpadded(batch):
    """The rows of a padded batch, by what attends."""
    rows = zip(*(batch[name].tolist() for name in ("input_ids", "labels", "attention_mask")), strict=True)
    return [
        (
            [id for id, seen in zip(ids, mask, strict=True) if seen],
            [x for x, seen in zip(labels, mask, strict=True) if seen],
        )
        for ids, labels, mask in rows
    ]


@pytest.mark.parametrize("name", ["lima", "alpaca-7b", "vicuna", "small"])
def test_its_trainer_learns_our_ids_and_labels_to_the_last(given, tiny_model, tmp_path, name):
    made = recipe(name)
    hand_off(given, tiny_model(), made, "trl", tmp_path / "trl")
    trainer = sft_trainer(tmp_path / "trl", tiny_model())
    ours = pairs(tokens_of(given, tiny_model(), made)[0])
    assert [(row["input_ids"], row["labels"]) for row in trainer.train_dataset] == ours
    batched = [row for batch in trainer.get_train_dataloader() for row in unpadded(batch)]
    assert sorted(batched) == sorted(ours)


def test_packed_by_its_trainer_every_row_is_there_once_and_whole(given, tiny_model, tmp_path):
    made = recipe(packing=True, max_tokens=128)
    hand_off(given, tiny_model(), made, "trl", tmp_path / "trl")
    trainer = sft_trainer(tmp_path / "trl", tiny_model())
    found = []
    for pack in trainer.train_dataset:
        start = 0
        for length in pack["seq_lengths"]:
            found.append(tuple(pack[part][start : start + length] for part in ("input_ids", "labels")))
            start += length
    assert sorted(found) == sorted(pairs(tokens_of(given, tiny_model(), made)[0]))
    batch = next(iter(trainer.get_train_dataloader()))
    assert "attention_mask" not in batch  # beside packed rows it would let them see one another
    assert (batch["position_ids"] == 0).sum() > len(trainer.train_dataset) // len(trainer.get_train_dataloader())


@pytest.mark.parametrize("name", [name for name in recipe_names() if name != "false-promise"])
def test_its_configuration_has_the_values_of_every_recipe(given, tiny_model, tmp_path, name):
    made = read_recipe(name, {"precision": "fp32", "pad_token": "<unk>"})
    hand_off(given, tiny_model(), made, "trl", tmp_path / "trl")
    read, model = trl_arguments(tmp_path / "trl")
    assert read.num_train_epochs == made.epochs
    assert read.per_device_train_batch_size * read.gradient_accumulation_steps == made.batch_size
    assert (read.learning_rate, read.weight_decay) == (made.learning_rate, made.weight_decay)
    assert (read.adam_beta1, read.adam_beta2, read.adam_epsilon) == (made.beta1, made.beta2, made.epsilon)
    assert (read.max_grad_norm, read.seed, read.max_length) == (made.max_grad_norm, made.seed, made.max_tokens)
    assert read.gradient_checkpointing == made.activation_checkpointing
    assert read.packing == made.packing
    assert not read.bf16
    assert read.report_to == []
    assert model.dtype == "float32"
    assert model.attn_implementation == made.attention


@pytest.mark.parametrize(
    ("schedule", "floor"),
    [*product(["linear", "cosine"], [0.0, 1e-6, 2e-5]), ("constant", 2e-5)],  # 2e-5 is where they fall from
)
def test_its_learning_rate_rises_and_falls_as_the_recipe_says(given, tiny_model, tmp_path, schedule, floor):
    own = {} if schedule == "constant" else {"final_learning_rate": floor}
    made = recipe(schedule=schedule, warmup_steps=3, epochs=2, **own)
    hand_off(given, tiny_model(), made, "trl", tmp_path / "trl")
    trainer = sft_trainer(tmp_path / "trl", tiny_model())
    steps = 2 * 7
    optimizer = trainer.create_optimizer()
    scheduler = trainer.create_scheduler(steps, optimizer)
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates[0] == 0
    assert max(rates) == rates[3] == made.learning_rate
    assert scheduler.get_last_lr()[0] == pytest.approx(floor, abs=1e-12)


@pytest.mark.parametrize("changes", [{}, {"lora_rank": 4}], ids=["all weights", "LoRA"])
def test_the_script_beside_it_trains_and_leaves_a_model_with_our_template(
    given, tiny_model, tmp_path, monkeypatch, changes
):
    made = recipe("lima", epochs=1, keep_epochs=[1, 1], batch_size=14, micro_batch_size=14, **changes)
    hand_off(given, tiny_model(), made, "trl", tmp_path / "trl")
    told = [
        "--model_name_or_path",
        str(tiny_model()),
        "--output_dir",
        str(tmp_path / "out"),
        "--use_cpu",
        "true",
    ]
    monkeypatch.setattr(sys, "argv", ["train.py", "--config", str(tmp_path / "trl" / "trl.yaml"), *told])
    done = runpy.run_path(str(tmp_path / "trl" / "train.py"), run_name="__main__")
    assert done["trainer"].state.global_step == 2
    assert {"eval_loss", "loss"} <= {key for line in done["trainer"].state.log_history for key in line}
    assert len(done["new"]) == 1
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.chat_template == (tmp_path / "trl/tokenizer/chat_template.jinja").read_text("utf-8")


def test_a_token_that_the_template_adds_begins_as_the_mean_of_all_others(given, tiny_model, tmp_path):
    hand_off(given, tiny_model(), recipe("lima"), "trl", tmp_path / "trl")
    script = runpy.run_path(str(tmp_path / "trl" / "train.py"))
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model())
    old = model.get_input_embeddings().weight.detach().clone()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "trl/tokenizer")
    own = transformers.AutoTokenizer.from_pretrained(tiny_model())
    (new,) = script["grown"](model, tokenizer, own)
    grown = model.get_input_embeddings().weight.detach()
    assert new == tokenizer.convert_tokens_to_ids("<|end_of_turn|>")
    assert grown[:new].equal(old)
    assert grown[new].allclose(old.mean(dim=0))


@pytest.mark.parametrize("name", ["lima", "alpaca-7b", "vicuna", "small"])
def test_from_editable_rows_it_makes_our_ids_and_labels_but_for_what_it_is_told_of(
    given, tiny_model, tmp_path, name
):
    made = recipe(name)
    hand_off(given, tiny_model(), made, "trl", tmp_path / "trl", exact=False)
    arguments, _ = trl_arguments(tmp_path / "trl")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "trl/tokenizer")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model())
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = loaded_rows(tmp_path / "trl", "json")
    trainer = trl.SFTTrainer(
        model, arguments, train_dataset=rows["train"], eval_dataset=rows["dev"], processing_class=tokenizer
    )
    ours, template = tokens_of(given, tiny_model(), made)
    tail = tokenizer("\n", add_special_tokens=False)["input_ids"] if name == "small" else []
    assert [(row["input_ids"], row["labels"]) for row in trainer.train_dataset] == [
        (ids + tail, labels + tail) for ids, labels in pairs(ours)
    ]
    told = "is not learned" in (tmp_path / "trl/NOT_CARRIED.md").read_text("utf-8")
    assert told == bool(tail)
    assert template.end in tokenizer.get_vocab()
