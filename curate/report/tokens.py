"""How many tokens kept records have, and how many of them a trainer would cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from curate import registry
from curate.errors import PipelineError
from curate.report.bins import histogram
from curate.report.books import SPLITS, Json
from curate.report.excerpts import number
from curate.views import text

# As trainers have it that are not told otherwise; Alpaca itself trained on 512 (tatsu-lab/stanford_alpaca).
LIMIT: Final = 2048
BYTES_A_TOKEN: Final = 4  # of English in UTF-8, under vocabularies of some 50,000 tokens
_AT_ONCE: Final = 512  # texts that the tokenizer is given, since what it tells of each takes room
_CONVERSATION: Final = text("conversation")
_COUNTED: Final = (
    "Counted are the system message, all turns, the prompt with its context, and the response, without a chat "
    "template's own tokens."
)
_GUESSED: Final = "This is an estimate, since the pipeline names no tokenizer."


class Tokens:
    """Counts the tokens of kept conversations: by the tokenizer that a pipeline names, else by an estimate."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        asked = facts.get("report") or {}
        path = asked.get("tokenizer")
        self._limit = asked.get("max_tokens") or LIMIT
        self._digest = asked.get("tokenizer_digest") if path else None
        self._tokenizer = _opened(Path(path)) if path else None
        self._name = _name_of(Path(path)) if path else f"UTF-8 bytes / {BYTES_A_TOKEN}"
        self._counted: list[pl.DataFrame] = []

    @property
    def reads(self) -> Sequence[pl.Expr]:
        """The conversation."""
        return [_CONVERSATION]

    def add(self, kept: pl.DataFrame) -> None:
        """Count the tokens of a batch of kept records."""
        texts = kept.select(_CONVERSATION).to_series()
        counts = _exact(texts, self._tokenizer) if self._tokenizer else _estimated(texts)
        self._counted.append(pl.DataFrame([kept["split"], counts.alias("tokens")]))

    def made(self) -> Json | None:
        """Lengths in tokens by split and in bins; None when nothing is kept."""
        if not self._counted:
            return None
        counted = pl.concat(self._counted)
        splits = [split for split in SPLITS if split in counted["split"]]
        rows = [self._row(split, counted.filter(pl.col("split") == split)["tokens"]) for split in splits]
        if len(rows) > 1:
            rows.append(self._row("all", counted["tokens"]))
        bins = histogram(counted["tokens"], self._limit, above=True)
        return {
            "tokenizer": self._name,
            "digest": self._digest,
            "exact": self._tokenizer is not None,
            "limit": self._limit,
            "rows": counted.height,
            "note": _COUNTED if self._tokenizer else f"{_GUESSED} {_COUNTED}",
            "splits": rows,
            "bins": bins["bins"] if bins else [],
            "scale": bins["scale"] if bins else "linear",
        }

    def _row(self, split: str, tokens: pl.Series) -> Json:
        beyond = int((tokens > self._limit).sum())
        return {
            "split": split,
            "n": len(tokens),
            "tokens": int(tokens.cast(pl.UInt64).sum()),
            "median": _quantile(tokens, 0.5),
            "p95": _quantile(tokens, 0.95),
            "max": _quantile(tokens, 1.0),
            "beyond": beyond,
            "beyond_share": number(beyond / len(tokens)),
        }


def _quantile(tokens: pl.Series, share: float) -> Any:
    return number(tokens.quantile(share, interpolation="nearest"))


def _exact(texts: pl.Series, tokenizer: Any) -> pl.Series:
    counts: list[int] = []
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE].to_list()
        counts += map(len, tokenizer.encode_batch_fast(some, add_special_tokens=False))
    return pl.Series(counts, dtype=pl.UInt32)


def _estimated(texts: pl.Series) -> pl.Series:
    rounded_up = (texts.str.len_bytes().to_numpy().astype(np.int64) + BYTES_A_TOKEN - 1) // BYTES_A_TOKEN
    return pl.Series(rounded_up.astype(np.uint32), dtype=pl.UInt32)


def _file_of(path: Path) -> Path:
    return path / "tokenizer.json" if path.is_dir() else path


def _name_of(path: Path) -> str:
    """The model's name by its folder, or the file's name: never where on a machine it lies."""
    file = _file_of(path)
    return file.parent.name if file.name == "tokenizer.json" else file.name


def _opened(path: Path) -> Any:
    file = _file_of(path)
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise registry.missing(error, wanted_by="the count of tokens") from None
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library has no class of its own
        raise PipelineError(
            f"the tokenizer cannot be read: {error}",
            where=f"[report] tokenizer = {str(path)!r}",
            next="name a tokenizer.json of Hugging Face's tokenizers, or a folder with one in it",
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
