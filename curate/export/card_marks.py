"""Texts of strangers in Markdown: as they stand, and never as markup.

Names, ids and sentences of a card come from data. As CommonMark has it (https://spec.commonmark.org/0.31.2/),
nothing between backticks is markup, and a mark that stands behind a backslash or is written as an entity is none.
A bare address in prose is left as it is, and some readers make a link of it; none does within code.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from curate.chat import visible

_CODE: Final = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_MARK: Final = re.compile(r"[\\`*_~!#<\[\]|]|&(?=#?\w{1,32};)")
# As entities, because of a bar behind a backslash a table would not tell whether it ends a cell, and a bracket
# behind one begins a formula for some readers.
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", "[": "&#91;", "]": "&#93;", "|": "&#124;"}
_BLOCK: Final = re.compile(r"(\d{0,9})([-+.)](?=\s|\Z)|>)")  # what begins a list or a quotation


class Code(NamedTuple):
    """A name, an id or a command, which a table shows as code."""

    text: str


def code(text: str) -> str:
    """A text on one line as code, behind as many backticks as it takes."""
    line = _line(text)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    room = " " * (line.startswith("`") or line.endswith("`"))
    return f"{fence}{room}{line}{room}{fence}" if line else ""


def prose(text: str, *, in_table: bool = False) -> str:
    """A text on one line in which nothing is markup but pairs of backticks, and nothing between those."""
    line = _line(text)
    made, at = "", 0
    for span in _CODE.finditer(line):
        within = span[2].strip()
        made += _escaped(line[at : span.start()])
        made += _escaped(within) if in_table and "|" in within else code(within)
        at = span.end()
    made += _escaped(line[at:])
    begun = None if in_table else _BLOCK.match(made)
    return f"{begun[1]}\\{made[begun.end(1) :]}" if begun else made


def cell(value: str | Code) -> str:
    """A text in a table, where a bar ends the cell even within code: code with a bar is shown as prose."""
    if isinstance(value, str):
        return prose(value, in_table=True)
    return _escaped(_line(value.text)) if "|" in value.text else code(value.text)


def _line(text: str) -> str:
    return visible(" ".join(text.split()))


def _escaped(text: str) -> str:
    return _MARK.sub(lambda mark: _ENTITIES.get(mark[0], f"\\{mark[0]}"), text)
