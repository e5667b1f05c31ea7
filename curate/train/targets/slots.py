"""A chat template as LLaMA-Factory has them: a text with a place for the content, for each role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from curate.errors import CurateError, PipelineError

if TYPE_CHECKING:
    from curate.train.rows.templates import Message, Template

CONTENT: Final = "{{content}}"
NAME: Final = "curate"
_ASKED: Final = ("first question", "second question")
_SAID: Final = "an answer"
_SYSTEM: Final = "a system message"


def slots(template: Template) -> dict[str, str]:
    """What is written for each role, found by rendering a conversation.

    `prefix` comes once, then `system` or its default, then `user` and `assistant` by turns; `end` ends a turn.

    Raises `PipelineError` for a template that writes a first turn otherwise than later ones.
    """
    ask, again = ({"role": "user", "content": text} for text in _ASKED)
    say = {"role": "assistant", "content": _SAID}
    first = template.render([ask], ask=True)
    whole = template.render([ask, say], ask=False)
    user = first
    if template.several_turns:
        second = template.render([ask, say, again], ask=True)
        user = second.removeprefix(whole).replace(_ASKED[1], CONTENT)
        if user == second or not first.endswith(user.replace(CONTENT, _ASKED[0])):
            raise _otherwise(template)
    else:
        user = _without_bos(template, first).replace(_ASKED[0], CONTENT)
    before = first.removesuffix(user.replace(CONTENT, _ASKED[0]))
    prefix = before[: len(before) - len(_without_bos(template, before))]
    system = _system(template, ask, prefix, user)
    default = before.removeprefix(prefix)
    if default and (not system or not default.endswith(system.removeprefix(CONTENT))):
        prefix, default = before, ""
    return {
        "name": NAME,
        "prefix": prefix,
        "system": system,
        "default_system": default.removesuffix(system.removeprefix(CONTENT)) if default else "",
        "user": user,
        "assistant": whole.removeprefix(first).replace(_SAID, CONTENT),
        "end": template.end,
    }


def _system(template: Template, ask: Message, prefix: str, user: str) -> str:
    """What is written for a system message; nothing under a template that has no place for one."""
    from jinja2 import TemplateError

    try:
        given = template.render([{"role": "system", "content": _SYSTEM}, ask], ask=True)
    except (TemplateError, CurateError):
        return ""
    tail = user.replace(CONTENT, ask["content"])
    if not given.endswith(tail) or _SYSTEM not in given:
        return ""
    return given.removesuffix(tail).removeprefix(prefix).replace(_SYSTEM, CONTENT)


def _without_bos(template: Template, text: str) -> str:
    bos = template.tokenizer.bos_token
    return text.removeprefix(bos) if bos else text


def _otherwise(template: Template) -> PipelineError:
    return PipelineError(
        f"LLaMA-Factory cannot have the template {template.name!r}: it writes a first turn unlike later ones",
        next="take the exact form, without --editable",
    )
