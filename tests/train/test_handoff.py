"""Sets for other trainers: files that axolotl and LLaMA-Factory read as they are, whole and without traces."""

import json
import shutil

import polars as pl
import pytest
from click.testing import CliRunner

from curate.cli import cli
from curate.errors import CurateError, PipelineError
from curate.train.targets.handoff import hand_off, hand_offs
from curate.train.targets.not_carried import TITLES
from tests.train.handed_sets import NOWHERE, pairs, recipe, set_of, settings_of, tokens_of

pytest.importorskip("torch")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def given(records):
    """Twenty-eight questions to learn, and two for dev."""
    return set_of(records[:28], records[28:])


@pytest.fixture(scope="module")
def talks(records, dialogues):
    """Questions, and conversations without a system message."""
    return set_of(pl.concat([records[:5], dialogues.filter(pl.col("system").is_null())]))


class TestAxolotl:
    def test_rows_have_the_three_columns_by_which_it_knows_tokens_and_no_type(self, given, tiny_model, tmp_path):
        made = recipe("lima")
        hand_off(given, tiny_model(), made, "axolotl", tmp_path / "axolotl")
        for split, key in (("train", "datasets"), ("dev", "test_datasets")):
            rows = pl.read_parquet(tmp_path / "axolotl" / f"{split}.parquet")
            assert rows.columns == ["input_ids", "attention_mask", "labels"]
            found = [(row["input_ids"], row["labels"]) for row in rows.iter_rows(named=True)]
            tokens = tokens_of(given, tiny_model(), made, split)[0]
            assert found == pairs(tokens)
            assert all(set(mask) == {1} for mask in rows["attention_mask"])
            (entry,) = settings_of(tmp_path / "axolotl", "axolotl.yaml")[key]
            assert entry["path"] == f"{split}.parquet"
            assert entry["type"] == ""
            ids = (tmp_path / "axolotl" / f"{split}.ids.jsonl").read_text("utf-8").splitlines()
            assert [json.loads(line)["id"] for line in ids] == tokens.ids

    def test_a_floor_of_a_cosine_is_a_share_of_the_highest_rate(self, given, tiny_model, tmp_path):
        made = recipe(final_learning_rate=2e-6)
        hand_off(given, tiny_model(), made, "axolotl", tmp_path / "axolotl")
        read = settings_of(tmp_path / "axolotl", "axolotl.yaml")
        assert read["lr_scheduler"] == "cosine"
        assert read["cosine_min_lr_ratio"] == pytest.approx(0.1)

    @pytest.mark.parametrize("schedule", ["linear", "cosine"])
    def test_a_rate_that_falls_to_itself_is_constant(self, given, tiny_model, tmp_path, schedule):
        made = recipe(schedule=schedule, learning_rate=2e-5, final_learning_rate=2e-5)
        hand_off(given, tiny_model(), made, "axolotl", tmp_path / "axolotl")
        read = settings_of(tmp_path / "axolotl", "axolotl.yaml")
        assert read["lr_scheduler"] == "constant_with_warmup"
        assert not {"lr_scheduler_kwargs", "cosine_min_lr_ratio"} & {*read}

    def test_it_is_told_the_steps_for_by_itself_it_would_stop_before_the_last_epoch_ends(
        self, given, tiny_model, tmp_path
    ):
        hand_off(given, tiny_model(), recipe("lima", batch_size=8), "axolotl", tmp_path / "axolotl")
        assert (
            settings_of(tmp_path / "axolotl", "axolotl.yaml")["max_steps"] == 60
        )  # 15 of four; 28 x 15 / 8 is 53

    def test_without_warm_up_it_is_told_so_for_it_would_take_three_hundredths(self, given, tiny_model, tmp_path):
        hand_off(given, tiny_model(), recipe("lima"), "axolotl", tmp_path / "axolotl")
        assert settings_of(tmp_path / "axolotl", "axolotl.yaml")["warmup_steps"] == 0

    def test_editable_messages_carry_the_context_that_a_template_has_a_place_for(
        self, given, tiny_model, tmp_path
    ):
        hand_off(given, tiny_model(), recipe("alpaca-7b"), "axolotl", tmp_path / "axolotl", exact=False)
        rows = [json.loads(line) for line in (tmp_path / "axolotl/train.jsonl").read_text("utf-8").splitlines()]
        assert rows[4]["messages"][0] == {
            "role": "user",
            "content": "Which colour is it?",
            "context": "badger, red",
        }
        (entry,) = settings_of(tmp_path / "axolotl", "axolotl.yaml")["datasets"]
        assert entry["message_property_mappings"]["context"] == "context"


class TestLlamaFactory:
    def test_tokens_are_read_as_a_saved_data_set(self, given, tiny_model, tmp_path):
        made = recipe("vicuna")
        hand_off(given, tiny_model(), made, "llama-factory", tmp_path / "lf")
        read = datasets.load_from_disk(str(tmp_path / "lf/tokenized"))
        assert set(read) == {"train", "validation"}
        for split, name in (("train", "train"), ("dev", "validation")):
            found = [(row["input_ids"], row["labels"]) for row in read[name]]
            assert found == pairs(tokens_of(given, tiny_model(), made, split)[0])
        assert settings_of(tmp_path / "lf", "llama_factory.yaml")["tokenized_path"] == "tokenized"

    def test_packs_number_their_rows_and_begin_each_at_its_first_place(self, given, tiny_model, tmp_path):
        made = recipe(packing=True, max_tokens=128)
        hand_off(given, tiny_model(), made, "llama-factory", tmp_path / "lf")
        found = []
        packs = datasets.load_from_disk(str(tmp_path / "lf/tokenized"))["train"]
        for pack in packs:
            assert len(pack["input_ids"]) == 136  # a multiple of 8 beyond the limit, by which it pads
            for number in range(1, max(pack["attention_mask"]) + 1):
                places = [at for at, own in enumerate(pack["attention_mask"]) if own == number]
                assert [pack["position_ids"][at] for at in places] == list(range(len(places)))
                found.append(tuple([pack[part][at] for at in places] for part in ("input_ids", "labels")))
            padding = [at for at, own in enumerate(pack["attention_mask"]) if own == 0]
            assert {pack["labels"][at] for at in padding} <= {-100}
        assert sorted(found) == sorted(pairs(tokens_of(given, tiny_model(), made)[0]))
        lines = (tmp_path / "lf/train.ids.jsonl").read_text("utf-8").splitlines()
        assert [len(json.loads(line)["id"].split()) for line in lines] == [max(p["attention_mask"]) for p in packs]

    @pytest.mark.parametrize("name", ["lima", "vicuna", "small", "alpaca-7b"])
    def test_its_template_writes_a_conversation_as_ours_does(self, given, talks, tiny_model, tmp_path, name):
        made = recipe(name)
        subject = given if name == "alpaca-7b" else talks
        hand_off(subject, tiny_model(), made, "llama-factory", tmp_path / "lf", exact=False)
        said = json.loads((tmp_path / "lf/template.json").read_text("utf-8"))
        template = tokens_of(subject, tiny_model(), made)[1]
        for record in subject.splits["train"].iter_rows(named=True):
            if template.context and record["context"]:
                continue
            text = said["prefix"]
            if said["default_system"]:
                text += said["system"].replace("{{content}}", said["default_system"])
            messages = template.messages(record)
            for message in messages:
                text += said[message["role"]].replace("{{content}}", message["content"])
            assert text == template.render(messages, ask=False)

    def test_tasks_are_alpacas_and_conversations_name_every_tag(self, given, talks, tiny_model, tmp_path):
        hand_off(given, tiny_model(), recipe("alpaca-7b"), "llama-factory", tmp_path / "a", exact=False)
        hand_off(talks, tiny_model(), recipe("vicuna"), "llama-factory", tmp_path / "v", exact=False)
        tasks = json.loads((tmp_path / "a/dataset_info.json").read_text("utf-8"))
        assert tasks["invented_train"] == {"file_name": "train.jsonl", "formatting": "alpaca"}
        row = json.loads((tmp_path / "a/train.jsonl").read_text("utf-8").splitlines()[4])
        assert row == {"instruction": "Which colour is it?", "input": "badger, red", "output": "red."}
        entry = json.loads((tmp_path / "v/dataset_info.json").read_text("utf-8"))["invented_train"]
        assert entry["tags"]["role_tag"] == "role"
        assert "an input" in (tmp_path / "a/NOT_CARRIED.md").read_text("utf-8")


class TestFolders:
    def test_no_path_of_the_machine_stands_in_any_file(self, given, tiny_model, tmp_path):
        for exact in (True, False):
            folders = {target: tmp_path / f"{target}-{exact}" for target in TITLES}
            hand_offs(given, tiny_model(), recipe("lima"), folders, exact=exact)
            files = [file for folder in folders.values() for file in folder.rglob("*") if file.is_file()]
            assert len(files) > 20
            for file in files:
                content = file.read_bytes()
                for path in (tiny_model().parent, tmp_path, NOWHERE.resolve().parent):
                    assert str(path).encode() not in content, file

    def test_twice_the_same_bytes(self, given, tiny_model, tmp_path):
        folders = [{target: tmp_path / at / target for target in TITLES} for at in "ab"]
        for each in folders:
            hand_offs(given, tiny_model(), recipe("lima"), each)
        for file in (tmp_path / "a").rglob("*"):
            if file.is_file():
                assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes(), file

    def test_one_folder_that_cannot_be_made_leaves_none(self, given, tiny_model, tmp_path, monkeypatch):
        from curate.train.targets import handoff

        monkeypatch.setattr(handoff, "loading", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            hand_offs(
                given, tiny_model(), recipe(), {"trl": tmp_path / "x" / "trl", "axolotl": tmp_path / "x" / "a"}
            )
        assert list((tmp_path / "x").iterdir()) == []

    def test_a_folder_that_is_there_is_left_alone(self, given, tiny_model, tmp_path):
        (tmp_path / "trl").mkdir()
        with pytest.raises(CurateError, match="the folder is there already"):
            hand_offs(given, tiny_model(), recipe(), {"axolotl": tmp_path / "a", "trl": tmp_path / "trl"})
        assert [each.name for each in tmp_path.iterdir()] == ["trl"]

    def test_attribution_of_the_run_comes_along_and_terms_are_told(self, records, tiny_model, tmp_path):
        run = tmp_path / "run"
        run.mkdir()
        (run / "ATTRIBUTION.jsonl").write_text("{}\n", "utf-8")
        shared = records[:4].with_columns(license=pl.lit("CC-BY-SA-4.0"))
        hand_off(set_of(shared, path=run), tiny_model(), recipe(), "trl", tmp_path / "trl")
        assert (tmp_path / "trl/ATTRIBUTION.jsonl").read_bytes() == b"{}\n"
        told = (tmp_path / "trl/LOADING.md").read_text("utf-8")
        assert "4 under Creative Commons Attribution-ShareAlike 4.0" in told
        with pytest.raises(CurateError, match="run's own folder"):
            hand_off(set_of(shared, path=run), tiny_model(), recipe(), "trl", run / "trl")

    @pytest.mark.parametrize("target", TITLES)
    def test_numbers_in_configurations_are_numbers_to_every_reader(self, given, tiny_model, tmp_path, target):
        hand_off(given, tiny_model(), recipe("lima"), target, tmp_path / target)
        (file,) = (tmp_path / target).glob("*.yaml")
        read = settings_of(tmp_path / target, file.name)
        kwargs = read["lr_scheduler_kwargs"]
        assert [read["learning_rate"], kwargs["lr_end"], kwargs["power"]] == [1e-5, 1e-6, 1.0]

    @pytest.mark.parametrize("target", TITLES)
    def test_no_penalty_of_transformers_stands_for_the_recipes(self, given, tiny_model, tmp_path, target):
        hand_off(given, tiny_model(), recipe("lima"), target, tmp_path / target)
        spoken = json.loads((tmp_path / target / "tokenizer/generation_config.json").read_text("utf-8"))
        assert spoken.get("repetition_penalty", 1.0) == 1.0
        (file,) = (tmp_path / target).glob("*.yaml")
        assert settings_of(tmp_path / target, file.name).get("repetition_penalty", 1.0) == 1.0
        assert "repetition penalty of 1.2" in (tmp_path / target / "NOT_CARRIED.md").read_text("utf-8")

    @pytest.mark.parametrize("exact", [True, False])
    def test_a_tokenizer_may_bring_a_template_of_its_own(self, given, tiny_model, tmp_path, exact):
        model = shutil.copytree(tiny_model(), tmp_path / "base")
        own = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
        own += "{% if add_generation_prompt %}<assistant>{% endif %}"
        (model / "chat_template.jinja").write_text(own, "utf-8")
        folders = {target: tmp_path / target for target in TITLES}
        hand_offs(given, model, recipe(template="own"), folders, exact=exact)
        for folder in folders.values():
            assert (folder / "tokenizer/chat_template.jinja").read_text("utf-8") == own
        if not exact:
            said = json.loads((tmp_path / "llama-factory/template.json").read_text("utf-8"))
            assert (said["user"], said["assistant"]) == ("<user>{{content}}</s><assistant>", "{{content}}</s>")

    def test_a_template_that_writes_a_first_turn_unlike_later_ones_is_none_of_llama_factorys(
        self, given, tiny_model, tmp_path
    ):
        model = shutil.copytree(tiny_model(), tmp_path / "base")
        own = "{% for m in messages %}{% if m.role == 'user' %}{{ 'Q' if loop.first else 'and' }}: {{ m.content }}"
        own += "\n{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
        (model / "chat_template.jinja").write_text(own, "utf-8")
        asked = given, model, recipe(template="own"), "llama-factory"
        hand_off(*asked, tmp_path / "exact")
        with pytest.raises(PipelineError, match="unlike later ones"):
            hand_off(*asked, tmp_path / "editable", exact=False)


class TestRefused:
    def test_a_rate_that_is_scaled_by_weights_is_handed_to_nobody(self, given, tiny_model, tmp_path):
        made = recipe("false-promise")
        with pytest.raises(PipelineError, match=r"rate of 0\.002 ruins") as caught:
            hand_off(given, tiny_model(), made, "trl", tmp_path / "trl")
        assert "--set scale_by_weight=false" in caught.value.next

    def test_a_trainer_that_is_not_known_is_told_its_nearest_name(self, given, tiny_model, tmp_path):
        with pytest.raises(PipelineError) as caught:
            hand_off(given, tiny_model(), recipe(), "axolot", tmp_path / "x")
        assert caught.value.next == "did you mean 'axolotl'?"

    def test_processes_that_do_not_share_a_batch_evenly_are_told(self, given, tiny_model, tmp_path):
        with pytest.raises(PipelineError, match="cannot be shared out evenly"):
            hand_off(given, tiny_model(), recipe(), "trl", tmp_path / "trl", processes=3)


def test_the_command_writes_a_folder_for_each_trainer(records, tiny_model, tmp_path):
    rows = [
        {"instruction": f"{row['prompt']} {at}", "output": row["response"]}
        for at, row in enumerate(records.iter_rows(named=True))
    ]
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    asked = ["--model", tiny_model(), "--recipe", "small", "--set", "precision=fp32"]
    into = ["--to", "axolotl", "--for", "LlamaFactory", "--into", tmp_path / "out"]
    done = CliRunner().invoke(
        cli, list(map(str, ["train", "export", file, *asked, *into])), catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"axolotl", "llama-factory"}
    assert "axolotl.yaml" in done.output
    assert "NOT_CARRIED.md" in done.output
