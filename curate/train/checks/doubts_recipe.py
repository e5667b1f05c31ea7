"""Doubts about a recipe beside a set, a model and a machine: steps, rates, padding, template, window, room."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Final

from curate.errors import PipelineError
from curate.train.checks.doubts import Known, counted, doubt, rate
from curate.train.recipe import Recipe, read_recipe, recipe_names

Json = dict[str, Any]

_FEW_STEPS: Final = 20  # fewer hardly move a model; LIMA took 480 (arXiv 2305.11206), Alpaca 1,221
_TAIL: Final = 0.25  # of a batch: below it, each row of an epoch's last step weighs more than four of the others
_SEVERAL: Final = 1.5  # rows of a pack
_FELT: Final = 100  # steps an epoch, up to which one of them counts
_HALF: Final = 0.5  # of a batch
_PADDING: Final = 0.15  # of what is computed
_FULL_ROWS: Final = 2_000  # rows from which training of LLaMA 7B was stable (arXiv 2305.11206, a footnote)
_LARGE: Final = 6e9  # parameters, from which on that was seen
# Rates of published full fine-tunings: 1e-5 and 2e-5 (LIMA, stanford_alpaca, FastChat). Of LoRA: 2e-4 up to 13B
# and 1e-4 above (artidoro/qlora, README.md); tinker-cookbook's hyperparam_utils takes ten times the full rate.
_FULL_RATES: Final = (1e-6, 1e-4)
_LORA_RATES: Final = (5e-5, 2e-3)
_SCALED_RATES: Final = (2e-4, 2e-2)  # times each weight's size; arXiv 2305.15717 has 2e-3
_PLACES: Final = r"\bwpe\b|embed_positions|position_embeddings"  # tables of GPT-2, OPT, BERT and their kin
_SMALL: Final = 3e8  # parameters below which rates are ten times those, or more, as small models are trained

_SAMPLE: Final = (
    {"role": "user", "content": "What is rye?"},
    {"role": "assistant", "content": "A grass."},
)


def about_recipe(known: Known) -> Iterator[Json]:
    """All doubts about the recipe, the model and the machine, in no order."""
    yield from _steps(known)
    yield from _rates(known)
    yield from _padding(known)
    yield from _few_rows(known)
    yield from _template(known)
    yield from _words(known)
    yield from _window(known)
    yield from _processes(known)
    yield from _architecture(known)
    yield from _adapters(known)


def _steps(known: Known) -> Iterator[Json]:
    recipe, steps = known.recipe, known.steps
    what = "packs" if recipe.packing else "rows"
    if steps["warmup"] >= steps["steps"]:
        yield doubt(
            "warmup",
            "warning",
            f"the warm-up takes {steps['warmup']:,} steps and training {steps['steps']:,}: the rate gets no"
            f" further than {steps['steps'] / steps['warmup']:.1%} of {rate(recipe.learning_rate)}",
            "set warmup_steps lower, or warmup_share = 0.03 with warmup_steps = 0",
        )
    if steps["sequences"] < recipe.batch_size:
        yield doubt(
            "batch_beyond_set",
            "warning",
            f"a step takes {recipe.batch_size:,} {what}, and an epoch has {steps['sequences']:,}",
            f"set batch_size to {max(1, steps['sequences'] // 8)} or so, to take several steps an epoch",
        )
    elif steps["steps"] < _FEW_STEPS:
        yield doubt(
            "few_steps",
            "warning",
            f"training takes {counted(steps['steps'], 'step')} in all",
            "a model hardly moves in so few: lower batch_size, or raise epochs",
        )
    tail = steps["last_step"]
    if 1 < steps["an_epoch"] <= _FELT and tail <= _TAIL * recipe.batch_size:
        better = _even(steps["sequences"], recipe.batch_size, known.processes * recipe.micro_batch_size)
        times = recipe.batch_size / tail
        yield doubt(
            "last_step",
            "note",
            f"the last step of an epoch has {tail:,} of {recipe.batch_size:,} {what}, each of which moves the"
            f" model {times:.0f} times as far as the others",
            f"set batch_size = {better} for more even steps"
            if better
            else "no size near it has fuller ones; LIMA trained so, and it is seldom felt",
        )


def _even(sequences: int, batch: int, unit: int) -> int | None:
    """The batch size near the given one whose last step is fullest; None where it is not even half full."""
    near = [
        size for size in range(unit, 2 * batch, unit) if abs(size - batch) <= batch // 4 and 2 * size <= sequences
    ]
    full = {size: (sequences % size or size) / size for size in near}
    best = max(near, key=lambda size: (full[size], -abs(size - batch)), default=batch)
    return best if full.get(best, 0) >= _HALF else None


def _rates(known: Known) -> Iterator[Json]:
    recipe = known.recipe
    if recipe.lora_rank:
        of, (low, high), usual = "LoRA", _LORA_RATES, "usual are 2e-4 up to 13B and 1e-4 above"
    elif recipe.scale_by_weight:
        of, (low, high) = "updates in proportion to their weights", _SCALED_RATES
        usual = "the recipe false-promise has 2e-3"
    else:
        of, (low, high), usual = "training all weights", _FULL_RATES, "published recipes have 1e-5 and 2e-5"
    if known.model.parameters < _SMALL:
        high *= 100
    if not low <= recipe.learning_rate <= high:
        much = "low" if recipe.learning_rate < low else "high"
        yield doubt(
            "learning_rate",
            "warning",
            f"a learning rate of {rate(recipe.learning_rate)} is {much} for {of}",
            usual,
        )


def _padding(known: Known) -> Iterator[Json]:
    recipe, padding = known.recipe, known.padding
    # As many packs as hold the rows of a step, shared out evenly to all processes.
    packs = round(recipe.batch_size / padding["a_pack"] / known.processes) * known.processes
    if padding["share"] > _PADDING:
        do = "set micro_batch_size = 1, which has none"
        if packs:
            do += (
                f", or packing = true with it and batch_size = {packs}: about {padding['gain']:.1f} times as fast"
            )
            do += " where a GPU has the memory"
        yield doubt(
            "padding",
            "note",
            f"{padding['share']:.0%} of what is computed is padding: rows of a micro-batch differ in length",
            do,
        )
    if recipe.packing and padding["a_pack"] > _SEVERAL and not _counts_packs(recipe):
        do = f"set batch_size = {packs}" if packs else "set a lower max_tokens, for shorter packs"
        yield doubt(
            "packs_a_step",
            "note",
            f"a step takes {recipe.batch_size:,} packs of {padding['a_pack']:.1f} rows, about"
            f" {recipe.batch_size * padding['a_pack']:,.0f} rows",
            f"{do} if the recipe's {recipe.batch_size:,} were meant as rows, as they are in LIMA and Alpaca",
        )


def _counts_packs(recipe: Recipe) -> bool:
    """Whether the recipe of this name packs by itself, so that its batch is one of packs."""
    return recipe.name in recipe_names() and read_recipe(recipe.name).packing


def _few_rows(known: Known) -> Iterator[Json]:
    rows = len(known.tokens["train"])
    if rows < _FULL_ROWS and known.model.parameters > _LARGE and not known.recipe.lora_rank:
        yield doubt(
            "few_rows",
            "note",
            f"{counted(rows, 'row')} for a model of {known.model.parameters / 1e9:.1f}B parameters: LIMA's authors"
            " found training of LLaMA 7B stable from 2,000 rows on",
            "watch the loss on dev, keep several epochs, and try another seed if it jumps",
        )


def _template(known: Known) -> Iterator[Json]:
    template, tokenizer = known.template, known.template.tokenizer
    if known.own_jinja and known.recipe.template != "own":
        own, ours = (_rendered(tokenizer, jinja) for jinja in (known.own_jinja, template.jinja))
        if own != ours:
            yield doubt(
                "another_template",
                "warning",
                f"the model's tokenizer has a chat template of its own, so it was most likely tuned before: it"
                f" writes {_shown(own)}, and {template.name} writes {_shown(ours)}",
                'set template = "own" to go on from what it learned, or start from the base model',
            )
    if tokenizer.pad_token_id == template.end_id:
        yield doubt(
            "pad_is_end",
            "note",
            f"the token that pads is the one that ends an answer, {template.end!r}",
            "padding is told by lengths here, and the end is learned; a trainer that masks every pad token would"
            " lose it, and the model never end",
        )


def _rendered(tokenizer: Any, jinja: str) -> str | None:
    """What a template makes of one question and its answer; None where it refuses them."""
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(list(_SAMPLE), chat_template=jinja, tokenize=False))
    except TemplateError:
        return None


def _shown(text: str | None) -> str:
    return "nothing for a question alone" if text is None else repr(text if len(text) < 120 else f"…{text[-110:]}")


def _words(known: Known) -> Iterator[Json]:
    rows, added = known.embeddings, known.template.added
    if rows is not None and known.words > rows:
        yield doubt(
            "vocabulary",
            "warning",
            f"the tokenizer has {known.words:,} tokens, and the model embeddings for {rows:,} of them",
            "look whether the tokenizer is this model's: embeddings are added for the rest, and know nothing yet",
        )
    if added:
        first = "their embeddings begin" if len(added) > 1 else "its embedding begins"
        saved = "what is learned of it is saved beside the adapter: serve both, or the merged model"
        yield doubt(
            "added_tokens",
            "note",
            f"the template adds {', '.join(added)} to the vocabulary",
            f"{first} as the mean of all others; {saved if known.recipe.lora_rank else 'all of them are trained'}",
        )


def _window(known: Known) -> Iterator[Json]:
    recipe, window = known.recipe, known.window
    if window is None:
        return
    longest = known.tokens["train"].table["longest"]
    reach = min(recipe.max_tokens, longest)
    if reach > window:
        # Places that are turned into angles go on beyond the window, if badly; a table of them ends there.
        ends = any(re.search(_PLACES, name) for name in known.model.shapes)
        yield doubt(
            "window",
            "error" if ends else "warning",
            f"rows of up to {reach:,} tokens go beyond the model's window of {window:,}",
            f"set max_tokens = {window}, or take a model with a longer window: it never saw places so far on",
        )
    elif recipe.packing and recipe.max_tokens > window:
        yield doubt(
            "window",
            "note",
            f"packs of {recipe.max_tokens:,} tokens are longer than the model's window of {window:,}",
            "each row begins at place 0 of its own, so that none goes beyond it",
        )
    asked = known.whole.get("dev")
    longest_asked = 0 if asked is None else asked.table["longest"]
    if longest_asked + recipe.max_new_tokens > window:
        yield doubt(
            "answers_beyond_window",
            "note",
            f"a prompt of dev and an answer of {recipe.max_new_tokens:,} tokens may go beyond the model's window"
            f" of {window:,}",
            'set max_new_tokens lower, or take answers that end by "length" there for what they are',
        )


def _processes(known: Known) -> Iterator[Json]:
    from curate.train.steps.launching import check_batch

    recipe = known.recipe
    try:
        check_batch(recipe, known.processes)
    except PipelineError as error:
        yield doubt("batch_size", "error", error.what, error.next)
    if recipe.sharding == "fsdp2" and known.processes == 1:
        yield doubt(
            "sharding",
            "error",
            'sharding = "fsdp2" shares one model out among processes, and there is one',
            'give --processes N, or set sharding = "none"',
        )
    if recipe.attention == "flash_attention_2" and find_spec("flash_attn") is None:
        yield doubt(
            "attention",
            "error",
            'attention = "flash_attention_2" needs the package flash-attn, which is not installed here',
            'set attention = "sdpa", which packs rows as safely, or install flash-attn where you train',
        )


def _architecture(known: Known) -> Iterator[Json]:
    from curate.train.steps.dropout import check_architecture, rates_for

    if not known.recipe.residual_dropout:
        return
    try:
        check_architecture(known.model.architecture)
        rates_for(known.model.config.get("num_hidden_layers", 2), known.recipe.residual_dropout)
    except PipelineError as error:
        yield doubt("residual_dropout", "error", error.what, error.next)


def _adapters(known: Known) -> Iterator[Json]:
    """What training with LoRA would stop at; it is not looked for where there is no torch to lay the model out."""
    if not known.recipe.lora_rank or find_spec("torch") is None:
        return
    from curate.train.model_folder import without_weights
    from curate.train.steps.lora import check_adaptable

    try:
        check_adaptable(without_weights(known.model.path), known.recipe, known.template)
    except PipelineError as error:
        yield doubt("adapters", "error", error.what, error.next)
