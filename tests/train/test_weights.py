"""Weights are taken in as they are, but for rows of new tokens; what is no model's is refused."""

import json
import shutil

import pytest
from models_at_hand import loaded, prepared, recipe, remade, torch, transformers

from curate.errors import PipelineError
from curate.train.model_folder import open_model
from curate.train.weights import load_model, load_tokenizer, precision


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A model folder of one's own."""
    return shutil.copytree(tiny_model(), tmp_path / "base")


def test_weights_are_taken_in_bit_for_bit_and_in_float32(folder):
    model, template, _ = loaded(folder, "vicuna")
    assert template.added == ()
    raw = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto").state_dict()
    assert {name: tensor.dtype for name, tensor in model.state_dict().items()} == dict.fromkeys(raw, torch.float32)
    assert all(torch.equal(tensor, raw[name]) for name, tensor in model.state_dict().items())


def test_half_precise_weights_are_trained_in_full_precision(folder):
    transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    assert open_model(folder).dtype == "bfloat16"
    model, _, _ = loaded(folder, precision="bf16")
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    frozen, _, _ = loaded(folder, precision="bf16", lora_rank=4)
    assert {tensor.dtype for tensor in frozen.parameters()} == {torch.bfloat16}


def test_auto_is_bf16_where_a_gpu_has_it(monkeypatch):
    assert precision(recipe(precision="bf16")) == "bf16"
    for has, there in ((False, True), (True, True), (False, False)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, has=has, **__: has)
        assert precision(recipe(precision="auto")) == ("bf16" if has else "fp32")


@pytest.mark.parametrize("tied", [True, False])
def test_rows_of_added_tokens_are_the_mean_of_the_old_ones(folder, tied):
    model, template, _ = loaded(remade(folder, tie_word_embeddings=tied))
    old = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert template.added
    ids = template.tokenizer.convert_tokens_to_ids(list(template.added))
    layers = [(model.get_input_embeddings(), old.get_input_embeddings())]
    layers.append((model.get_output_embeddings(), old.get_output_embeddings()))
    for now, before in layers:
        rows = before.weight.shape[0]
        assert torch.equal(now.weight[:rows], before.weight)
        for id in ids:
            assert torch.allclose(now.weight[id], before.weight.mean(dim=0), atol=1e-6)
        assert now.weight.shape[0] == len(template.tokenizer)
    tied_now = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied_now is tied
    assert model.config.vocab_size == len(template.tokenizer)


@pytest.mark.parametrize("padding", [1, 64])
def test_rows_that_pad_the_vocabulary_are_no_part_of_the_mean(folder, padding):
    size = len(load_tokenizer(open_model(folder)))
    remade(folder, vocab_size=size + padding)
    raw = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        raw.get_input_embeddings().weight[size:] = 1e6
    raw.save_pretrained(folder)
    model, template, _ = loaded(folder)
    id = template.tokenizer.convert_tokens_to_ids(template.added[0])
    assert id == size
    row = model.get_input_embeddings().weight[id]
    assert torch.allclose(row, raw.get_input_embeddings().weight[:size].mean(dim=0), atol=1e-6)
    assert model.get_input_embeddings().weight.shape[0] == size + padding


def test_rows_of_the_whole_vocabulary_are_finite_after_resizing(folder):
    model, _, _ = loaded(folder)
    assert torch.isfinite(model.get_input_embeddings().weight).all()


def test_the_tokenizer_of_another_model_is_refused(folder):
    remade(folder, vocab_size=100)
    with pytest.raises(
        PipelineError, match=r"the tokenizer has tokens up to [\d,]+, and the model has weights for 100"
    ):
        load_tokenizer(open_model(folder))


def test_tokens_that_were_added_to_a_tokenizer_alone_get_rows(folder):
    tokenizer = load_tokenizer(open_model(folder))
    tokenizer.add_tokens(["<tool>", "<more>"], special_tokens=True)
    tokenizer.save_pretrained(folder)
    rows = open_model(folder).rows
    model, _, _ = loaded(folder, "vicuna")
    assert model.get_input_embeddings().weight.shape[0] == rows + 2
    mean = model.get_input_embeddings().weight[:rows].mean(dim=0)
    assert torch.allclose(model.get_input_embeddings().weight[rows], mean, atol=1e-6)


@pytest.mark.parametrize(
    "broken",
    [
        lambda _raw: b"{}",
        lambda _raw: b"",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b'"BPE"', b'"A kind of 2030"'),  # tokenizers raises a bare Exception
        lambda raw: b"\xff\xfe" + raw,
    ],
)
def test_a_tokenizer_that_is_none_is_told(folder, broken):
    raw = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(broken(raw))
    with pytest.raises(PipelineError, match="the tokenizer cannot be read") as caught:
        load_tokenizer(open_model(folder))
    assert "save it anew" in caught.value.next


def test_weights_that_are_missing_are_not_drawn_at_random(folder):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    del state["model.layers.2.mlp.up_proj.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        PipelineError, match=r"1 weights are not in the files, such as model\.layers\.2\.mlp\.up_proj"
    ):
        loaded(folder)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"num_hidden_layers": 5},
            "9 weights are not in the files, such as model.layers.4.input_layernorm.weight",
        ),
        ({"num_hidden_layers": 3}, "9 weights have no place in the model, such as model.layers.3.input_layernorm"),
        ({"intermediate_size": 100}, "12 weights have other shapes, such as model.layers.0.mlp.down_proj.weight"),
        ({"vocab_size": 10_000}, r"other shapes, such as lm_head.weight: \[\d+, 128\] for \[10000, 128\]"),
        ({"model_type": "unheard_of"}, "cannot read the configuration: .*unheard_of"),
        ({"num_attention_heads": "4"}, "cannot read the configuration: .*num_attention_heads.* expected int"),
        ({"num_attention_heads": 3}, "cannot read the configuration: .*not a multiple"),
        ({"dtype": "float7"}, "cannot read the configuration: .*float7"),
        ({"hidden_act": "none of them"}, "the model cannot be loaded: there is no 'none of them'"),
        ({"pad_token_id": 99_999}, "the model cannot be loaded: Padding_idx"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_configuration_that_is_not_the_weights_own_is_refused(folder, values, said):
    template = prepared(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))
    with pytest.raises(PipelineError, match=said):
        load_model(open_model(folder), template, recipe())


def test_what_old_checkpoints_hold_beside_their_weights_is_no_misfit(folder):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    # Llama's first checkpoints have them for each layer
    state |= {f"model.layers.{at}.self_attn.rotary_emb.inv_freq": torch.ones(16) for at in range(4)}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    loaded(folder)


def test_an_attention_that_is_not_installed_is_refused(folder):
    with pytest.raises(PipelineError, match="attention 'flash_attention_2' cannot be had") as caught:
        loaded(folder, attention="flash_attention_2")
    assert "sdpa" in caught.value.next
