"""What another trainer does not do of a recipe, in its own way or not at all, and what to do about it.

Told from the recipe, the rows and the trainer: what a recipe does not ask for is not mentioned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from curate.export.card_marks import code, prose
from curate.train.targets.settings import Handed

Target = Literal["axolotl", "llama-factory", "trl"]

TITLES: Final[dict[Target, str]] = {"axolotl": "axolotl", "llama-factory": "LLaMA-Factory", "trl": "TRL"}


@dataclass(frozen=True)
class Lost:
    """One thing that is not carried over: what the recipe has, what the trainer does, and what can be done."""

    what: str
    instead: str
    todo: str


def not_carried(handed: Handed, target: Target) -> list[Lost]:
    """All that a trainer does not do as the recipe has it, what matters most first."""
    return [lost for tell in _EVERY for lost in tell(handed, target)]


def markdown(handed: Handed, target: Target) -> str:
    """`NOT_CARRIED.md`: what is not carried over, as a text."""
    title, recipe = TITLES[target], handed.recipe
    lost = not_carried(handed, target)
    lines = [
        f"# What {title} does not do of the recipe {prose(recipe.name)}",
        "",
        f"`recipe.toml` holds every value of the recipe; the configuration, all that {title} has a word for.",
        f"These {len(lost)} things are the rest, the weightiest first.",
    ]
    for each in lost:
        lines += ["", f"## {each.what}", "", each.instead, "", f"*What to do:* {each.todo}"]
    return "\n".join(lines) + "\n"


def _residual_dropout(handed: Handed, target: Target) -> Iterator[Lost]:
    rate = handed.recipe.residual_dropout
    if rate:
        yield Lost(
            f"Residual dropout, from 0 in the first layer to {rate:g} in the last",
            f"{TITLES[target]} has no such setting, and models of Llama's kind have no such place: nothing is"
            " dropped.",
            "expect the answers to be learned by heart some epochs sooner, and compare the checkpoints of earlier"
            " epochs too. `curate train run` drops as the recipe says.",
        )


def _float32(handed: Handed, target: Target) -> Iterator[Lost]:
    recipe = handed.recipe
    if target == "axolotl" and recipe.precision != "fp32" and not recipe.lora_rank:
        yield Lost(
            "Weights in 32 bits, computed with in 16",
            "Under `bf16` axolotl loads the weights themselves in bfloat16 (utils/config/__init__.py), which has 8"
            f" bits of precision: steps at a learning rate of {recipe.learning_rate:g} are often rounded away.",
            "where memory allows, set `bf16: false`, `float32: true` and `tf32: true`: twice the memory for"
            " weights, and slower.",
        )


def _masks(handed: Handed, target: Target) -> Iterator[Lost]:
    if handed.exact:
        return
    see = {
        "axolotl": "`axolotl preprocess axolotl.yaml --debug` prints the labels it makes",
        "llama-factory": "it prints the labels of the first row when training begins",
        "trl": "look at `trainer.train_dataset[0]`",
    }[target]
    yield Lost(
        "The proof of every mask",
        f"Ids and labels are made by {TITLES[target]} from the messages, and nobody has compared them with the"
        " texts.",
        f"{see}; hold that against `curate train check`. The exact form, without `--editable`, needs none of it.",
    )


def _too_long(handed: Handed, target: Target) -> Iterator[Lost]:
    recipe = handed.recipe
    beyond = sum(int(table.get("beyond", 0)) for table in handed.tables.values())
    if handed.exact or not beyond:
        return
    does = {
        "axolotl": "It cuts them at the limit, within a turn.",
        "llama-factory": "It shortens prompt and answer, each by its share.",
        "trl": "It cuts them at the limit, and says nothing.",
    }[target]
    if target != "axolotl" or recipe.too_long == "cut_turn":
        yield Lost(
            f"What becomes of rows beyond {recipe.max_tokens:,} tokens: `{recipe.too_long}`",
            f"{_rows(beyond)} beyond it under this template. {does}",
            "take the exact form, where it is settled, or leave these rows out of the file."
            if recipe.too_long == "drop"
            else "take the exact form, where it is settled.",
        )


def _markers(handed: Handed, target: Target) -> Iterator[Lost]:
    met = sum(int(table.get("markers", {}).get("rows", 0)) for table in handed.tables.values())
    if not handed.exact and met and handed.recipe.markers == "text":
        yield Lost(
            "Marks of the template within texts are plain text",
            f"{_rows(met)} such marks in its text. {TITLES[target]} reads them as the template's own: a text could"
            " end a turn.",
            "take the exact form, or set `markers` to `drop`.",
        )


def _template(handed: Handed, target: Target) -> Iterator[Lost]:
    if not handed.exact and target == "llama-factory" and handed.template.context and handed.contexts:
        yield Lost(
            "The part of the template for what a task is about",
            "LLaMA-Factory has one text for a question: it joins instruction and input by a line break, where the"
            f" template {code(handed.template.name)} has another text with `### Input:`;"
            f" {_rows(handed.contexts)} an input.",
            "take the exact form, in which both are as they should be.",
        )
    if not handed.exact and target == "axolotl" and (handed.template.gap or handed.template.closing):
        around = [code(repr(part)) for part in (handed.template.gap, handed.template.closing) if part]
        yield Lost(
            "An answer is learned from its very beginning to its end",
            f"The template writes {' and '.join(around)} around an answer, which the model has to say itself."
            " axolotl does not learn it where it is a token of its own.",
            "look at the first and last learned tokens of a row (`axolotl preprocess axolotl.yaml --debug`), or"
            " take the exact form.",
        )
    if not handed.exact and target == "axolotl" and handed.recipe.loss == "all":
        yield Lost(
            "The loss on all tokens",
            "axolotl learns the texts of all roles with the ends of their turns, and not what the template writes"
            " around them.",
            "nothing, as a rule; or take the exact form.",
        )
    tail = handed.tail
    if not handed.exact and target != "axolotl" and tail and handed.recipe.loss != "all":
        yield Lost(
            "What follows the end of a turn is not learned",
            f"{TITLES[target]} learns {code(repr(tail))} after {code(handed.template.end)} too.",
            "nothing: who stops at the end of a turn never sees it.",
        )


def _answers(handed: Handed, target: Target) -> Iterator[Lost]:
    if handed.exact or not handed.dialogues:
        return
    rows = _rows(handed.dialogues)
    if target == "axolotl" and handed.recipe.loss == "last":
        yield Lost(
            "The loss on the last answer alone",
            f"axolotl trains on every turn of the roles in `roles_to_train`; {rows} several answers.",
            "take the exact form, in which the labels are settled.",
        )
    if target == "trl" and handed.recipe.loss == "assistant":
        yield Lost(
            "The loss on every answer of a dialogue",
            "TRL tells the answers of a conversation by marks in the template, which those of curate have not. The"
            f" rows are prompts with their last answer, and on that alone is the loss; {rows} earlier ones.",
            "take the exact form, in which the labels are settled.",
        )


def _epochs(handed: Handed, target: Target) -> Iterator[Lost]:
    kept, last = handed.recipe.kept, handed.recipe.epochs
    if kept[0] == last:
        return
    chosen = {
        "manual": "one is chosen by hand",
        "loss": "the one of least dev loss is taken",
        "last": "the last is taken",
    }
    yield Lost(
        f"The weights of epochs {kept[0]} to {kept[-1]} are kept, and {chosen[handed.recipe.pick]}",
        f"{TITLES[target]} saves the whole state at the end of each epoch, of which the last {handed.kept} stay;"
        " it writes no answers to the prompts of dev.",
        f"a checkpoint's number is its step: epoch {kept[0]} ends at {kept[0] * handed.steps // last:,}, epoch"
        f" {kept[-1]} at {kept[-1] * handed.steps // last:,}. Have each answer some prompts of dev, and choose.",
    )


def _packs(handed: Handed, target: Target) -> Iterator[Lost]:
    if handed.recipe.packing and (target != "llama-factory" or not handed.exact):
        yield Lost(
            "Which rows share a sequence",
            f"{TITLES[target]} packs in its own way, so that there may be some sequences, and steps, more or fewer"
            f" than {handed.sequences['train']:,} and {handed.steps:,}. Ours are made once, for all epochs. A row"
            " still sees no other.",
            "nothing; the learning rate follows the steps that it counts."
            if not handed.recipe.warmup_steps
            else "see that the steps of warm-up are still a part of all.",
        )


def _tail(handed: Handed, target: Target) -> Iterator[Lost]:
    at_once = handed.processes * handed.recipe.micro_batch_size
    again = -handed.sequences["train"] % at_once
    if handed.processes > 1 and again:
        yield Lost(
            "Every row exactly once an epoch",
            f"On {handed.processes} processes, {TITLES[target]} (by accelerate's `even_batches`) fills up the end"
            f" of an epoch with rows from its beginning: {_rows(again, 'is', 'are')} seen twice.",
            "nothing where they are few; else take a number of processes that divides the rows.",
        )


def _added_tokens(handed: Handed, target: Target) -> Iterator[Lost]:
    if not handed.template.added:
        return
    named = ", ".join(map(code, handed.template.added))
    if target == "llama-factory":
        yield Lost(
            f"Where the vectors of new tokens begin: {named}",
            "LLaMA-Factory draws them at random around the mean of all others (model/model_utils/embedding.py);"
            " the recipe has the mean itself.",
            "nothing in a long training. In a short one, see that answers end: the end of a turn is among them."
            if handed.template.end in handed.template.added
            else "nothing.",
        )
        if handed.recipe.lora_rank:
            yield Lost(
                "Adapters, and the vectors of new tokens beside them",
                "LLaMA-Factory trains all of the embeddings beside the adapters once tokens are added.",
                "reckon with their memory, and save the whole model.",
            )


def _alpha(handed: Handed, target: Target) -> Iterator[Lost]:
    alpha = handed.recipe.lora_alpha
    if handed.recipe.lora_rank and alpha != round(alpha):
        yield Lost(
            f"`lora_alpha` {alpha:g}",
            f"{TITLES[target]} takes whole numbers, so that it says {round(alpha)}.",
            "choose a whole number for both.",
        )


def _warmup(handed: Handed, target: Target) -> Iterator[Lost]:
    if target == "axolotl" and handed.warmup_steps == 1:
        yield Lost(
            "One step of warm-up",
            "axolotl makes two of it (core/builders/base.py).",
            "nothing.",
        )


def _penalty(handed: Handed, _: Target) -> Iterator[Lost]:
    penalty = handed.recipe.repetition_penalty
    if penalty != 1:
        yield Lost(
            f"A repetition penalty of {penalty:g} on what was generated",
            "transformers, which speaks after such a training, punishes what stands in the prompt too, the token"
            " that ends a turn among it. So none is set, here and in `generation_config.json`.",
            "give the penalty where you serve the model, if that can tell prompt from answer; or do without.",
        )


def _states(handed: Handed, target: Target) -> Iterator[Lost]:
    if handed.recipe.checkpoint_every:
        yield Lost(
            f"A whole state every {handed.recipe.checkpoint_every:,} steps",
            f"{TITLES[target]} saves by steps or by epochs, and the epochs are needed.",
            "reckon with the loss of part of an epoch when a run is killed.",
        )


def _stops(_: Handed, target: Target) -> Iterator[Lost]:
    shown = "its log may show 0 for it" if target == "axolotl" else "its log shows it"
    yield Lost(
        "A loss or gradient that is no number stops the training",
        f"{TITLES[target]} goes on; {shown}.",
        "look at `loss` and `grad_norm` now and then: once a weight is NaN, all that follows is lost.",
    )


def _order(handed: Handed, target: Target) -> Iterator[Lost]:
    yield Lost(
        "The order of rows",
        f"{TITLES[target]} shuffles by the places of rows and in its own use of the seed {handed.recipe.seed}; by"
        " the recipe, an epoch's order is drawn from the rows' ids.",
        "nothing: no order is better than another, but figures will differ a little.",
    )


def _damaged(_: Handed, target: Target) -> Iterator[Lost]:
    yield Lost(
        "A damaged checkpoint is skipped, and one without its optimizer refused",
        f"{TITLES[target]} takes the newest folder as it is. A torn one stops it; one that lacks `optimizer.pt` it"
        " goes on from as if nothing were missing.",
        "after a crash, remove the newest checkpoint before you resume.",
    )


_EVERY: Final[tuple[Callable[[Handed, Target], Iterator[Lost]], ...]] = (
    *(_float32, _residual_dropout, _masks, _template, _answers, _too_long, _markers, _epochs, _added_tokens),
    *(_alpha, _penalty, _packs, _tail, _warmup, _states, _stops, _damaged, _order),
)


def _rows(count: int, one: str = "has", several: str = "have") -> str:
    return f"{count:,} {f'row {one}' if count == 1 else f'rows {several}'}"
