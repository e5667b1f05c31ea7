"""A recipe in the words of other trainers: the values of their configurations, under their own names.

The names were read in, and the settings read back by, axolotl 0.19.0 (its pydantic schema), LLaMA-Factory 0.9.5
(its argument dataclasses, with transformers 5.6.0) and TRL 1.16.0 (`SFTConfig` and `ModelConfig`). What a trainer
has no word for is in `not_carried`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from curate.train.recipe import Recipe
from curate.train.steps.launching import check_batch
from curate.train.steps.schedules import schedule, warmup
from curate.train.targets.slots import NAME

if TYPE_CHECKING:
    from curate.train.rows.templates import Template

Settings = dict[str, Any]

OUTPUT: Final = "trained"
TOKENIZER: Final = "tokenizer"  # a folder: the model's tokenizer as the template has prepared it
TOKENIZED: Final = "tokenized"
_DECODED_BY: Final = {"sdpa": "sdpa", "flash_attention_2": "fa2", "eager": "disabled"}  # LLaMA-Factory's words


@dataclass(frozen=True)
class Handed:
    """What is handed on to a trainer.

    `base` is the name of the model's folder and `layers` the classes of its layers; `tables` are those of the
    tokens (see `tokens.Tokens`), `rows` their number by split, and `sequences` that of rows or of packs. In
    `contexts` of the rows of train have a context, and in `dialogues` of them the assistant answers more than
    once.
    """

    name: str
    base: str
    layers: tuple[str, ...]
    recipe: Recipe
    template: Template
    tables: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, int]
    sequences: Mapping[str, int]
    contexts: int = 0
    dialogues: int = 0
    exact: bool = True
    processes: int = 1

    @property
    def label(self) -> str:
        """The set's name as a trainer takes it, which splits lists of names at commas."""
        return re.sub(r"[^\w.-]+", "-", self.name)

    @property
    def accumulation(self) -> int:
        """How many micro-batches a process takes before a step."""
        return check_batch(self.recipe, self.processes)

    @property
    def steps(self) -> int:
        """All steps of the training."""
        return self.recipe.epochs * ceil(self.sequences["train"] / self.recipe.batch_size)

    @property
    def warmup_steps(self) -> int:
        """The steps in which the learning rate rises."""
        return warmup(self.recipe, self.steps)

    @property
    def kept(self) -> int:
        """How many checkpoints, counted from the last, must stay for the recipe's epochs to be among them."""
        return self.recipe.epochs - self.recipe.kept[0] + 1

    @property
    def has_dev(self) -> bool:
        """Whether there are rows to evaluate on."""
        return bool(self.sequences.get("dev"))

    @property
    def tail(self) -> str:
        """What the template writes after the token that ends a turn."""
        turns = [{"role": role, "content": "a"} for role in ("user", "assistant")]
        return self.template.render(turns, ask=False).rpartition(self.template.end)[2]

    @property
    def added_ids(self) -> list[int]:
        """The ids of the tokens that the template added to the tokenizer."""
        return sorted(self.template.tokenizer.convert_tokens_to_ids(list(self.template.added)))


def axolotl(handed: Handed) -> Settings:
    """The configuration of axolotl."""
    recipe = handed.recipe
    made: Settings = {
        "base_model": handed.base,
        "tokenizer_config": TOKENIZER,
        "datasets": [_axolotl_rows(handed, "train")],
    }
    if handed.has_dev:
        made["test_datasets"] = [_axolotl_rows(handed, "dev") | {"split": "train"}]
    else:
        made["val_set_size"] = 0
    if not handed.exact:
        made |= {"chat_template": "tokenizer_default", "eot_tokens": [handed.template.end]}
        made["train_on_inputs"] = recipe.loss == "all"
    made |= {
        "sequence_len": recipe.max_tokens,
        "excess_length_strategy": "raise" if handed.exact else _EXCESS[recipe.too_long],
        "sample_packing": recipe.packing,
        "dataset_prepared_path": "prepared",
        "num_epochs": recipe.epochs,
        # By itself it counts rows times epochs, as if epochs had no last steps of fewer rows, and stops before the
        # end (utils/trainer.py, `calculate_total_num_steps`).
        **({} if recipe.packing else {"max_steps": handed.steps}),
        "micro_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": handed.accumulation,
        "optimizer": "adamw_torch",
        "learning_rate": recipe.learning_rate,
    }
    falls = schedule(recipe)
    if falls["lr_scheduler_type"] == "cosine_with_min_lr":  # which axolotl has a word of its own for
        ratio = recipe.final_learning_rate / recipe.learning_rate
        made |= {"lr_scheduler": "cosine", "cosine_min_lr_ratio": ratio}
    else:
        made |= _renamed(falls, {"lr_scheduler_type": "lr_scheduler"})
    made |= _warmup(handed, share="warmup_ratio")
    made |= _adam(recipe)
    made |= {"seed": recipe.seed, "attn_implementation": recipe.attention}
    made |= {"bf16": False, "float32": True} if recipe.precision == "fp32" else {"bf16": _BF16[recipe.precision]}
    if recipe.sharding == "fsdp2":
        made |= {"fsdp_version": 2, "fsdp_config": _fsdp(",".join(handed.layers))}
    made["gradient_checkpointing"] = recipe.activation_checkpointing
    if recipe.lora_rank:
        made |= {"adapter": "lora", "lora_r": recipe.lora_rank, "lora_alpha": round(recipe.lora_alpha)}
        made["lora_dropout"] = recipe.lora_dropout
        made |= (
            {"lora_target_linear": True}
            if _all_linear(recipe)
            else {"lora_target_modules": list(recipe.lora_targets)}
        )
        if handed.added_ids:
            made["peft_trainable_token_indices"] = handed.added_ids
    if handed.added_ids:
        made["mean_resizing_embeddings"] = True
    made |= {"save_strategy": "epoch", "save_total_limit": handed.kept}
    if handed.has_dev:
        made["eval_strategy"] = "epoch"
    return made | {"logging_steps": 1, "output_dir": OUTPUT}


_EXCESS: Final = {"error": "raise", "drop": "drop", "cut_turn": "truncate"}
_BF16: Final[dict[str, Any]] = {"auto": "auto", "bf16": True}


def _axolotl_rows(handed: Handed, split: str) -> Settings:
    if handed.exact:
        return {"path": f"{split}.parquet", "ds_type": "parquet", "type": ""}
    return {
        "path": f"{split}.jsonl",
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {key: key for key in ("role", "content", *_more(handed))},
        "roles_to_train": ["assistant"],
        "train_on_eos": "none",
        "train_on_eot": "turn",
    }


def _more(handed: Handed) -> list[str]:
    """What the messages have besides role and content."""
    return ["context"] if handed.template.context else []


def llama_factory(handed: Handed) -> Settings:
    """The configuration of LLaMA-Factory."""
    recipe = handed.recipe
    made: Settings = {"stage": "sft", "do_train": True, "model_name_or_path": handed.base}
    if handed.exact:
        # The name of a data set must be given, and is not looked up where the tokens are there already; `empty`
        # changes nothing about the tokenizer.
        made |= {"tokenized_path": TOKENIZED, "template": "empty"}
    else:
        made |= {"dataset_dir": ".", "cutoff_len": recipe.max_tokens, "template": NAME}
        made |= {"train_on_prompt": recipe.loss == "all", "mask_history": recipe.loss == "last"}
    made["dataset"] = f"{handed.label}_train"
    if handed.has_dev:
        made |= {"eval_dataset": f"{handed.label}_dev", "eval_strategy": "epoch"}
        made["per_device_eval_batch_size"] = recipe.micro_batch_size
    if recipe.packing:
        made |= {"packing": True, "neat_packing": True}
    if handed.template.added:
        made |= {"add_special_tokens": ",".join(handed.template.added), "resize_vocab": True}
    made["finetuning_type"] = "lora" if recipe.lora_rank else "full"
    if recipe.lora_rank:
        made |= {
            "lora_rank": recipe.lora_rank,
            "lora_alpha": round(recipe.lora_alpha),
            "lora_dropout": recipe.lora_dropout,
            "lora_target": "all" if _all_linear(recipe) else ",".join(recipe.lora_targets),
        }
    made |= _transformers(handed) | {"warmup_steps": handed.warmup_steps}
    made |= {"flash_attn": _DECODED_BY[recipe.attention]}
    made["disable_gradient_checkpointing"] = not recipe.activation_checkpointing
    made |= {"do_sample": recipe.temperature > 0}
    if recipe.temperature:
        made |= {"temperature": recipe.temperature, "top_p": recipe.top_p}
    # Transformers' penalty is another one than the recipe's (see `weights.speaking`).
    return made | {"repetition_penalty": 1.0, "max_new_tokens": recipe.max_new_tokens}


def trl(handed: Handed) -> Settings:
    """The values of TRL's `SFTConfig` and `ModelConfig`."""
    recipe = handed.recipe
    made: Settings = {
        "model_name_or_path": handed.base,
        # What is trained is in 32 bits, also where it is computed in 16.
        "dtype": "bfloat16" if recipe.lora_rank and recipe.precision != "fp32" else "float32",
        "attn_implementation": recipe.attention,
        "max_length": recipe.max_tokens,
        "packing": recipe.packing,
    }
    if recipe.packing:
        made["packing_strategy"] = "bfd"  # its `wrapped` lets rows see one another
    if not handed.exact:
        made["completion_only_loss"] = recipe.loss != "all"
    made |= _transformers(handed) | _warmup(handed, share="warmup_steps")
    made["gradient_checkpointing"] = recipe.activation_checkpointing
    if handed.has_dev:
        made |= {"eval_strategy": "epoch", "per_device_eval_batch_size": recipe.micro_batch_size}
    if recipe.lora_rank:
        made |= {"use_peft": True, "lora_r": recipe.lora_rank, "lora_alpha": round(recipe.lora_alpha)}
        made |= {"lora_dropout": recipe.lora_dropout, "lora_target_modules": list(recipe.lora_targets)}
    return made


def _transformers(handed: Handed) -> Settings:
    """The values of transformers' `TrainingArguments`, which TRL's and LLaMA-Factory's are made of."""
    recipe = handed.recipe
    made: Settings = {
        "output_dir": OUTPUT,
        "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": handed.accumulation,
        "optim": "adamw_torch",
        "learning_rate": recipe.learning_rate,
    }
    made |= schedule(recipe) | _adam(recipe)
    made |= {"seed": recipe.seed, "bf16": recipe.precision != "fp32"}
    if recipe.sharding == "fsdp2":
        made |= {"fsdp": "full_shard auto_wrap", "fsdp_config": {"version": 2} | _fsdp([*handed.layers])}
    # Without a filter, a loss that is no number is shown as one.
    made |= {"logging_steps": 1, "logging_nan_inf_filter": False, "report_to": "none"}
    return made | {"save_strategy": "epoch", "save_total_limit": handed.kept}


def _warmup(handed: Handed, *, share: str) -> Settings:
    """The steps of the warm-up; as a share of all where the trainer puts packs together, and so counts steps."""
    recipe = handed.recipe
    if recipe.packing and not recipe.warmup_steps:
        return {share: recipe.warmup_share}
    return {"warmup_steps": handed.warmup_steps}


def _adam(recipe: Recipe) -> Settings:
    return {
        "adam_beta1": recipe.beta1,
        "adam_beta2": recipe.beta2,
        "adam_epsilon": recipe.epsilon,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
    }


def _fsdp(layers: str | list[str]) -> Settings:
    return {
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "transformer_layer_cls_to_wrap": layers,
        "reshard_after_forward": True,
        "state_dict_type": "FULL_STATE_DICT",
        # accelerate's own forgets the state of chance: with dropout the second pass drops other places.
        "activation_checkpointing": False,
    }


def _all_linear(recipe: Recipe) -> bool:
    return tuple(recipe.lora_targets) == ("all-linear",)


def _renamed(settings: Settings, names: Mapping[str, str]) -> Settings:
    return {names.get(name, name): value for name, value in settings.items()}
