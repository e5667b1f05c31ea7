"""Records as conversations of messages with role and content: what most forms are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import polars as pl

from curate.export.rows import Form
from curate.record import message

# Who may speak after whom; a conversation opens with the system or the user, and the system speaks once.
_AFTER: Final = {
    "": ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("assistant", "tool"),
}
_ROLES: Final = _AFTER.keys() - {""}

_NEXT: Final = "reject them with a rule (`removed` rejects empty texts), or list their ids under `exclude`"

Message = dict[str, str]


def conversations(
    frames: Iterable[pl.DataFrame], *, answered: bool = False
) -> Iterator[tuple[str, list[Message]]]:
    """The messages of each record with its id: system, history, the user's message and the response.

    A record without a response ends with the user; where all must be `answered`, it is left out.
    """
    for frame in frames:
        columns = frame.select("id", "system", "history", message().alias("prompt"), "response")
        for id, system, history, prompt, response in columns.iter_rows():
            if answered and response is None:
                continue
            turns = [{"role": "system", "content": system}] if system else []
            turns += [{"role": turn["role"], "content": turn["text"]} for turn in history or ()]
            turns.append({"role": "user", "content": prompt})
            if response is not None:
                turns.append({"role": "assistant", "content": response})
            yield id, turns


def fault(conversation: Any) -> str:
    """What keeps messages from being a conversation that a chat template takes; empty when nothing does.

    A text must not be empty, a role must be known, and the user and the assistant must take turns, with tools
    answering the assistant. The last to speak is the assistant, or the user whom nobody has answered yet.
    """
    if not isinstance(conversation, list):
        return "no messages"
    before = ""
    for turn in conversation:
        if not isinstance(turn, dict) or turn.keys() != {"role", "content"}:
            return "a message without role and content"
        role, content = turn["role"], turn["content"]
        if role not in _ROLES:
            return f"the role {role!r}"
        if role not in _AFTER[before]:
            return f"{role} after {before}" if before else f"{role} speaks first"
        if not isinstance(content, str) or not content.strip():
            return f"{role} says nothing"
        before = role
    return "" if before in ("user", "assistant") else "it does not end with the user or the assistant"


def answered_fault(conversation: Any) -> str:
    """What keeps messages from being a conversation that the assistant ends; empty when nothing does."""
    found = fault(conversation)
    if found or conversation[-1]["role"] == "assistant":
        return found
    return "nobody answers the user"


def _row_fault(row: Any) -> str:
    return fault(row.get("messages") if isinstance(row, dict) else None)


def _answered_row_fault(row: Any) -> str:
    if isinstance(row, dict) and row.keys() - {"messages"}:
        return f"it has {', '.join(sorted(row.keys() - {'messages'}))}"
    return answered_fault(row.get("messages") if isinstance(row, dict) else None)


CONVERSATION: Final = Form("conversation", _row_fault, _NEXT)

# What is to be trained on, and nothing besides: keys that a reader does not know stop some, and mislead others.
EXAMPLE: Final = Form("answered conversation", _answered_row_fault, _NEXT)
