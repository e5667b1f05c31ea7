"""Chat templates: how a conversation is written as one text for the model, and where an answer begins and ends.

A template is Jinja, rendered as transformers renders it, and saved with the tokenizer: whoever serves the model
writes a conversation in the text that was trained. Ids of earlier answers may be others, where the tokenizer puts
a space of its own before them: `doubts_served` counts these. A conversation is rendered turn by turn. What is
written up to an answer has to begin what is written with it, or the row is refused.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from curate.errors import CurateError, PipelineError, nearest
from curate.train.rows.encoder import HOLE, NAME, Encoder, filled
from curate.train.stack import load_stack

FOLDER: Final = Path(__file__).with_name("chat_templates")
OWN: Final = "own"
_SPACE: Final = " + ' '"  # in Jinja

Message = dict[str, str]
Shape = tuple[tuple[str, bool], ...]


class _RewrittenError(CurateError):
    """An earlier answer is written otherwise than the last one."""


@dataclass(frozen=True)
class Template:
    """A chat template and the tokenizer that was made ready for it.

    `end` is the special token after every answer, `added` are tokens that the tokenizer lacked. `marks` is a
    pattern of what a text should not hold, special tokens aside; `gap` is what the model says before the answer
    itself, and `closing` what it says after it, before the end, such as Llama 2's space. `context`: a record's
    context has a place of its own. `several_turns`: earlier turns have one.
    `rewrites`: earlier answers are not written as the last is, as where a model thinks aloud before it. `pure`:
    texts are put in as they are, whatever they say.
    """

    name: str
    jinja: str
    end: str
    end_id: int
    added: tuple[str, ...]
    tokenizer: Any
    marks: str = ""
    gap: str = ""
    closing: str = ""
    context: bool = False
    several_turns: bool = True
    rewrites: bool = False
    pure: bool = False

    @cached_property
    def encoder(self) -> Encoder:
        """The tokenizer as the template's texts are read with it."""
        return Encoder(self.tokenizer)

    @cached_property
    def _layouts(self) -> dict[tuple[Shape, bool], list[str]]:
        return {}

    def messages(self, record: Mapping[str, Any], *, answered: bool = True) -> list[Message]:
        """A record as messages with `role` and `content`, the response last if there is one and it is asked for.

        Where the template has a place for it, the context is a key of the last question; elsewhere it follows the
        question after a blank line. An empty system message is none.
        """
        messages: list[Message] = []
        if system := record.get("system"):
            messages.append({"role": "system", "content": system})
        messages += [{"role": turn["role"], "content": turn["text"]} for turn in record.get("history") or ()]
        asked = {"role": "user", "content": record["prompt"]}
        if context := record.get("context"):
            if self.context:
                asked["context"] = context
            else:
                asked["content"] += f"\n\n{context}"
        messages.append(asked)
        if answered and record.get("response") is not None:
            messages.append({"role": "assistant", "content": record["response"]})
        return messages

    def render(self, messages: Sequence[Message], *, ask: bool) -> str:
        """The text of messages; with `ask`, up to where the model answers."""
        from transformers.utils.chat_template_utils import render_jinja_template

        rendered: Any = render_jinja_template(
            conversations=[list(messages)],
            chat_template=self.jinja,
            add_generation_prompt=ask,
            **self.tokenizer.special_tokens_map,
        )
        text: str = rendered[0][0]
        return text

    def pieces(self, messages: Sequence[Message], *, last_only: bool = False) -> list[str]:
        """The text of a conversation in parts: a prompt and an answer by turns; last, maybe a prompt alone.

        Special tokens that the template wrote are under their names (see `encoder`). Every prompt but the first
        begins with the token that ends the answer before it. With `last_only`, earlier answers are a part of the
        one prompt.

        Raises `CurateError` when the template has no place for the messages, or does not write them turn by turn.
        """
        if self.pure:
            return self._filled(messages, last_only=last_only)
        held: list[str] = []
        masked = [{**each, "content": self.encoder.masked(each["content"], held)} for each in messages]
        pieces = self._as_if_pure(masked, last_only=last_only) or self._pieces(masked, last_only=last_only)
        return [filled(piece, held) for piece in pieces]

    def _as_if_pure(self, messages: Sequence[Message], *, last_only: bool) -> list[str]:
        """The pieces as they would be if no text mattered, where together they are what the template writes."""
        try:
            pieces = self._filled(messages, last_only=last_only)
        except CurateError:
            return []  # a matter of the texts, or else said of these messages themselves
        answered = messages[-1]["role"] == "assistant"
        ended = "".join(pieces) + (self.encoder.named(self.end) if answered else "")
        written = self._rendered(messages, ask=not answered)
        return pieces if written == ended or (answered and written.startswith(ended)) else []

    def _filled(self, messages: Sequence[Message], *, last_only: bool) -> list[str]:
        """The pieces of messages of the same roles and keys, written once, with these messages' texts."""
        shape: Shape = tuple((message["role"], "context" in message) for message in messages)
        if (shape, last_only) not in self._layouts:
            pieces = self._pieces(_hollow(shape), last_only=last_only)
            self._layouts[shape, last_only] = [_fillable(piece) for piece in pieces]
        texts = [text for message in messages for key, text in message.items() if key != "role"]
        return [piece.format(*texts) for piece in self._layouts[shape, last_only]]

    def _pieces(self, messages: Sequence[Message], *, last_only: bool = False) -> list[str]:
        end = self.encoder.named(self.end)
        pieces: list[str] = []
        done = ""
        for at, message in enumerate(messages):
            answered, last = message["role"] == "assistant", at + 1 == len(messages)
            if not last and (last_only or not answered):
                continue
            asked = self._rendered(messages[: at + (not answered)], ask=True)
            if not asked.startswith(done + end if done else ""):
                raise _RewrittenError(
                    "the chat template writes an earlier answer otherwise than the last one",
                    next='set loss to "last", or choose another template',
                )
            pieces.append(asked[len(done) :])
            if not answered:
                break
            said = self._rendered(messages[: at + 1], ask=False)
            if not said.startswith(asked):
                raise CurateError("the chat template writes a question otherwise once it is answered")
            answer, ended, _ = said[len(asked) :].partition(end)
            said_itself = answer.removesuffix(self.closing)
            if not ended or not said_itself.endswith((message["content"], message["content"].strip())):
                raise CurateError("the chat template does not write an answer, then the token that ends it")
            pieces.append(answer)
            done = asked + answer
        return pieces

    def tried(self) -> Template:
        """The template with what a first rendering tells: how answers begin and end, and if there may be several.

        Raises `PipelineError` when it takes no question with its answer, ends no answer, or changes its text.
        """
        ask, say = {"role": "user", "content": "a"}, {"role": "assistant", "content": f"{HOLE}0{HOLE}"}
        try:
            asked, said = self._rendered([ask], ask=True), self._rendered([ask, say], ask=False)
        except CurateError as error:
            raise self._unfit(f"the chat template takes no question with its answer: {error.what}") from None
        gap, _, after = said.removeprefix(asked).partition(f"{HOLE}0{HOLE}")
        closing, _, ending = after.partition(NAME)
        end = ending.partition(NAME)[0]
        if not said.startswith(asked) or not end:
            raise self._unfit(
                "the tokenizer's chat template writes no special token after an answer: a model would never end"
            )
        end_id = self.tokenizer.convert_tokens_to_ids(end)
        tried = replace(self, end=end, end_id=end_id, gap=gap.replace(NAME, ""), closing=closing)
        vars(tried)["encoder"] = self.encoder  # of a vocabulary of 128,000, it takes seconds to make
        talk = [ask, {"role": "assistant", "content": "b"}, ask]
        try:
            tried.pieces(talk[:2])
        except CurateError as error:
            raise self._unfit(error.what) from None
        try:
            tried.pieces(talk, last_only=True)
        except CurateError:
            vars(tried)["several_turns"] = False
            return tried
        try:
            tried.pieces(talk)
        except _RewrittenError:
            vars(tried)["rewrites"] = True
        return tried

    def _unfit(self, what: str) -> PipelineError:
        return PipelineError(
            what,
            where=_path(self.tokenizer),
            next="choose another template, such as chatml, which brings its tokens",
        )

    def _rendered(self, messages: Sequence[Message], *, ask: bool) -> str:
        from jinja2 import TemplateError

        try:
            return self.encoder.named(self.render(messages, ask=ask))
        except TemplateError as error:
            raise CurateError(str(error)) from None


def template_names() -> list[str]:
    """The names of the templates, that of the tokenizer's own among them."""
    return sorted([*_described(), OWN])


def template_for(name: str, tokenizer: Any, *, pad_token: str = "") -> Template:
    """Make a tokenizer ready, in place: the template's tokens added, padding settled, the template kept in it.

    A tokenizer's own token for padding stays. Where it has none, it is `pad_token`, added if it is unknown.

    Raises `PipelineError` for a name that is not known, a tokenizer in Python alone, one that has no token to
    end an answer or to pad with, and under `own` one without a chat template, or whose template ends no answer.
    """
    load_stack(training=False)
    if name not in template_names():
        raise PipelineError(f"no chat template is called {name!r}", next=nearest(name, template_names()))
    if not getattr(tokenizer, "is_fast", False):
        raise PipelineError(
            "the tokenizer is one in Python alone, which cannot say where special tokens stand",
            next="save it with a tokenizer.json: load it with transformers 5 and call save_pretrained",
        )
    described = _described().get(name, {})
    end = described.get("end") or tokenizer.eos_token
    if name != OWN and not end:
        raise PipelineError(
            f"the tokenizer has no token that ends a text, and the template {name!r} needs one",
            where=_path(tokenizer),
            next="give the tokenizer an eos_token, or choose a template that brings its own: chatml or lima",
        )
    jinja = _own(tokenizer) if name == OWN else _with_bos((FOLDER / f"{name}.jinja").read_text("utf-8"), tokenizer)
    added = _add(tokenizer, described.get("tokens", []))
    if tokenizer.pad_token is None:
        if not pad_token:
            raise PipelineError(
                "the tokenizer has no token to pad with",
                where=_path(tokenizer),
                next="set pad_token: an unused one, or one to be added",
            )
        added += _add(tokenizer, [pad_token])
        tokenizer.pad_token = pad_token
    tokenizer.chat_template = jinja
    known = {key: described[key] for key in ("marks", "context") if key in described}
    return Template(name, jinja, end or "", -1, tuple(added), tokenizer, pure=name != OWN, **known).tried()


def _path(tokenizer: Any) -> str:
    """The folder that a tokenizer was read from, if it was."""
    return str(getattr(tokenizer, "name_or_path", ""))


def _described() -> dict[str, Any]:
    return tomllib.loads((FOLDER / "templates.toml").read_text("utf-8"))


def _own(tokenizer: Any) -> str:
    jinja = tokenizer.chat_template
    if isinstance(jinja, dict):
        jinja = jinja.get("default")
    if not jinja:
        raise PipelineError(
            "the tokenizer has no chat template of its own",
            where=_path(tokenizer),
            next=f"set template to one of {', '.join(each for each in template_names() if each != OWN)}",
        )
    text: str = jinja
    return text


def _with_bos(jinja: str, tokenizer: Any) -> str:
    """The template that begins with what the tokenizer puts before a text by itself."""
    begin, _, rest = jinja.rstrip("\n").partition("\n")
    alone = tokenizer("a")["input_ids"]
    if alone[0] != tokenizer.bos_token_id:
        return rest
    # SentencePiece's tokenizers put a space before a text as well, most of them not after a special token.
    spaced = tokenizer(f"{tokenizer.bos_token}a", add_special_tokens=False)["input_ids"] != alone
    return f"{begin.replace('BOS', 'bos_token').replace(' + SPACE', _SPACE if spaced else '')}\n{rest}"


def _add(tokenizer: Any, tokens: Sequence[str]) -> list[str]:
    """Make the tokens special ones; those that the tokenizer did not know at all."""
    from tokenizers import AddedToken

    known = tokenizer.get_vocab()
    special = [AddedToken(token, special=True, normalized=False) for token in tokens]
    tokenizer.add_tokens(special, special_tokens=True)
    return [token for token in tokens if token not in known]


def _hollow(shape: Shape) -> list[Message]:
    """Messages of a shape, with numbered holes for their texts."""
    messages: list[Message] = []
    holes = iter(range(2 * len(shape)))
    for role, has_context in shape:
        keys = ("content", "context") if has_context else ("content",)
        messages.append({"role": role, **{key: f"{HOLE}{next(holes)}{HOLE}" for key in keys}})
    return messages


def _fillable(piece: str) -> str:
    """A piece with holes as a format string."""
    parts = piece.replace("{", "{{").replace("}", "}}").split(HOLE)
    return "".join(f"{{{part}}}" if at % 2 else part for at, part in enumerate(parts))
