"""Answers of models in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from curate.chat import visible


def spoken(text: str) -> str:
    """The text with its line ends, without what moves a terminal's cursor or turns the text around it."""
    return visible(text)


def typed() -> Iterator[str]:
    """What comes on standard input, line by line as it comes; bytes that are no UTF-8 are replaced."""
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace")


def speak(piece: str) -> None:
    """Write a piece of an answer at once: as it is into a file or pipe, as can be seen on a terminal."""
    sys.stdout.write(spoken(piece) if sys.stdout.isatty() else piece)
    sys.stdout.flush()


def why_stopped(stop: str, tokens: int) -> str:
    """Why an answer has no end, in a few words; nothing where it has one."""
    if stop == "end":
        return ""
    if stop == "window":
        return "the model's window is full" if tokens else "the prompt is longer than the model's window"
    return f"cut off after {tokens:,} tokens, the most that it may say"
