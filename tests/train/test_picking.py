"""The kept epochs in a table, and the one that becomes the model."""

import json
import shutil

import pytest
from click.testing import CliRunner

from curate.cli.train_generate_command import command as generate
from curate.cli.train_pick_command import command
from curate.errors import PipelineError, ReproducibilityError
from curate.train.recipe import read_recipe

pytest.importorskip("torch")
pytest.importorskip("trl")

from curate.train.sets import TrainingSet
from curate.train.speech import picking
from curate.train.speech.picking import epochs, pick, picked, read_answers
from curate.train.speech.speaking import answered, load_speaker
from curate.train.training import train

RECIPE = read_recipe(
    "small",
    {
        "epochs": 7,
        "keep_epochs": [5, 7],
        "learning_rate": 1e-2,
        "schedule": "constant",
        "max_new_tokens": 8,
        "precision": "fp32",
        "pick": "manual",
    },
)


@pytest.fixture(scope="module")
def given(records, tmp_path_factory):
    """A set of twelve rows, three of which are also those that an epoch is asked."""
    splits = {"train": records.head(12), "dev": records.head(3)}
    return TrainingSet("invented", tmp_path_factory.mktemp("sets"), splits, {"kind": "file"})


@pytest.fixture(scope="module")
def made(tiny_model, given, tmp_path_factory):
    """A training folder with three kept epochs, the middle one noted as that of the least loss."""
    folder = tmp_path_factory.mktemp("trained") / "invented-small"
    train(given, tiny_model(), RECIPE, folder)
    note = folder / "epochs" / "epoch-06.json"
    heard = json.loads(note.read_text("utf-8"))
    heard["dev_loss"]["per_token"] = 0.001
    note.write_text(json.dumps(heard), "utf-8")
    return folder


@pytest.fixture
def trained(made, tmp_path):
    return shutil.copytree(made, tmp_path / "trained")


def test_the_table_has_what_was_heard_of_each_epoch(trained):
    table = epochs(trained)
    assert table.schema == picking.TABLE
    assert table["epoch"].to_list() == [5, 6, 7]
    assert table["step"].to_list() == [5, 6, 7]
    assert table["whole"].all()
    assert table["answers"].to_list() == [3, 3, 3]
    assert table["dev_per_token"].arg_min() == 1
    assert [len(read_answers(trained / file)) for file in table["file"]] == [3, 3, 3]


def test_an_epoch_that_was_not_heard_yet_is_in_the_table_all_the_same(trained):
    (trained / "epochs" / "epoch-06.json").unlink()
    assert epochs(trained)["dev_per_token"].is_null().to_list() == [False, True, False]


def test_half_written_folders_are_no_epochs(trained):
    (trained / "epochs" / ".epoch-08.1.unfinished").mkdir()
    (trained / "epochs" / "epoch-08.json").write_text("{}", "utf-8")
    assert epochs(trained)["epoch"].to_list() == [5, 6, 7]


def test_the_least_loss_is_picked_and_who_chose_is_noted(trained):
    note = pick(trained, by="loss", who="recipe", why="it is the least")
    assert (note["epoch"], note["by"], note["who"], note["why"]) == (6, "loss", "recipe", "it is the least")
    assert picked(trained) == note
    assert note["dev_per_token"] == epochs(trained)["dev_per_token"].min()
    assert "epoch 6" in (trained / "model" / "README.md").read_text("utf-8")
    assert note["said"].keys() == {"prompt", "text", "stop", "tokens"}


def test_of_equal_losses_the_earliest_is_picked(trained):
    file = trained / "epochs" / "epoch-05.json"
    heard = json.loads(file.read_text("utf-8"))
    heard["dev_loss"]["per_token"] = epochs(trained)["dev_per_token"].min()
    file.write_text(json.dumps(heard), "utf-8")
    assert pick(trained, by="loss")["epoch"] == 5


def test_the_last_is_picked_when_nothing_is_said(trained):
    assert (pick(trained)["epoch"], pick(trained, by="last")["by"]) == (7, "last")


def test_a_given_epoch_is_picked(trained):
    assert (pick(trained, epoch=5)["epoch"], picked(trained)["by"]) == (5, "epoch")


@pytest.mark.parametrize("epoch", [5, 7])
def test_the_picked_model_says_what_its_epoch_said(trained, records, epoch):
    pick(trained, epoch=epoch)
    said = read_answers(trained / "generations" / f"epoch-{epoch:02d}.jsonl")
    speaker = load_speaker(trained)
    assert answered(speaker, records.head(3).to_dicts()) == said
    assert answered(load_speaker(trained / "model"), records.head(3).to_dicts()) == said
    assert answered(load_speaker(trained, epoch=epoch), records.head(3).to_dicts()) == said
    other = read_answers(trained / "generations" / "epoch-06.jsonl")
    assert [each["answer"] for each in other] != [each["answer"] for each in said]


def test_a_model_that_was_moved_away_speaks_as_it_did(trained, records, tmp_path):
    pick(trained, epoch=5)
    moved = shutil.copytree(trained / "model", tmp_path / "elsewhere")
    shutil.rmtree(trained)
    speaker = load_speaker(moved)
    assert speaker.recipe.max_new_tokens == RECIPE.max_new_tokens
    before = json.loads((moved / "generation_config.json").read_text("utf-8"))
    assert speaker.ends == before["eos_token_id"]
    assert answered(speaker, records.head(1).to_dicts())[0]["tokens"] <= RECIPE.max_new_tokens


def test_picking_again_replaces_the_model_and_leaves_the_epochs(trained):
    before = {file: file.read_bytes() for file in (trained / "epochs").rglob("*") if file.is_file()}
    pick(trained, epoch=5)
    (trained / "model" / "note.txt").write_text("mine", "utf-8")
    pick(trained, epoch=7)
    assert picked(trained)["epoch"] == 7
    model = (trained / "model" / "model.safetensors").read_bytes()
    assert model == before[trained / "epochs" / "epoch-07" / "model.safetensors"]
    assert not (trained / "model" / "note.txt").exists()
    assert {file: file.read_bytes() for file in (trained / "epochs").rglob("*") if file.is_file()} == before
    assert {path.name for path in trained.glob(".*")} <= {".lock"}


def test_editing_the_models_settings_does_not_touch_its_epoch(trained):
    pick(trained, epoch=5)
    with (trained / "model" / "generation_config.json").open("a") as file:
        file.write("\n")
    assert pick(trained, epoch=5)["epoch"] == 5


def test_weights_take_no_room_twice(trained):
    pick(trained, epoch=5)
    assert (trained / "model" / "model.safetensors").samefile(trained / "epochs/epoch-05/model.safetensors")


def test_where_there_are_no_links_weights_are_copied(trained, monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr("os.link", refuse)
    pick(trained, epoch=5)
    model = trained / "model" / "model.safetensors"
    assert model.read_bytes() == (trained / "epochs/epoch-05/model.safetensors").read_bytes()


class TestErrors:
    def test_an_epoch_that_is_not_kept_names_the_nearest(self, trained):
        with pytest.raises(PipelineError, match="epoch 4 is not kept") as error:
            pick(trained, epoch=4)
        assert error.value.next == "the nearest is 5; kept are 5, 6, 7"

    def test_before_any_epoch_is_kept_there_is_none_to_pick(self, trained):
        shutil.rmtree(trained / "epochs")
        with pytest.raises(PipelineError, match="no epoch is kept yet"):
            pick(trained)

    def test_without_dev_rows_no_loss_picks(self, trained):
        for file in (trained / "epochs").glob("*.json"):
            file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"dev_loss": None}), "utf-8")
        with pytest.raises(PipelineError, match="no loss on dev rows"):
            pick(trained, by="loss")

    def test_while_an_epoch_was_not_heard_no_loss_picks(self, trained):
        (trained / "epochs" / "epoch-07.json").unlink()
        with pytest.raises(PipelineError, match="epoch 7 has no loss"):
            pick(trained, by="loss")

    def test_a_torn_epoch_is_not_picked_and_the_model_stays(self, trained):
        pick(trained, epoch=5)
        torn = trained / "epochs" / "epoch-06" / "model.safetensors"
        torn.write_bytes(torn.read_bytes()[:-100])
        assert epochs(trained)["whole"].to_list() == [True, False, True]
        with pytest.raises(ReproducibilityError, match="safetensors has") as error:
            pick(trained, epoch=6)
        assert error.value.next == "whole are 5, 7"
        assert picked(trained)["epoch"] == 5
        assert load_speaker(trained).answer([5, 6]).tokens

    def test_a_changed_byte_is_seen_when_it_is_picked(self, trained):
        file = trained / "epochs" / "epoch-06" / "model.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        with pytest.raises(ReproducibilityError, match="not what was written"):
            pick(trained, epoch=6)

    def test_a_folder_that_is_none_of_training_is_told(self, tmp_path):
        with pytest.raises(PipelineError, match="no training folder"):
            epochs(tmp_path)

    def test_before_a_model_is_picked_there_is_none_to_speak(self, trained):
        with pytest.raises(PipelineError, match="no model was picked yet"):
            load_speaker(trained)

    def test_a_training_that_came_to_no_epoch_is_to_go_on(self, trained):
        shutil.rmtree(trained / "epochs")
        for speaks in (load_speaker, pick, lambda folder: load_speaker(folder, epoch=5)):
            with pytest.raises(PipelineError, match="no epoch is kept yet") as told:
                speaks(trained)
            assert told.value.next.endswith(f"curate train resume {trained}")
        shown = asked(trained)
        assert "No epoch is kept yet." in shown.output
        assert f"curate train resume {trained}" in shown.output
        assert "curate train pick" not in shown.output

    def test_a_plain_model_has_no_epochs(self, tiny_model):
        with pytest.raises(PipelineError, match="no training folder"):
            load_speaker(tiny_model(), epoch=3)

    def test_a_pick_that_fails_half_way_leaves_the_model_before(self, trained, monkeypatch):
        pick(trained, epoch=5)

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.link", full)
        monkeypatch.setattr("shutil.copyfile", full)
        with pytest.raises(OSError, match="No space left"):
            pick(trained, epoch=7)
        assert picked(trained)["epoch"] == 5
        model = (trained / "model" / "model.safetensors").read_bytes()
        assert model == (trained / "epochs/epoch-05/model.safetensors").read_bytes()
        assert not [path for path in trained.iterdir() if "unfinished" in path.name]


@pytest.fixture(scope="module")
def adapters_made(tiny_model, given, tmp_path_factory):
    """A training folder whose epochs are adapters, beside the base model that they were trained on."""
    root = tmp_path_factory.mktemp("adapted")
    shutil.copytree(tiny_model(), root / "base")
    train(given, root / "base", RECIPE.model_copy(update={"lora_rank": 4}), root / "trained")
    return root


@pytest.fixture
def adapted(adapters_made, tmp_path):
    root = shutil.copytree(adapters_made, tmp_path / "adapted")
    file = root / "trained" / "train.json"
    facts = json.loads(file.read_text("utf-8"))
    facts["model"]["path"] = str(root / "base")
    file.write_text(json.dumps(facts), "utf-8")
    return root / "trained"


class TestAdapters:
    def test_an_adapters_epoch_is_merged_into_what_it_was_trained_on(self, adapted, records):
        said = read_answers(adapted / "generations" / "epoch-05.jsonl")
        other = read_answers(adapted / "generations" / "epoch-07.jsonl")
        assert [each["answer"] for each in other] != [each["answer"] for each in said]

        assert answered(load_speaker(adapted, epoch=5), records.head(3).to_dicts()) == said
        assert pick(adapted, epoch=5)["said"].keys() == {"prompt", "text", "stop", "tokens"}
        assert not (adapted / "model" / "adapter_config.json").exists()
        assert answered(load_speaker(adapted), records.head(3).to_dicts()) == said

        shutil.rmtree(adapted.parent / "base")
        with pytest.raises(PipelineError, match="is not there"):
            pick(adapted)
        assert answered(load_speaker(adapted), records.head(3).to_dicts()) == said, (
            "the merged model needs no other"
        )

    def test_adapters_are_merged_into_no_other_weights_than_those_they_were_trained_on(self, adapted):
        from safetensors.torch import load_file, save_file

        file = adapted.parent / "base" / "model.safetensors"
        save_file({name: 1.5 * weight for name, weight in load_file(file).items()}, file, {"format": "pt"})
        for speaks in (lambda: pick(adapted, by="last"), lambda: load_speaker(adapted, epoch=5)):
            with pytest.raises(ReproducibilityError, match="not the model that these adapters were trained on"):
                speaks()
        assert picked(adapted) is None
        assert not (adapted / "model").exists()

    def test_nor_beside_another_tokenizer(self, adapted):
        file = adapted.parent / "base" / "tokenizer.json"
        written = json.loads(file.read_text("utf-8"))
        ids = written["model"]["vocab"]
        ids["A"], ids["B"] = ids["B"], ids["A"]
        file.write_text(json.dumps(written), "utf-8")
        for speaks in (lambda: pick(adapted, by="last"), lambda: load_speaker(adapted, epoch=5)):
            with pytest.raises(ReproducibilityError, match="tokenizer is not the one"):
                speaks()
        assert picked(adapted) is None

    def test_a_base_that_was_moved_is_said_and_held_against_its_digest(
        self, adapted, records, tiny_model, tmp_path
    ):
        said = read_answers(adapted / "generations" / "epoch-05.jsonl")
        moved = (adapted.parent / "base").rename(tmp_path / "elsewhere")
        with pytest.raises(PipelineError, match="is not there") as told:
            pick(adapted, epoch=5)
        assert "--model PATH" in told.value.next
        with pytest.raises(ReproducibilityError, match="not the model"):
            pick(adapted, epoch=5, model=tiny_model("metaspace"))
        assert answered(load_speaker(adapted, epoch=5, model=moved), records.head(3).to_dicts()) == said
        assert asked(adapted, "--epoch", "5", "--model", moved).exit_code == 0
        assert answered(load_speaker(adapted), records.head(3).to_dicts()) == said

    def test_a_moved_base_is_given_to_the_commands_that_speak_too(self, adapted, tmp_path):
        moved = (adapted.parent / "base").rename(tmp_path / "elsewhere")
        given = [str(adapted), "Hello?", "--epoch", "5", "--model", str(moved)]
        assert CliRunner().invoke(generate, given, catch_exceptions=False).exit_code == 0

    def test_adapters_alone_are_of_no_known_model(self, adapted, tmp_path):
        alone = shutil.copytree(adapted / "epochs" / "epoch-05", tmp_path / "alone")
        with pytest.raises(PipelineError, match="nothing says which model"):
            load_speaker(alone, model=adapted.parent / "base")

    def test_whole_weights_need_no_base(self, trained, tiny_model):
        with pytest.raises(PipelineError, match="need no base model"):
            pick(trained, epoch=5, model=tiny_model())
        assert asked(trained, "--model", tiny_model()).exit_code == 2


class TestCommand:
    def test_without_a_choice_it_shows_the_table_and_what_to_do(self, trained):
        done = asked(trained)
        words = [line.split() for line in done.stdout.splitlines()]
        assert words[0] == ["epoch", "step", "dev", "loss", "by", "row", "answers", "ended", "tokens"]
        assert [row[:2] for row in words[1:4]] == [["5", "5"], ["6", "6"], ["7", "7"]]
        assert words[2][2] == "0.0010"
        assert "--epoch N, or --by loss" in done.stdout
        assert max(map(len, done.stdout.splitlines()[:7])) <= 80

    def test_a_choice_is_carried_out_and_seen_in_the_table(self, trained):
        done = asked(trained, "--by", "loss", "--why", "least", "--who", "Ada")
        assert done.stdout.startswith("epoch 6, loss 0.0010 a token on the dev rows, is now ")
        again = asked(trained).stdout
        assert "Epoch 6 was picked by Ada, for the least loss: least." in again
        (row,) = [line for line in again.splitlines() if line.endswith("picked")]
        assert row.split()[0] == "6"
        assert (trained / "report.html").is_file()

    def test_a_damaged_epoch_is_marked(self, trained):
        (trained / "epochs" / "epoch-06" / "model.safetensors").unlink()
        (row,) = [line for line in asked(trained).stdout.splitlines() if line.endswith("damaged")]
        assert row.split()[0] == "6"

    def test_answers_of_all_epochs_are_read_prompt_by_prompt(self, trained):
        said = asked(trained, "--show", "2").stdout
        first = read_answers(trained / "generations" / "epoch-05.jsonl")
        assert [said.count(each["prompt"]) for each in first] == [1, 1, 0]
        assert said.count("epoch 5 (") == said.count("epoch 7 (") == 2

    def test_an_epoch_and_a_rule_are_too_much(self, trained):
        assert asked(trained, "--by", "loss", "--epoch", "5").exit_code == 2

    @pytest.mark.parametrize(
        "options",
        [["--epoch", "5", "--show", "2"], ["--by", "last", "--show", "2"], ["--why", "x"], ["--who", "x"]],
    )
    def test_what_would_go_for_nothing_is_told(self, trained, options):
        done = asked(trained, *options)
        assert (done.exit_code, picked(trained)) == (2, None)
        assert "--show" in done.stderr or "--why" in done.stderr

    def test_a_folder_before_its_first_epoch_says_so(self, trained):
        shutil.rmtree(trained / "epochs")
        assert "No epoch is kept yet." in asked(trained).stdout


def asked(*arguments):
    """`curate train pick`, at 80 columns."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(command, [*map(str, arguments)])
