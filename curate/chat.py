"""A conversation as a notebook shows it: escaped, in the colours of whatever theme, and never taken for markup.

Nothing here has a colour or a background of its own, so that texts are read as well on a dark page as on a light
one. Texts come from anywhere: they are escaped, kept from turning the direction of what stands around them, and
marked as none of MathJax's business, which would read two prices as a formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final, NamedTuple

# Characters that cannot be seen, are not allowed in HTML, or turn the text around them.
_HIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")
CHARS: Final = 1_200  # of a turn that are shown before it has to be opened

# One for MathJax 2, which nbconvert loads, and one for MathJax 3 of JupyterLab.
NO_MATHS: Final = "tex2jax_ignore mathjax_ignore"
_EDGE: Final = "border-left:3px solid currentColor;padding:0 0 0 .7em;margin:.4em 0"
_TEXT: Final = "white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;text-align:start"
_QUIET: Final = "opacity:.7;font-size:85%"
LEFT: Final = "text-align:left;vertical-align:top"
# Said in full, because in a widget no style sheet of the notebook applies.
RIGHT: Final = "text-align:right;padding:0 .6em"


class Turn(NamedTuple):
    """Who says what."""

    role: str
    text: str


def turns_of(record: Mapping[str, Any]) -> tuple[Turn, ...]:
    """All that a record says, in order: system, earlier turns, the user's message and the answer."""
    turns = [Turn("system", record["system"])] if record["system"] else []
    turns += [Turn(each["role"], each["text"] or "") for each in record["history"] or ()]
    prompt, context = record["prompt"] or "", record["context"]
    turns.append(Turn("user", f"{prompt}\n\n{context}" if context else prompt))
    if record["response"] is not None:
        turns.append(Turn("assistant", record["response"]))
    return tuple(turns)


def chat(turns: Iterable[Turn], *, chars: int = CHARS) -> str:
    """The turns as HTML, one under the other; what goes beyond so many characters of each is behind a fold."""
    return "".join(
        f"<div style='{_EDGE}'><div style='{_QUIET}'>{escape(turn.role)}</div>{text_html(turn.text, chars)}</div>"
        for turn in turns
    )


def text_html(text: str, chars: int = CHARS) -> str:
    """A text with its line ends, of which the part beyond so many characters is behind a fold."""
    shown = _block(text[:chars])
    if len(text) <= chars:
        return shown
    return (
        f"{shown}<details><summary>{len(text) - chars:,} more characters</summary>{_block(text[chars:])}</details>"
    )


def _block(text: str) -> str:
    return f"<div dir='auto' class='{NO_MATHS}' style='{_TEXT}'>{escape(visible(text))}</div>"


def visible(text: str) -> str:
    """The text with each character that hides or turns others written as its code point."""
    return _HIDDEN.sub(lambda hidden: f"⟨U+{ord(hidden[0]):04X}⟩", text)


def rows_html(rows: Iterable[tuple[str, str]]) -> str:
    """A table of a name and a value a row, both of which are escaped."""
    cells = "".join(
        f"<tr><th style='{LEFT}'>{escape(name)}</th><td class='{NO_MATHS}' style='{LEFT};overflow-wrap:anywhere'>"
        f"<bdi>{escape(visible(value))}</bdi></td></tr>"
        for name, value in rows
    )
    return f"<table>{cells}</table>"


def link(url: str | None, name: str) -> str:
    """A name that leads to an address, if that is one of the web; else the name alone."""
    shown = f"<bdi>{escape(name)}</bdi>"
    if not url or not re.match(r"https?://", url):
        return shown
    return f"<a href='{escape(url)}' rel='noopener noreferrer nofollow' target='_blank'>{shown}</a>"
