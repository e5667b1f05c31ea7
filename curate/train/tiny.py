"""A Llama of a million weights, made on the spot: to try every part of training before paying for any.

Its weights are random and its tokenizer is trained on the set's own texts, so that nothing has to be fetched. It
can learn a few dozen rows by heart, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from curate.errors import CurateError
from curate.train.checkpoints import open_to_others
from curate.train.stack import load_stack

if TYPE_CHECKING:
    from curate.train.sets import TrainingSet

Kind = Literal["bytes", "metaspace"]

BOS: Final = "<s>"
EOS: Final = "</s>"
UNKNOWN: Final = "<unk>"
PAD: Final = "<pad>"


def make(
    folder: Path,
    texts: Iterable[str],
    *,
    kind: Kind = "bytes",
    bos: bool = True,
    pad: bool = True,
    vocabulary: int = 2048,
    width: int = 128,
    layers: int = 4,
    heads: int = 4,
    window: int = 4096,
    seed: int = 13,
) -> Path:
    """Write a model folder: config, random weights as safetensors, and a tokenizer trained on the texts.

    The tokenizer is of bytes, as those of GPT-2 and Llama 3, or of characters with a mark for spaces, as
    SentencePiece's of Llama 2; with `bos` it puts `<s>` first by itself. `width` is that of the hidden states.

    Raises `CurateError` when the folder is there already, and `PluginError` without transformers.
    """
    if folder.exists():
        raise CurateError("the folder is there already", where=str(folder), next="give another, or remove it")
    load_stack()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(texts, kind, bos=bos, pad=pad, vocabulary=vocabulary, window=window)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=window,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    open_to_others(folder, "config.json")
    tokenizer.save_pretrained(folder)
    return folder


def texts_of(given: TrainingSet) -> list[str]:
    """What the records of a set's train split say, for a tokenizer to be trained on."""
    said = given.splits["train"].select("system", "prompt", "context", "response", "history")
    return [
        text
        for *texts, history in said.iter_rows()
        for text in (*texts, *(turn["text"] for turn in history or ()))
        if text
    ]


def _tokenizer(texts: Iterable[str], kind: Kind, *, bos: bool, pad: bool, vocabulary: int, window: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = [UNKNOWN, BOS, EOS, *([PAD] if pad else [])]
    if kind == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, byte_fallback=True, fuse_unk=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(content=" ", left=1),
            ]
        )
        alphabet = []
        special += [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer = _plain_bytes(tokenizer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
        )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers types it in part
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        bos_token=BOS if bos else None,
        eos_token=EOS,
        pad_token=PAD if pad else None,
        model_max_length=window,
        clean_up_tokenization_spaces=False,
    )


def _plain_bytes(tokenizer: Any) -> Any:
    """The tokenizer with single bytes as plain tokens: special ones would be left out of what is decoded."""
    written = json.loads(tokenizer.to_str())
    written["added_tokens"] = [each for each in written["added_tokens"] if not each["content"].startswith("<0x")]
    return type(tokenizer).from_str(json.dumps(written))
