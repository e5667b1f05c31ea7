"""The training set as conversations, in the form that chat templates take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.export import Records, exports
from curate.export.rows import Form, frames_of, write_split
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


@exports
def messages(records: Records, split: str, folder: Path) -> list[Path]:
    """Conversations as JSON lines: {"messages": [{"role": …, "content": …}, …]}, with the ids beside them.

    Writes `<split>.jsonl` and `<split>.ids.jsonl` (one `{"id": …}` a line, same order). The system message
    comes first where there is one, then the history, the user's message and the response; a prompt-only
    record ends with the user. A split without records leaves no files, but train leaves empty ones.

    Raises `CurateError` when a record is no conversation (see `fault`) or there is no room, and
    `ReproducibilityError` when what is loaded back is not what was written.
    """
    return write_split(CONVERSATION, _conversations(frames_of(records)), split, folder)


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


def _row_fault(row: Any) -> str:
    return fault(row.get("messages") if isinstance(row, dict) else None)


CONVERSATION: Final = Form(
    "conversation",
    _row_fault,
    "reject them with a rule (`removed` rejects empty texts), or list their ids under `exclude`",
)


def _conversations(frames: Iterable[pl.DataFrame]) -> Iterator[tuple[str, dict[str, Any]]]:
    for frame in frames:
        columns = frame.select("id", "system", "history", message().alias("prompt"), "response")
        for id, system, history, prompt, response in columns.iter_rows():
            conversation = [{"role": "system", "content": system}] if system else []
            conversation += [{"role": turn["role"], "content": turn["text"]} for turn in history or ()]
            conversation.append({"role": "user", "content": prompt})
            if response is not None:
                conversation.append({"role": "assistant", "content": response})
            yield id, {"messages": conversation}
