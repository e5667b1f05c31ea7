"""Texts of strangers in a terminal."""

from __future__ import annotations


def visible(text: str) -> str:
    """The text without what moves a terminal's cursor or changes its colours."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
