"""Folders that are no model to train, each told for what it is; none of it needs torch."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.errors import PipelineError
from curate.train.model_folder import open_model

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 8,
    "hidden_size": 4,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "dtype": "bfloat16",
}
SHAPES = {"model.embed_tokens.weight": [8, 4], "model.norm.weight": [4], "lm_head.weight": [8, 4]}


def safetensors(shapes, *, kind="BF16", size=2):
    """The bytes of a safetensors file of zeros."""
    head, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        end = at + size * (shape[0] * shape[1] if len(shape) == 2 else shape[0])
        head[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, end]}
        at = end
    raw = json.dumps(head).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(at)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(CONFIG))
    (made / "model.safetensors").write_bytes(safetensors(SHAPES))
    (made / "tokenizer.json").write_text("{}")
    return made


@pytest.fixture
def shards(folder):
    """The folder's weights in two files, with their index."""
    (folder / "model.safetensors").unlink()
    names = [*SHAPES]
    files = [f"model-0000{at}-of-00002.safetensors" for at in (1, 2)]
    (folder / files[0]).write_bytes(safetensors({names[0]: SHAPES[names[0]]}))
    (folder / files[1]).write_bytes(safetensors({name: SHAPES[name] for name in names[1:]}))
    index = {"weight_map": {names[0]: files[0], names[1]: files[1], names[2]: files[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def change(folder, **values):
    """Change the configuration; what is None is left out."""
    config = {name: value for name, value in {**CONFIG, **values}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))


def refused(folder, what, **how):
    with pytest.raises(PipelineError, match=what) as caught:
        open_model(folder, **how)
    assert str(folder) in caught.value.where
    return caught.value


def test_what_a_folder_holds_is_read_off_its_heads(folder):
    found = open_model(folder)
    assert (found.architecture, found.parameters, found.bytes) == ("LlamaForCausalLM", 68, 136)
    assert (found.dtype, found.rows) == ("bfloat16", 8)
    assert found.shapes["lm_head.weight"] == (8, 4)
    assert found.config == CONFIG


def test_shards_are_one_model(shards):
    assert (open_model(shards).parameters, open_model(shards).bytes) == (68, 136)


def test_the_type_is_that_of_most_bytes(folder):
    mixed = safetensors({"a": [400]}, kind="F32", size=4)
    (folder / "model-00001-of-00002.safetensors").write_bytes(mixed)
    (folder / "model.safetensors").rename(folder / "model-00002-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors"} | dict.fromkeys(SHAPES, "model-00002-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert open_model(folder).dtype == "float32"


def test_neither_torch_nor_transformers_is_imported_to_look(folder):
    look = (
        "import sys; from pathlib import Path; from curate.train.model_folder import open_model;"
        "open_model(Path(sys.argv[1])); assert not {'torch', 'transformers'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", look, folder], check=True, env={**os.environ})


def test_no_folder_a_file_and_an_empty_folder(tmp_path):
    assert refused(tmp_path / "not there", "the model's folder does not exist").next
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    said = "a model is a folder with config.json, weights and tokenizer, and this is a file"
    assert refused(tmp_path / "model.gguf", said).next
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty", "there is no config.json, it is empty").next


def test_a_name_of_the_hub_is_told_how_it_is_fetched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = refused(Path("owner/a-model-1.5B"), "does not exist").next
    assert "hf download owner/a-model-1.5B --local-dir a-model-1.5B" in said
    (tmp_path / "models").mkdir()
    for path in ("models/llama", "llama", "../owner/llama", "a/b/c", "/owner/llama"):
        assert "hf download" not in refused(Path(path), "does not exist").next


def test_a_folder_of_something_else_says_what_is_in_it(tmp_path):
    for name in "abcdefg":
        (tmp_path / f"{name}.jsonl").write_text("")
    refused(tmp_path, r"it holds a\.jsonl, b\.jsonl, c\.jsonl, d\.jsonl, e\.jsonl …")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "consolidated.00.pth"])
def test_pickles_are_never_read(folder, name):
    (folder / "model.safetensors").rename(folder / name)
    error = refused(folder, f"not in safetensors, but in {name}")
    assert "convert" in error.next
    refused(folder, "not in safetensors", weights=False)


def test_weights_of_other_programs_are_no_pickles(folder):
    (folder / "model.safetensors").rename(folder / "model.gguf")
    assert "pickle" not in refused(folder, r"not in safetensors, but in model\.gguf").what


def test_pickles_beside_safetensors_do_no_harm(folder):
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    assert open_model(folder).parameters == 68


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_a_model_brings_is_not_run(folder, file):
    (folder / file).write_text(json.dumps({**CONFIG, "auto_map": {"AutoModel": "modeling.py"}}))
    error = refused(folder, "brings code of its own, which is not run")
    assert error.where.endswith(f"{file}, auto_map")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"architectures": ["BertModel"], "model_type": "bert"}, "BertModel"),
        (
            {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
            "T5ForConditionalGeneration",
        ),
        ({"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification"),
        ({"architectures": ["LlamaModel"]}, "LlamaModel"),
        ({"architectures": []}, "not named"),
        ({"architectures": None}, "not named"),
        ({"architectures": "LlamaForCausalLM"}, "not named"),
    ],
)
def test_what_is_no_causal_language_model_is_named(folder, values, named):
    change(folder, **values)
    refused(folder, f"no causal language model: its architecture is {named}")


def test_an_adapter_is_no_model_even_with_a_configuration_beside_it(folder):
    (folder / "adapter_config.json").write_text("{}")
    refused(folder, "holds an adapter")


def test_quantized_weights_are_nothing_to_train_from(folder):
    change(folder, quantization_config={"quant_method": "gptq"})
    refused(folder, "quantized weights")
    change(folder)
    (folder / "model.safetensors").write_bytes(safetensors(SHAPES, kind="F8_E4M3", size=1))
    refused(folder, "weights of type F8_E4M3")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ufeff{}", "{\x00}", "[" * 100_000])
def test_a_configuration_that_is_none(folder, text):
    (folder / "config.json").write_text(text)
    refused(folder, r"config\.json is no JSON object|architecture is not named")


@pytest.mark.parametrize("size", [None, 0, "8", True])
def test_a_configuration_without_a_vocabulary(folder, size):
    change(folder, vocab_size=size)
    refused(folder, "no vocab_size")


def test_a_folder_without_a_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    refused(folder, "no tokenizer")
    (folder / "tokenizer.model").write_bytes(b"sentencepiece")
    assert open_model(folder).parameters == 68


def test_weights_that_are_missing(folder, shards):
    (shards / "model-00002-of-00002.safetensors").unlink()
    refused(shards, r"1 of 2 files of weights are missing, such as model-00002-of-00002\.safetensors")
    (shards / "model.safetensors.index.json").unlink()
    refused(shards, r"there is no model\.safetensors\.index\.json for its 1 safetensors")
    for file in shards.glob("*.safetensors"):
        file.unlink()
    refused(folder, "has no weights")


def test_a_weight_that_is_in_another_file_than_the_index_says(shards):
    index = json.loads((shards / "model.safetensors.index.json").read_text())
    index["weight_map"]["model.norm.weight"] = "model-00001-of-00002.safetensors"
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(shards, r"1 weights are not where the index says, such as model\.norm\.weight")


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": []}, {"weight_map": {"a": 5}}])
def test_an_index_that_names_nothing(shards, index):
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(shards, "names none|are missing")


def test_an_index_does_not_lead_out_of_the_folder(shards, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(safetensors(SHAPES))
    index = {"weight_map": dict.fromkeys(SHAPES, "../other.safetensors")}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(shards, "outside")


@given(st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_weights_cut_at_any_byte_are_torn(folder, data):
    whole = safetensors(SHAPES)
    at = data.draw(st.integers(0, len(whole) - 1))
    (folder / "model.safetensors").write_bytes(whole[:at])
    refused(folder, "torn or no safetensors file")


@given(st.binary(max_size=200))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_torn_and_no_traceback(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    refused(folder, "torn or no safetensors file")


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"__metadata__": {}},
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}},
        {"a": {"dtype": "F32", "data_offsets": [0, 8]}},
        {"a": {"shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}},
        {"a": [0, 8]},
        [],
    ],
)
def test_a_head_that_says_something_else_than_the_file_is_torn(folder, head):
    raw = json.dumps(head).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))
    refused(folder, "torn or no safetensors file")


def test_a_head_longer_than_any_is_not_read(folder):
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", 2**40))
        file.truncate(2**41)  # a sparse file: nothing of it is on the disk
    refused(folder, "torn or no safetensors file")


def test_a_folder_without_weights_is_looked_at_before_they_are_fetched(folder):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    with_them = open_model(folder, weights=False)
    assert with_them == open_model(folder)
    (folder / "model.safetensors").unlink()
    found = open_model(folder, weights=False)
    # embeddings in and out, attention's four, the three of the inner layer, three norms
    assert found.parameters == 2 * 8 * 4 + 4 * 4 * 4 + 3 * 4 * 8 + 3 * 4
    assert (found.bytes, found.dtype) == (2 * found.parameters, "bfloat16")
    assert found.shapes["model.layers.0.mlp.down_proj.weight"] == (4, 8)
    change(folder, model_type="unheard_of")
    refused(folder, "transformers cannot read the configuration", weights=False)
    change(folder, hidden_act="none of them")
    refused(folder, "transformers makes no model of the configuration: there is no 'none of them'", weights=False)
