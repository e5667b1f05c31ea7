"""The encoder: a vector is its text's own, and what is cut, and which files shape a vector, is told."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from curate.errors import PluginError
from curate.measure import encoder as module

needs_torch = pytest.mark.skipif(
    not find_spec("sentence_transformers"), reason='needs pip install "curate-sft[embed]"'
)

WORDS = [
    "a",
    "cat",
    "sat",
    "on",
    "the",
    "mat",
    "and",
    "saw",
    "how",
    "many",
    "dogs",
    "ran",
    "by",
    "one",
    "long",
    "day",
]


def made(folder: Path, *, size: int = 32, prompts: dict[str, str] | None = None, dense: bool = False) -> Path:
    """A model of two layers with drawn weights and a window of 48 tokens, as sentence-transformers writes it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(13)
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", ":", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=48).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=size,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    transformer = Transformer(str(folder), max_seq_length=48)
    after = [Pooling(size), Dense(size, 8)] if dense else [Pooling(size)]
    model = SentenceTransformer(modules=[transformer, *after], device="cpu", prompts=prompts)
    model.default_prompt_name = "query" if prompts else None
    model.save(str(folder / "saved"))
    return folder / "saved"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("models") / "small")


def drawn(count: int) -> list[str]:
    draw = np.random.default_rng(13)
    return [" ".join(draw.choice(WORDS, draw.integers(1, 40))) for _ in range(count)]


def test_only_texts_of_one_length_are_in_a_batch_and_none_is_left_out():
    tokens = np.array([3, 7, 3, 0, 7, 7, 1, 3, 7])
    batches = [rows.tolist() for rows in module._batches(tokens, 14, 1)]
    assert batches == [[1, 4], [5, 8], [0, 2, 7], [6], [3]]
    assert [rows.tolist() for rows in module._batches(tokens, 100, 4)] == [[1, 4, 5, 8], [0, 2, 6, 7], [3]]
    assert not list(module._batches(np.zeros(0, np.int64), 14, 1))


def in_other_batches(encoder, texts):
    """Vectors of texts, and those of the same texts beside others, beside none, and in another order."""
    every = encoder.encode(texts, 48).vectors
    yield every, encoder.encode(texts[::-1], 48).vectors[::-1]
    yield every[::7], encoder.encode(texts[::7], 48).vectors
    yield every[:9], np.concatenate([encoder.encode([text], 48).vectors for text in texts[:9]])


@needs_torch
def test_a_vector_is_the_same_bit_for_bit_whatever_texts_are_beside_it(small):
    if module._precision("auto", "cpu") != "bfloat16":
        pytest.skip("needs a processor that computes in bfloat16")
    for some, again in in_other_batches(module.Encoder(small, "bfloat16", "cpu"), drawn(200)):
        assert np.array_equal(some, again)


@needs_torch
def test_in_float32_a_vector_is_the_same_but_for_its_last_digit(small):
    for some, again in in_other_batches(module.Encoder(small, "float32", "cpu"), drawn(200)):
        assert np.abs(some - again).max() < 1e-6


@needs_torch
def test_a_text_beyond_the_window_has_the_vector_of_its_beginning(small):
    encoder = module.Encoder(small, "float32", "cpu")
    long, beginning = " ".join(["cat"] * 60 + ["dog"]), " ".join(["cat"] * 46)
    found = encoder.encode([long, beginning, "cat"], 256)
    assert found.cut.tolist() == [True, False, False]
    assert found.tokens.tolist() == [63, 48, 3]
    assert np.array_equal(found.vectors[0], found.vectors[1])
    assert encoder.encode([long, beginning], 8).cut.tolist() == [True, True]


@needs_torch
def test_a_text_that_is_too_long_to_be_taken_apart_counts_as_cut(small, monkeypatch):
    monkeypatch.setattr(module, "_CHARACTERS", 7)
    found = module.Encoder(small, "float32", "cpu").encode(["cat sat on the mat", "cat sat"], 48)
    assert found.cut.tolist() == [True, False]
    assert np.array_equal(found.vectors[0], found.vectors[1])


@needs_torch
def test_a_models_own_prompt_is_put_before_each_text_as_its_makers_do(tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = made(tmp_path / "asking", prompts={"query": "query: "})
    theirs = SentenceTransformer(str(folder), device="cpu").encode(WORDS[:3], normalize_embeddings=True)
    ours = module.Encoder(folder, "float32", "cpu").encode(WORDS[:3], 48)
    assert ours.tokens.tolist() == [5, 5, 5]
    assert np.abs(ours.vectors - theirs).max() < 1e-6


@needs_torch
def test_vectors_have_the_models_dimension_and_length_one(tmp_path):
    vectors = (
        module.Encoder(made(tmp_path / "wide", size=64), "float32", "cpu").encode(["cat", "dogs"], 48).vectors
    )
    assert vectors.shape == (2, 64)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


@needs_torch
def test_weights_tokenizer_and_pooling_are_in_the_revision_and_a_description_is_not(tmp_path):
    folder = made(tmp_path / "changing")

    def revision() -> str:
        module._contents.cache_clear()
        return module.revision(model=str(folder), max_tokens=48, precision="float32", device="cpu")

    first = revision()
    (folder / "README.md").write_text("another description")
    assert revision() == first
    config = folder / "1_Pooling" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "pooling_mode": "cls"}))
    second = revision()
    assert second != first
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert revision() not in {first, second}


def revised(folder):
    module._contents.cache_clear()
    module._folder.cache_clear()
    return module.revision(model=str(folder), max_tokens=48, precision="float32", device="cpu")


def pickled(folder):
    """Weights of a module as older models have them."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")


@needs_torch
def test_a_module_whose_weights_would_be_read_from_a_pickle_is_refused(tmp_path):
    folder = made(tmp_path / "dense", dense=True)
    dense = folder / "2_Dense"
    first = revised(folder)
    pickled(dense)
    assert revised(folder) == first, "beside safetensors it is not read"
    (dense / "model.safetensors").rename(dense / "other.safetensors")
    with pytest.raises(PluginError, match=r"'pytorch_model\.bin' has weights that are not in safetensors"):
        revised(folder)
    (dense / "other.safetensors").unlink()
    with pytest.raises(PluginError, match="not in safetensors") as error:
        revised(folder)
    assert error.value.where == str(dense)
    (dense / "pytorch_model.bin").rename(dense / "inner.pt")
    with pytest.raises(PluginError, match=r"'inner\.pt'"):
        revised(folder)


@needs_torch
def test_a_module_in_a_module_is_looked_at_too(tmp_path):
    folder = made(tmp_path / "routed", dense=True)
    inner = folder / "2_Dense" / "query_0_Dense"
    inner.mkdir()
    (inner / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(PluginError, match="not in safetensors"):
        revised(folder)


@needs_torch
def test_weights_of_other_programs_beside_the_models_own_are_no_matter(tmp_path):
    folder = made(tmp_path / "exported", dense=True)
    first = revised(folder)
    (folder / "openvino").mkdir()
    for name in ("openvino/openvino_model.bin", "openvino/openvino_model.xml", "training_args.bin"):
        (folder / name).write_bytes(b"0")
    for name in ("openvino_model.bin", "openvino_model.xml"):
        (folder / "1_Pooling" / name).write_bytes(b"0")
    assert revised(folder) == first


@needs_torch
def test_the_weights_of_every_module_are_in_the_revision_a_linked_one_too(tmp_path):
    folder = made(tmp_path / "linked", dense=True)
    first = revised(folder)
    (folder / "2_Dense").rename(tmp_path / "elsewhere")
    (folder / "2_Dense").symlink_to(tmp_path / "elsewhere")
    assert revised(folder) == first
    weights = tmp_path / "elsewhere" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert revised(folder) != first


@needs_torch
def test_what_no_revision_would_name_is_refused(tmp_path):
    folder = made(tmp_path / "partly", dense=True)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(PluginError, match="is an adapter"):
        revised(folder)
    (folder / "adapter_config.json").unlink()
    modules = json.loads((folder / "modules.json").read_text())
    for path in ("../beside", ".hidden", "/elsewhere"):
        modules[-1]["path"] = path
        (folder / "modules.json").write_text(json.dumps(modules))
        with pytest.raises(PluginError, match="a module in a hidden folder, or beside its own"):
            revised(folder)


@needs_torch
def test_a_model_of_static_vectors_is_refused_with_one_that_can_be_taken(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "cat": 1}, unk_token="[UNK]"))
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    model.save(str(tmp_path / "static"))
    with pytest.raises(PluginError, match="not a transformer") as error:
        module.Encoder(tmp_path / "static", "float32", "cpu")
    assert module.DEFAULT in error.value.next
