"""How a model is trained, as data: the published recipes, and any value of them changed.

A recipe is a TOML file beside this module, or one of your own. `curate train` prints the resolved values and
stores them with the model.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from curate.errors import PipelineError, nearest

FOLDER: Final = Path(__file__).with_name("recipes")
DEFAULT: Final = "small"


class Recipe(BaseModel):
    """Every value that shapes a training run, with what it is counted in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str
    version: int = 1
    source: str = ""  # the paper or repository the values are of

    # Rows to tokens
    template: str = "chatml"  # lima, alpaca, vicuna, chatml, or `own`: the tokenizer's
    loss: Literal["assistant", "last", "all"] = "assistant"  # whose tokens are learned
    max_tokens: int = Field(default=2048, ge=2)  # of a row, or of a pack of rows
    too_long: Literal["error", "drop", "cut_turn"] = "error"  # what becomes of a row beyond that
    markers: Literal["error", "drop", "text"] = "error"  # of a row whose text holds marks of the template
    pad_token: str = ""  # where the tokenizer has none of its own; one it does not know is added
    # Several rows in a sequence, none of which sees another. Packs are made once, and their order is drawn anew
    # for each epoch.
    packing: bool = False

    # Steps
    epochs: int = Field(default=3, ge=1)
    batch_size: int = Field(default=32, ge=1)  # rows (or packs) a step, over all processes
    micro_batch_size: int = Field(default=1, ge=1)  # of these, how many a process takes at a time
    learning_rate: float = Field(default=2e-5, gt=0)
    final_learning_rate: float = Field(default=0.0, ge=0)
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    warmup_share: float = Field(default=0.0, ge=0, lt=1)  # of all steps
    warmup_steps: int = Field(default=0, ge=0)  # counts instead of the share where it is more than 0
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, ge=0)  # 0: gradients are not clipped
    scale_by_weight: bool = False  # each update in proportion to the root mean square of its weights
    residual_dropout: float = Field(default=0.0, ge=0, lt=1)  # of the last layer; 0 at the first, linear between
    seed: int = Field(default=13, ge=0)

    # LoRA (arXiv 2106.09685): a rank of 0 trains all weights
    lora_rank: int = Field(default=0, ge=0)
    lora_alpha: float = Field(default=16.0, gt=0)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    lora_targets: tuple[str, ...] = ("all-linear",)

    # The machine
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # auto: bf16 where a GPU has it
    attention: Literal["sdpa", "flash_attention_2", "eager"] = "sdpa"
    activation_checkpointing: bool = False
    sharding: Literal["none", "fsdp2"] = "none"

    # What is kept
    keep_epochs: tuple[int, int] | None = None  # weights of these epochs, first to last; by default the last alone
    checkpoint_every: int = Field(default=0, ge=0)  # steps between whole states; 0: at the end of each epoch
    pick: Literal["manual", "loss", "last"] = "last"  # which of the kept epochs becomes the model

    # How it is made to speak
    temperature: float = Field(default=0.7, ge=0)  # 0: always the likeliest token
    top_p: float = Field(default=0.9, gt=0, le=1)
    repetition_penalty: float = Field(default=1.2, gt=0)
    max_new_tokens: int = Field(default=2048, ge=1)

    @model_validator(mode="after")
    def _coherent(self) -> Recipe:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of micro_batch_size")
        if self.keep_epochs is not None:
            first, last = self.keep_epochs
            if not 1 <= first <= last:
                raise ValueError(f"keep_epochs {list(self.keep_epochs)} is no first and last epoch")
            if first > self.epochs:
                raise ValueError(
                    f"keep_epochs begins after epoch {self.epochs}, the last: "
                    f"give the first and the last to keep, such as [1, {self.epochs}]"
                )
        if self.final_learning_rate > self.learning_rate:
            raise ValueError("final_learning_rate is above learning_rate")
        return self

    @property
    def kept(self) -> range:
        """The epochs whose weights are kept, counted from 1."""
        first, last = self.keep_epochs or (self.epochs, self.epochs)
        return range(first, min(last, self.epochs) + 1)

    def plain(self) -> dict[str, Any]:
        """The recipe as JSON-able values."""
        values: dict[str, Any] = self.model_dump(mode="json")
        return values

    def toml(self) -> str:
        """The recipe as TOML, every value written out; `read_recipe` reads it back."""
        # A value of JSON, but for null, is one of TOML; what is null is left out, being the default.
        return "".join(
            f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
            for name, value in self.plain().items()
            if value is not None
        )


def recipe_names() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def read_recipe(name: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of a name, or in a TOML file, with some of its values changed.

    Raises `PipelineError` for a name that is not known, a key that is none, and a value that does not fit.
    """
    file = FOLDER / f"{name}.toml" if name in recipe_names() else Path(name)
    if not file.is_file():
        raise PipelineError(f"no recipe is called {name!r}", next=nearest(name, recipe_names()))
    try:
        read = tomllib.loads(file.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"the recipe is not valid TOML: {error}", where=str(file)) from None
    changed = {**read, **(changes or {})}
    changed.setdefault("name", file.stem)
    try:
        # Through JSON, an array is a tuple where one is asked for, even when types are strict.
        return Recipe.model_validate_json(json.dumps(changed))
    except ValidationError as error:
        raise _told(error, name if file.parent == FOLDER else str(file)) from None


def _told(error: ValidationError, where: str) -> PipelineError:
    """What is wrong with a recipe's values, in the words of one who wrote them."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return PipelineError(
            f"recipes have no value {key!r}", where=f"recipe {where}", next=nearest(key, Recipe.model_fields)
        )
    if first["type"] == "missing":
        return PipelineError(f"the value {key!r} is missing", where=f"recipe {where}")
    said = first["msg"].removeprefix("Value error, ")
    what = f"{key} is {first['input']!r}: {said[0].lower()}{said[1:]}" if key else said
    if key.startswith("keep_epochs"):
        what = f"keep_epochs is {first['input']!r}: give the first and the last epoch to keep, such as [5, 10]"
    own = "" if where in recipe_names() else "change it in the file, or "
    return PipelineError(what, where=f"recipe {where}", next=f"{own}give another by --set NAME=VALUE")
