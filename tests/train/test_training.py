"""The whole way from a set to a model that answers, and what its folder says of it."""

import json
import os
import signal
from itertools import pairwise

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

import torch
from safetensors.torch import load_file

from curate.errors import BusyError, CurateError, PipelineError, PluginError
from curate.manifest import locked
from curate.train.recipe import read_recipe
from curate.train.rows.tokens import prompt_ids
from curate.train.sets import TrainingSet
from curate.train.speech import picking
from curate.train.speech.speaking import load_speaker
from curate.train.steps.callbacks import Watch, read_metrics
from curate.train.training import Stopped, read_facts, resume, train

QUICK = {
    "epochs": 2,
    "batch_size": 8,
    "micro_batch_size": 2,
    "learning_rate": 1e-3,
    "warmup_share": 0.0,
    "pad_token": "<pad>",
    "max_new_tokens": 4,
}


class Notes(Watch):
    """Keeps what it hears."""

    def __init__(self):
        self.words, self.steps, self.epochs, self.begun = [], [], [], None

    def on_word(self, sentence):
        self.words.append(sentence)

    def on_begin(self, steps, done):
        self.begun = steps, done

    def on_step(self, metrics):
        self.steps.append(metrics)

    def on_epoch(self, kept):
        self.epochs.append(kept)


@pytest.fixture
def invented(records, tmp_path):
    return TrainingSet("invented", tmp_path / "set", {"train": records, "dev": records.head(3)}, {"kind": "file"})


def recipe(name="small", **changes):
    return read_recipe(name, {**QUICK, **changes})


@pytest.fixture(scope="module")
def finished(tiny_model, records, tmp_path_factory):
    """What a run returned, what was heard of it, and its set."""
    root, watch = tmp_path_factory.mktemp("finished"), Notes()
    given = TrainingSet("invented", root / "set", {"train": records, "dev": records.head(3)}, {"kind": "file"})
    return train(given, tiny_model(), recipe(), root / "trained", watch=watch), watch, given


def test_a_set_becomes_a_model_in_a_folder_that_says_how(finished):
    trained, watch, invented = finished
    to = trained.folder
    assert trained.steps == 8
    assert watch.begun == (8, 0)
    assert trained.model == to / "model"
    assert trained.loss == watch.steps[-1]["loss"] < watch.steps[0]["loss"]
    facts = read_facts(to)
    assert facts["state"] == "done"
    assert facts["set"] | {"digest": invented.digest, "rows": {"train": 30, "dev": 3}} == facts["set"]
    assert facts["order"] == {"rows": 30, "sequences": 30, "fillers": 0, "steps_an_epoch": 4}
    assert facts["tokens"]["train"]["rows"] == 30
    assert {"torch", "transformers", "trl", "curate"} <= facts["versions"].keys()
    assert read_recipe(str(to / "recipe.toml")) == recipe()
    assert [each["epoch"] for each in trained.epochs] == [2] == [each["epoch"] for each in watch.epochs]
    assert load_speaker(to).template.name == "chatml"


def test_each_step_has_its_line(finished):
    trained, watch, _ = finished
    to = trained.folder
    lines = read_metrics(to)
    assert lines == watch.steps
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert [line["epoch"] for line in lines[3::4]] == [1.0, 2.0]
    assert [line["rows"] for line in lines] == [8, 8, 8, 6] * 2
    table = read_facts(to)["tokens"]["train"]
    assert sum(line["tokens"] for line in lines) == 2 * table["tokens"]
    assert sum(line["learned"] for line in lines) == 2 * table["learned"]
    keys = {"step", "epoch", "loss", "lr", "grad_norm", "rows", "tokens", "learned", "padding", "seconds"}
    assert keys | {"tokens_per_second"} == lines[0].keys()


def test_no_pickle_is_left_in_what_is_kept(finished):
    to = finished[0].folder
    for kept in ("model", "epochs"):
        files = {file.suffix for file in (to / kept).rglob("*") if file.is_file()}
        assert not files & {".bin", ".pt", ".pth", ".pkl"}
    assert not list(to.rglob("training_args.bin"))


def test_thirty_rows_are_learned_by_heart_and_ended(tiny_model, invented, records, tmp_path):
    to = tmp_path / "trained"
    learned = recipe(
        epochs=60,
        micro_batch_size=8,
        learning_rate=3e-3,
        warmup_share=0.05,
        temperature=0.0,
        repetition_penalty=1.0,
        max_new_tokens=80,
    )
    train(invented, tiny_model(), learned, to)
    speaker = load_speaker(to)
    for row in records.to_dicts():
        said = speaker.answer(prompt_ids(row, speaker.template))
        assert said.text == row["response"]
        assert said.stop == "end"


def test_limas_recipe_runs_whole_and_keeps_its_window(tiny_model, invented, tmp_path):
    to = tmp_path / "trained"
    lima = read_recipe("lima", {"micro_batch_size": 16, "max_new_tokens": 4, "learning_rate": 1e-3})
    assert lima.residual_dropout
    assert lima.epochs == 15
    trained = train(invented, tiny_model(), lima, to)
    assert trained.steps == 15
    assert trained.model is None
    assert not (to / "model").exists()
    assert picking.epochs(to)["epoch"].to_list() == [5, 6, 7, 8, 9, 10]
    assert [each["dev_loss"]["rows"] for each in trained.epochs] == [3] * 6
    rates = [line["lr"] for line in read_metrics(to)]
    assert rates[0] == 1e-3
    assert all(after < before for before, after in pairwise(rates))
    picking.pick(to, epoch=7)
    kept, model = (load_file(to / where / "model.safetensors") for where in ("epochs/epoch-07", "model"))
    assert all(torch.equal(kept[name], model[name]) for name in kept)


def test_only_two_whole_states_are_on_the_disk(tiny_model, invented, tmp_path):
    train(invented, tiny_model(), recipe(checkpoint_every=2), tmp_path / "trained")
    states = sorted(path.name for path in (tmp_path / "trained" / "checkpoints").iterdir())
    assert states == ["checkpoint-6", "checkpoint-8"]


def test_adapters_are_trained_and_merged(tiny_model, invented, tmp_path):
    to = tmp_path / "trained"
    train(invented, tiny_model(), recipe(lora_rank=4, residual_dropout=0.1), to)
    assert (to / "epochs" / "epoch-02" / "adapter_model.safetensors").exists()
    assert not (to / "epochs" / "epoch-02" / "model.safetensors").exists()
    assert "lm_head.weight" in load_file(to / "model" / "model.safetensors")
    lines = read_metrics(to)
    assert lines[-1]["loss"] < lines[0]["loss"]


@pytest.fixture
def poisoned(monkeypatch):
    """Models are loaded with one token whose weights are not numbers."""
    from curate.train import weights

    load = weights.load_model

    def load_model(folder, template, recipe):
        model = load(folder, template, recipe)
        token = template.tokenizer.encode("3. 長江", add_special_tokens=False)[-1]
        with torch.no_grad():
            model.get_input_embeddings().weight[token] = float("nan")
        return model

    monkeypatch.setattr(weights, "load_model", load_model)


@pytest.mark.usefixtures("poisoned")
def test_a_step_that_is_not_finite_stops_and_names_its_rows(tiny_model, records, tmp_path):
    to = tmp_path / "trained"
    given = TrainingSet("invented", tmp_path, {"train": records}, {})
    with pytest.raises(CurateError, match="is not finite, and its update was not made") as error:
        train(given, tiny_model(), recipe(), to)
    assert "mine:o0" in str(error.value)
    told = json.loads((to / "failed-step.json").read_text())
    assert {row["id"]: row["loss"] for row in told["rows"]}["mine:o0"] == "nan"
    assert sum(row["loss"] == "nan" for row in told["rows"]) == 1
    assert told["step"] == len(read_metrics(to)) + 1
    assert told["weights_not_finite"] == ["model.embed_tokens.weight"]
    assert read_facts(to)["state"] == "failed"


def test_a_row_that_is_learned_nothing_of_is_no_reason_to_stop(tiny_model, records, tmp_path):
    given = TrainingSet("invented", tmp_path, {"train": records.head(1)}, {})
    trained = train(given, tiny_model(), recipe(micro_batch_size=4), tmp_path / "trained")
    assert trained.steps == 2
    assert read_facts(tmp_path / "trained")["order"]["fillers"] == 3


def test_what_is_heard_between_epochs_changes_nothing_that_is_learned(tiny_model, invented, tmp_path):
    dropping = {"residual_dropout": 0.3, "temperature": 1.0}
    train(invented, tiny_model(), recipe(keep_epochs=[1, 2], **dropping), tmp_path / "heard")
    unheard = TrainingSet("invented", tmp_path, {"train": invented.splits["train"]}, {})
    train(unheard, tiny_model(), recipe(**dropping), tmp_path / "unheard")
    one, other = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("heard", "unheard"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_tensorboard_is_told_when_it_is_not_installed(tiny_model, invented, tmp_path, monkeypatch):
    monkeypatch.setattr("curate.train.steps.callbacks.find_spec", lambda _: None)
    with pytest.raises(PluginError, match="TensorBoard is not installed"):
        train(invented, tiny_model(), recipe(), tmp_path / "trained", tensorboard=True)
    assert not (tmp_path / "trained" / "train.json").exists()


def test_what_fills_up_is_said(tiny_model, records, tmp_path):
    watch = Notes()
    given = TrainingSet("invented", tmp_path, {"train": records.head(3)}, {})
    train(given, tiny_model(), recipe(epochs=1), tmp_path / "trained", watch=watch)
    assert watch.words[0] == "3 rows, 1 step an epoch, 1 in all"
    assert "filled up with 1 empty row of no weight" in watch.words[1]


def test_a_folder_takes_one_training(finished, tiny_model):
    trained, _, invented = finished
    to = trained.folder
    with pytest.raises(CurateError, match="something was trained here before"):
        train(invented, tiny_model(), recipe(), to)
    with pytest.raises(CurateError, match="training is finished"):
        resume(to)


def test_a_training_that_took_no_step_is_begun_anew_in_its_folder(tiny_model, records, invented, tmp_path):
    to = tmp_path / "trained"
    hopeless = recipe(lora_rank=4, lora_targets=["nosuch"])
    for _ in range(2):
        with pytest.raises(CurateError, match="nosuch"):
            train(invented, tiny_model(), hopeless, to)
        assert read_facts(to)["state"] == "failed"
    with pytest.raises(CurateError, match="nosuch"):
        resume(to)
    without = TrainingSet("invented", tmp_path, {"train": records}, {})
    assert train(without, tiny_model(), recipe(epochs=1), to).steps == 4
    facts = read_facts(to)
    assert facts["recipe"]["lora_rank"] == 0
    assert [each["step"] for each in facts["starts"]] == [0]
    assert [file.name for file in (to / "tokens").iterdir()] == ["train.parquet"]
    with pytest.raises(CurateError, match="something was trained here before"):
        train(invented, tiny_model(), recipe(), to)


def test_a_folder_is_held_while_it_is_trained_in(tiny_model, invented, tmp_path):
    with locked(tmp_path / "trained"), pytest.raises(BusyError):
        train(invented, tiny_model(), recipe(), tmp_path / "trained")


def test_nothing_goes_on_where_nothing_was_trained(tmp_path):
    with pytest.raises(PipelineError, match="nothing was trained here"):
        resume(tmp_path)


def test_rows_that_are_all_dropped_are_told(tiny_model, invented, tmp_path):
    with pytest.raises(CurateError, match="no row is left"):
        train(invented, tiny_model(), recipe(max_tokens=4, too_long="drop"), tmp_path / "trained")


def test_too_little_disk_is_told_before_the_first_step(tiny_model, invented, tmp_path, monkeypatch):
    monkeypatch.setattr("curate.train.budget.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(PipelineError, match="the disk has"):
        train(invented, tiny_model(), recipe(), tmp_path / "trained")
    assert not (tmp_path / "trained" / "train.json").exists()


def test_training_that_is_told_to_stop_leaves_a_state_to_go_on_from(tiny_model, invented, tmp_path):
    class Impatient(Notes):
        def on_step(self, metrics):
            super().on_step(metrics)
            if metrics["step"] == 3 and self.begun == (8, 0):
                os.kill(os.getpid(), signal.SIGINT)

    watch, to = Impatient(), tmp_path / "trained"
    with pytest.raises(Stopped, match="stopped after step 4 of 8"):
        train(invented, tiny_model(), recipe(residual_dropout=0.2), to, watch=watch)
    assert read_facts(to)["state"] == "stopped"
    resume(to, watch=watch)
    whole = tmp_path / "whole"
    train(invented, tiny_model(), recipe(residual_dropout=0.2), whole)
    stopped, through = (load_file(folder / "model" / "model.safetensors") for folder in (to, whole))
    assert all(torch.equal(stopped[name], through[name]) for name in through)
    assert [line["step"] for line in read_metrics(to)] == list(range(1, 9))
