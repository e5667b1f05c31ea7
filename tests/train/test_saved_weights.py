"""A model is saved whole or not at all, and only when it is loaded back as it was and heard to speak."""

import json
import shutil

import pytest
from models_at_hand import loaded, prepared, recipe, remade, torch, transformers

from curate.errors import CurateError, ReproducibilityError
from curate.train import weights
from curate.train.checkpoints import damage
from curate.train.model_folder import open_model
from curate.train.recipe import read_recipe
from curate.train.rows.templates import template_for
from curate.train.rows.tokens import prompt_ids
from curate.train.weights import load_model, load_tokenizer, save_model, speaking

ASKED = {"id": "mine:1", "prompt": "Where does the wren live?"}


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A model folder of one's own."""
    return shutil.copytree(tiny_model(), tmp_path / "base")


@pytest.mark.parametrize(("tied", "kind"), [(True, "bf16"), (True, "fp32"), (False, "fp32")])
def test_a_saved_model_is_the_trained_one_and_speaks(folder, tmp_path, tied, kind):
    model, template, wanted = loaded(remade(folder, tie_word_embeddings=tied), precision=kind)
    told = save_model(model, template, wanted, tmp_path / "model", say=ASKED)
    assert told["dtype"] == {"bf16": "bfloat16", "fp32": "float32"}[kind]
    assert told["prompt"] == ASKED["prompt"]
    assert told["stop"] in {"end", "length"}
    assert 0 < told["tokens"] <= 32
    assert isinstance(told["text"], str)
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype="auto")
    cast = model.to(back.dtype).state_dict()
    assert all(torch.equal(tensor, cast[name]) for name, tensor in back.state_dict().items())
    assert told["parameters"] == sum(weight.numel() for weight in back.parameters())
    assert damage(tmp_path / "model") == ""


def test_saving_leaves_the_model_in_training_as_it_was(folder, tmp_path):
    model, template, wanted = loaded(folder, precision="bf16")
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config, dice = model.config.to_dict(), torch.get_rng_state()
    save_model(model, template, wanted, tmp_path / "model", say=None)
    assert model.training
    assert model.config.to_dict() == config
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), dice)


def test_a_folder_holds_safetensors_tokenizer_template_and_manner_of_speaking_and_no_pickle(folder, tmp_path):
    model, template, wanted = loaded(folder)
    save_model(model, template, wanted, tmp_path / "model", say=None)
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "recipe.toml", "tokenizer.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert read_recipe(str(tmp_path / "model" / "recipe.toml")) == wanted
    tokenizer = load_tokenizer(open_model(tmp_path / "model"))
    assert tokenizer.chat_template == template.jinja
    assert tokenizer.get_vocab() == template.tokenizer.get_vocab()


def test_a_saved_model_ends_at_the_end_of_a_turn_first(folder, tmp_path):
    model, template, wanted = loaded(folder)
    model.config.use_cache = False  # as while it was trained
    save_model(model, template, wanted, tmp_path / "model", say=None)
    end, eos = template.end_id, template.tokenizer.eos_token_id
    assert end != eos
    generation = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [end, eos]
    assert generation["pad_token_id"] == template.tokenizer.pad_token_id
    sampling = {
        name: generation[name] for name in ("do_sample", "temperature", "top_p", "top_k", "repetition_penalty")
    }
    assert sampling == {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 0, "repetition_penalty": 1.0}
    assert read_recipe(str(tmp_path / "model" / "recipe.toml")).repetition_penalty == 1.2
    assert generation["max_new_tokens"] == 64
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["eos_token_id"] == [end, eos]
    assert config["dtype"] == "float32"
    assert config["use_cache"] is True


def test_a_template_that_ends_with_the_models_own_end_names_it_once(folder):
    template = prepared(folder, "vicuna")
    assert speaking(template, recipe()).eos_token_id == [template.tokenizer.eos_token_id]


def test_as_others_load_it_a_model_ends_though_its_prompt_holds_the_end(folder, tmp_path):
    model, template, wanted = loaded(folder, "chatml", temperature=0.0)
    save_model(model, template, wanted, tmp_path / "model", say=None)
    saved = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    scores = torch.zeros(len(template.tokenizer))
    scores[template.end_id], scores[7] = 1.1, 1.0
    saved.lm_head.register_forward_hook(lambda _module, _given, out: scores.expand(*out.shape[:-1], -1))
    prompt = torch.tensor([prompt_ids({"id": "a", "prompt": "Hi"}, template)])
    assert template.end_id in prompt
    made = saved.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=4)
    assert made[0, prompt.shape[1] :].tolist() == [template.end_id]


def test_greedy_speaking_has_no_settings_of_sampling(folder, tmp_path):
    model, template, wanted = loaded(folder, temperature=0.0)
    save_model(model, template, wanted, tmp_path / "model", say=None)
    generation = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    assert not {"temperature", "top_p", "top_k"} & {*generation}
    assert not generation.get("do_sample")


def test_a_base_model_with_an_odd_manner_of_speaking_is_saved_all_the_same(folder, tmp_path):
    # As Llama 2's was published: temperature and top_p without sampling, which transformers refuses to write
    (folder / "generation_config.json").write_text('{"temperature": 0.9, "top_p": 0.6, "do_sample": false}')
    model, template, wanted = loaded(folder)
    model.generation_config.pad_token_id = 0
    save_model(model, template, wanted, tmp_path / "model", say=None)
    model.save_pretrained(tmp_path / "state")


def test_trained_rows_are_not_set_anew_when_a_saved_model_is_loaded(folder, tmp_path):
    model, template, wanted = loaded(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight[template.end_id] = 7.0
    save_model(model, template, wanted, tmp_path / "model", say=None)
    own, _, _ = loaded(tmp_path / "model")
    assert (own.get_input_embeddings().weight[template.end_id] == 7.0).all()
    as_before = load_model(
        open_model(tmp_path / "model"), template, wanted
    )  # the template says it added the token
    assert (as_before.get_input_embeddings().weight[template.end_id] == 7.0).all()


def test_weights_in_many_files_are_saved_and_read(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_SHARD", "1MB")
    model, template, wanted = loaded(folder)
    told = save_model(model, template, wanted, tmp_path / "model", say=None)
    assert len([*(tmp_path / "model").glob("*.safetensors")]) > 2
    assert told["parameters"] == sum(weight.numel() for weight in model.parameters())


def test_weights_gathered_from_processes_are_saved_in_place_of_the_models_own(folder, tmp_path):
    model, template, wanted = loaded(folder)
    gathered = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    save_model(model, template, wanted, tmp_path / "model", say=None, state=gathered)
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").state_dict()
    assert all(torch.equal(tensor, gathered[name]) for name, tensor in back.items())


def test_a_model_is_replaced_whole(folder, tmp_path):
    model, template, wanted = loaded(folder)
    to = tmp_path / "model"
    save_model(model, template, wanted, to, say=None)
    (to / "left.txt").write_text("of the model before")
    with torch.no_grad():
        model.lm_head.weight.zero_()
    assert "text" not in save_model(model, template, wanted, to, say=None)
    assert not (to / "left.txt").exists()
    assert not transformers.AutoModelForCausalLM.from_pretrained(to).lm_head.weight.any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "model"]


def test_what_is_loaded_back_as_another_model_is_not_named(folder, tmp_path, monkeypatch):
    model, template, wanted = loaded(folder)
    saved = type(model).save_pretrained

    def careless(self, to, *, state_dict, **rest):
        name = next(iter(state_dict))
        state_dict[name] = state_dict[name].clone()
        state_dict[name].view(-1)[-1] = -0.0 if state_dict[name].view(-1)[-1] == 0 else 0.0
        saved(self, to, state_dict=state_dict, **rest)

    monkeypatch.setattr(type(model), "save_pretrained", careless)
    with pytest.raises(ReproducibilityError, match=r"not what was saved: model\.embed_tokens\.weight differs"):
        save_model(model, template, wanted, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]


def test_a_tokenizer_that_is_read_back_as_another_is_told(folder, tmp_path, monkeypatch):
    model, template, wanted = loaded(folder)
    read = weights.load_tokenizer

    def careless(folder):
        tokenizer = read(folder)
        tokenizer.backend_tokenizer.normalizer = Lowercase()
        return tokenizer

    Lowercase = pytest.importorskip("tokenizers").normalizers.Lowercase  # noqa: N806 - a class
    monkeypatch.setattr(weights, "load_tokenizer", careless)
    with pytest.raises(ReproducibilityError, match="it reads a text otherwise"):
        save_model(model, template, wanted, tmp_path / "model", say=None)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("kind", ["bytes", "metaspace"])
@pytest.mark.parametrize("name", ["lima", "alpaca", "vicuna", "chatml"])
def test_models_of_every_template_and_kind_of_tokenizer_are_saved(tiny_model, tmp_path, kind, name):
    folder = tiny_model(kind, bos=kind == "metaspace", pad=False)
    model, template, wanted = loaded(folder, name)
    told = save_model(model, template, wanted, tmp_path / "model", say=None)
    assert told["parameters"] == open_model(folder).parameters + 2 * 128 * len(template.added)
    again = template_for("own", load_tokenizer(open_model(tmp_path / "model")))
    assert again.end_id == template.end_id


def test_a_model_is_readable_for_all_who_may_read_its_configuration(folder, tmp_path):
    model, template, wanted = loaded(folder)
    save_model(model, template, wanted, tmp_path / "model", say=None)
    modes = {file.stat().st_mode for file in (tmp_path / "model").iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "manifest.json"])
def test_a_disk_that_fills_leaves_the_model_before_it(folder, tmp_path, monkeypatch, file):
    model, template, wanted = loaded(folder)
    to = tmp_path / "model"
    save_model(model, template, wanted, to, say=None)
    written = (to / "model.safetensors").read_bytes()

    def full(*_args, **_rest):
        raise OSError(28, "No space left on device")

    if file == "model.safetensors":
        import safetensors

        def full(*_args, **_rest):
            raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device")

        monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    elif file == "tokenizer.json":
        monkeypatch.setattr(type(template.tokenizer), "save_pretrained", full)
    else:
        monkeypatch.setattr(weights, "seal", full)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    with pytest.raises(CurateError, match=r"model cannot be written: .*No space left on device"):
        save_model(model, template, wanted, to, say=None)
    assert (to / "model.safetensors").read_bytes() == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "model"]


def test_weights_that_are_not_numbers_are_saved_as_they_are(folder, tmp_path):
    model, template, wanted = loaded(folder)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")
        model.lm_head.weight[0, 1] = -0.0
    save_model(model, template, wanted, tmp_path / "model", say=None)
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").lm_head.weight
    assert torch.isnan(back[0, 0])
    assert torch.signbit(back[0, 1])
