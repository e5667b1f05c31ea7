"""A model made to speak: answers to prompts, many at a time, each with why it stopped.

An answer depends on the prompt, the seed and the record's id; who stands beside it in a batch changes nothing but
the last bits of its scores. Where a model is asked in the middle of its training, it is left as it was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from curate.errors import CurateError, PipelineError
from curate.export import lines
from curate.store import read_json
from curate.train.recipe import DEFAULT, Recipe, read_recipe
from curate.train.speech.adapters import base_of, is_adapter, with_adapter
from curate.train.speech.listening import as_it_was, is_sharded, unwrapped
from curate.train.speech.sampling import Sampler, uniforms
from curate.train.speech.streaming import Heard, Stream

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from curate.train.rows.templates import Template

Stop = Literal["end", "length", "window"]

# Keys and values of the answers that are given together: of Llama 7B in bfloat16, 2 x 32 layers x 4,096 wide x 2
# bytes a token, so that four answers of 4,096 tokens with their prompts take 8 GiB.
_ON_GPU: Final = 8 * 2**30
_ELSEWHERE: Final = 2**30
_MOST: Final = 64  # answers at a time


@dataclass(frozen=True)
class Said:
    """An answer: its text, its tokens without the one that ends it, and why it stopped.

    `end`: the model ended its turn; `length`: it had said as many tokens as the recipe lets it; `window`: prompt
    and answer, or the prompt alone, are as long as what the model can look back on.
    """

    text: str
    ids: tuple[int, ...]
    stop: Stop

    @property
    def tokens(self) -> int:
        return len(self.ids)


@dataclass
class Speaker:
    """A model with the template it was trained with and the recipe that says how it is sampled.

    The model may be wrapped by DDP, FSDP2 or PEFT, and in the middle of its training.
    """

    model: Any
    template: Template
    recipe: Recipe
    bare: PreTrainedModel = field(init=False, repr=False)
    ends: list[int] = field(init=False)  # the tokens that end an answer, the template's first

    def __post_init__(self) -> None:
        self.bare = unwrapped(self.model)
        settings = self.bare.generation_config
        own = settings.eos_token_id if settings is not None else None
        given = {own} if isinstance(own, int) else {*(own or ())}
        rest = {*given, self.template.tokenizer.eos_token_id} - {None, self.template.end_id}
        self.ends = [self.template.end_id, *sorted(rest)]

    @property
    def window(self) -> int | None:
        """How many tokens the model can look back on, where its config says so."""
        config = self.bare.config.get_text_config()
        found = getattr(config, "max_position_embeddings", None)
        return int(found) if found else None

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """What the model is given to answer messages of `role` and `content`, the last of them the user's."""
        from curate.train.rows.tokens import prompt_ids

        return prompt_ids(record_of(messages), self.template)

    def answer(
        self,
        prompt: Sequence[int] | Sequence[Mapping[str, str]],
        *,
        id: str = "",
        seed: int | None = None,
        heard: Heard | None = None,
    ) -> Said:
        """The answer to token ids, or to messages of `role` and `content`.

        `heard` is called with each piece of text as soon as it is whole, so that all pieces together are the text.
        """
        ids = [each for each in prompt if not isinstance(each, Mapping)]
        if len(ids) < len(prompt):
            ids = self.prompt([each for each in prompt if isinstance(each, Mapping)])
        return self.answers([ids], [id], seed=seed, heard=heard)[0]

    def answers(
        self,
        prompts: Sequence[Sequence[int]],
        ids: Sequence[str],
        *,
        seed: int | None = None,
        batch: int | None = None,
        heard: Heard | None = None,
        done: Callable[[int], None] | None = None,
    ) -> list[Said]:
        """The answers to prompts of token ids, drawn by the seed (the recipe's, by default) and each record's id.

        As many are given at a time as there is memory for, or `batch`. `done` is called with the number of those
        that came to an end. With `heard`, there is one prompt.
        """
        if not all(prompts):
            raise CurateError("a prompt has no token at all", next="the template puts nothing before an answer")
        said: list[list[int]] = [[] for _ in prompts]
        stops: list[Stop | None] = [self._full(prompt, 0) for prompt in prompts]
        # Rows of like length together, the longest first: if a batch fits, those that follow do.
        waiting = sorted(
            (row for row, stop in enumerate(stops) if stop is None), key=lambda row: (-len(prompts[row]), ids[row])
        )
        seed = self.recipe.seed if seed is None else seed
        batch = batch or self.at_once(max(map(len, prompts), default=0))
        stream = None if heard is None else Stream(self._so_far, heard)
        with as_it_was(self.bare, self.recipe):
            while waiting:
                rows, waiting = waiting[:batch], waiting[batch:]
                self._go_on(rows, prompts, said, ids, seed, stream)
                for row in rows:
                    ended = bool(said[row]) and said[row][-1] in self.ends
                    stops[row] = "end" if ended else self._full(prompts[row], len(said[row]))
                # Where the window of the longest is full, there is room left in that of others.
                left = [row for row in rows if stops[row] is None]
                waiting = left + waiting
                if done is not None:
                    done(len(rows) - len(left))
        return [self._said(tokens, stop or "length", stream) for tokens, stop in zip(said, stops, strict=True)]

    def at_once(self, longest: int) -> int:
        """How many answers are given at a time, after prompts of up to so many tokens."""
        config = self.bare.config.get_text_config()
        heads = config.num_attention_heads
        wide = getattr(config, "head_dim", None) or config.hidden_size // heads
        kept = (getattr(config, "num_key_value_heads", None) or heads) * wide
        tokens = min(longest + self.recipe.max_new_tokens, self.window or longest + self.recipe.max_new_tokens)
        row = 2 * config.num_hidden_layers * kept * self.bare.dtype.itemsize * tokens
        memory = _ON_GPU if self.bare.device.type == "cuda" else _ELSEWHERE
        return max(1, min(_MOST, memory // int(row)))

    def text(self, ids: Sequence[int]) -> str:
        """The text of an answer's tokens, to the letter, without what the template has a model say before it."""
        from curate.train.rows.tokens import text_of

        text = text_of(ids, self.template)
        # While it is said, there may be no more than a part of that.
        return "" if self.template.gap.startswith(text) else text

    def _so_far(self, ids: Sequence[int]) -> str:
        """The text of an answer that may go on, without what may be the template's, which comes after it."""
        text, closing = self.text(ids), self.template.closing
        begun = next((size for size in range(len(closing), 0, -1) if text.endswith(closing[:size])), 0)
        return text[: len(text) - begun]

    def _said(self, tokens: list[int], stop: Stop, stream: Stream | None) -> Said:
        kept = tuple(tokens[:-1] if stop == "end" else tokens)
        # What the template writes after an answer stands before its own end alone.
        text = self.text(tokens if tokens[-1:] == [self.template.end_id] else kept)
        if stream is not None:
            stream.close(text)
        return Said(text, kept, stop)

    def _room(self, prompt: Sequence[int], said: int) -> int:
        own = self.recipe.max_new_tokens - said
        return own if self.window is None else min(own, self.window - len(prompt) - said)

    def _full(self, prompt: Sequence[int], said: int) -> Stop | None:
        """Why nothing more can be said, if so."""
        if self._room(prompt, said) > 0:
            return None
        return "length" if said >= self.recipe.max_new_tokens else "window"

    def _go_on(
        self,
        rows: Sequence[int],
        prompts: Sequence[Sequence[int]],
        said: list[list[int]],
        ids: Sequence[str],
        seed: int,
        stream: Stream | None,
    ) -> None:
        """Let the rows' answers go on until each has ended, or the first of them has no more room."""
        import torch
        from transformers import GenerationConfig

        steps = min(self._room(prompts[row], len(said[row])) for row in rows)
        given = [[*prompts[row], *said[row]] for row in rows]
        width = max(map(len, given))
        pad = self.template.tokenizer.pad_token_id
        pad = self.template.end_id if pad is None else pad
        padded = torch.tensor([[pad] * (width - len(each)) + each for each in given])
        mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in given])
        sampler = Sampler(
            [said[row] for row in rows],
            np.stack([uniforms(seed, ids[row], len(said[row]), steps) for row in rows]),
            temperature=self.recipe.temperature,
            top_p=self.recipe.top_p,
            repetition_penalty=self.recipe.repetition_penalty,
        )
        device = self.bare.device
        settings = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=steps, do_sample=False, use_cache=True, pad_token_id=pad, eos_token_id=self.ends
        )
        if stream is not None:
            stream.open(self.ends)
        made = self.bare.generate(  # type: ignore[operator]
            padded.to(device),
            attention_mask=mask.to(device),
            generation_config=settings,
            logits_processor=[sampler],
            streamer=stream,
            synced_gpus=is_sharded(self.bare),
        )
        for row, tokens in zip(rows, made[:, width:].tolist(), strict=True):
            end = next((at for at, token in enumerate(tokens) if token in self.ends), len(tokens) - 1)
            said[row] += tokens[: end + 1]


def record_of(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Messages of `role` and `content`, as the record whose answer is asked for.

    Raises `CurateError` when the last one is not the user's.
    """
    if not messages or messages[-1]["role"] != "user":
        raise CurateError("the last message is not the user's, so there is nothing to answer")
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    earlier = messages[1:-1] if system is not None else messages[:-1]
    return {
        "id": "",
        "system": system,
        "history": [{"role": each["role"], "text": each["content"]} for each in earlier],
        "prompt": messages[-1]["content"],
        "context": None,
        "response": None,
    }


def answered(
    speaker: Speaker,
    records: Sequence[Mapping[str, Any]],
    *,
    seed: int | None = None,
    done: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    """Of each record its `id`, `prompt`, the `answer`, why it came to its `stop`, and how many `tokens` it has."""
    from curate.train.rows.tokens import prompt_ids

    prompts = [prompt_ids(record, speaker.template) for record in records]
    answers = speaker.answers(prompts, [record["id"] for record in records], seed=seed, done=done)
    return [
        {
            "id": record["id"],
            "prompt": _asked(record),
            "answer": each.text,
            "stop": each.stop,
            "tokens": each.tokens,
        }
        for record, each in zip(records, answers, strict=True)
    ]


def write_lines(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as JSON lines, the whole file or none of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines.write_lines(file, rows)


def _asked(record: Mapping[str, Any]) -> str:
    prompt, context = record["prompt"] or "", record.get("context")
    return f"{prompt}\n\n{context}" if context else prompt


def load_speaker(
    folder: Path,
    *,
    epoch: int | None = None,
    changes: Mapping[str, Any] | None = None,
    device: str = "",
    model: Path | None = None,
) -> Speaker:
    """The picked model of a training folder, one of its kept epochs, or any folder of a model, ready to speak.

    `changes` are values of the recipe, such as `temperature`. `device` is a GPU by default, where there is one. A
    folder of a model that no training of ours made speaks by its own chat template, or the `template` among them.
    Weights that were saved in bfloat16 are computed with in it, and so are all where the recipe does. `model` is
    where the base of adapters lies now, if it was moved since they were trained.

    Raises `PipelineError` where there is no model, none was picked yet, or the epoch was not kept, and
    `ReproducibilityError` when adapters were trained on another base.
    """
    from curate.train.stack import load_stack

    load_stack()
    import torch

    from curate.train.rows.templates import OWN, template_for, template_names
    from curate.train.speech.picking import epoch_folder, epochs, none_kept
    from curate.train.weights import load_model, load_tokenizer, open_model, precision

    training = training_folder(folder)
    if epoch is not None:
        if training is None:
            raise PipelineError(
                "this is no training folder, so it has no epochs", where=str(folder), next="leave out `--epoch`"
            )
        folder = epoch_folder(training, epoch)
    elif training is not None and training.samefile(folder):
        folder = training / "model"
        if not folder.is_dir():
            if epochs(training).is_empty():
                raise none_kept(training)
            raise PipelineError(
                "no model was picked yet",
                where=str(training),
                next=f"choose an epoch: curate train pick {training}",
            )
    recipe = _recipe_of(folder, training, changes or {})
    opened = open_model(base_of(folder, training, model))
    tokenizer = load_tokenizer(opened)
    if recipe.template == OWN and not tokenizer.chat_template:
        names = ", ".join(each for each in template_names() if each != OWN)
        raise PipelineError(
            "the model has no chat template, as base models have none: nothing says how it is asked",
            where=str(opened.path),
            next=f"say which it is to be asked by: --template NAME, of {names}",
        )
    # What pads a prompt is masked, so that any token will do where the tokenizer has none for it.
    template = template_for(recipe.template, tokenizer, pad_token=recipe.pad_token or tokenizer.eos_token or "")
    adapted = is_adapter(folder)
    short = precision(recipe) == "bf16" or (opened.dtype == "bfloat16" and not adapted)
    dtype = torch.bfloat16 if short else torch.float32
    loaded: Any = (
        with_adapter(opened, folder, template, recipe)
        if adapted
        else load_model(opened, template, recipe, dtype=dtype)
    )
    loaded.to(device or ("cuda" if torch.cuda.is_available() else "cpu"), dtype)
    return Speaker(loaded.eval(), template, recipe)


def training_folder(folder: Path) -> Path | None:
    """The training folder that this is, or lies in as its `model` or one of its epochs."""
    for each in (folder, folder.absolute().parent, folder.absolute().parent.parent):
        if (each / "recipe.toml").is_file() and (each / "train.json").is_file():
            return each
    return None


def _recipe_of(folder: Path, training: Path | None, changes: Mapping[str, Any]) -> Recipe:
    """The recipe a model was trained by; of one that no training of ours made, how its own settings sample."""
    files = [folder / "recipe.toml", *([training / "recipe.toml"] if training is not None else [])]
    for file in files:
        if file.is_file():
            recipe = read_recipe(str(file), changes)
            own = read_recipe(str(file)).template
            if recipe.template != own:
                raise PipelineError(
                    f"the model was trained to be asked by the template {own!r}",
                    where=str(folder),
                    next="leave out `--template`",
                )
            return recipe
    file = folder / "generation_config.json"
    own = read_json(file) if file.is_file() else {}
    names = ("temperature", "top_p", "repetition_penalty", "max_new_tokens")
    said = {name: own[name] for name in names if own.get(name) is not None}
    return read_recipe(DEFAULT, {"name": "own", "template": "own", **said, **changes})
