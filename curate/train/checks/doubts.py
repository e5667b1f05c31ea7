"""What a doubt about a training run is made from: all that is known of it before any weight is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from curate.export.card_marks import code

if TYPE_CHECKING:
    from curate.train.recipe import Recipe
    from curate.train.rows.templates import Template
    from curate.train.rows.tokens import Tokens
    from curate.train.sets import TrainingSet
    from curate.train.weights import ModelFolder

Json = dict[str, Any]
Severity = Literal["error", "warning", "note"]

SEVERITIES: Final = ("error", "warning", "note")  # the gravest first
EXAMPLES: Final = 5  # ids of a doubt


@dataclass(frozen=True)
class Known:
    """A set, a model and a recipe, and what follows from the three.

    `whole` are the rows as long as they are, `tokens` what is left of them under the recipe, both by split.
    `words` are the tokens the tokenizer came with, and `own_jinja` the template, if it has one.
    """

    given: TrainingSet
    model: ModelFolder
    recipe: Recipe
    template: Template
    whole: Mapping[str, Tokens]
    tokens: Mapping[str, Tokens]
    words: int
    own_jinja: str | None
    steps: Mapping[str, Any]
    padding: Mapping[str, Any]
    processes: int

    @property
    def window(self) -> int | None:
        """The longest sequence the model has places for; None where its config does not say."""
        return self._config("max_position_embeddings", "n_positions")

    @property
    def embeddings(self) -> int | None:
        """The rows of the model's table of embeddings; None where its config does not say."""
        return self._config("vocab_size")

    def _config(self, *keys: str) -> int | None:
        """The first of these that the model's config has."""
        found = (self.model.config.get(key) for key in keys)
        return next((value for value in found if isinstance(value, int)), None)


def doubt(
    kind: str, severity: Severity, what: str, do: str, *, rows: int = 0, examples: Iterable[str] = ()
) -> Json:
    """A doubt as plain values. The sentence says what there is, the first of the rows, and what to do."""
    shown = list(examples)[:EXAMPLES]
    such = f" (such as {code(shown[0])})" if shown else ""
    return {
        "kind": kind,
        "severity": severity,
        "rows": rows,
        "examples": shown,
        "sentence": f"{_begun(what)}{such}. {_begun(do)}.",
    }


def _begun(sentence: str) -> str:
    """A sentence with a capital, unless it begins with the name of a setting."""
    first = sentence.partition(" ")[0]
    return sentence if "_" in first else sentence[0].upper() + sentence[1:]


def rate(number: float) -> str:
    """A learning rate as recipes write it: `2e-5`."""
    return re.sub(r"e-0?", "e-", f"{number:g}")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 row`, `1,200 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
