"""Text as it is said, in pieces that never cut a letter in two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Heard = Callable[[str], None]


class Stream:
    """What transformers calls a streamer: the tokens of one answer come in, pieces of text go out.

    A letter may be of several tokens, and until it is whole it is decoded as the replacement character. So nothing
    that ends with one is told before the next token is there.
    """

    def __init__(self, text: Callable[[Sequence[int]], str], heard: Heard) -> None:
        self.text, self.heard = text, heard
        self.ids: list[int] = []
        self.told = ""
        self._ends: list[int] = []
        self._prompt = True

    def open(self, ends: list[int]) -> None:
        """What comes next is a prompt, which is not told."""
        self._ends, self._prompt = ends, True

    def put(self, ids: torch.Tensor) -> None:
        """Tokens, from `generate`."""
        if self._prompt:
            self._prompt = False
            return
        self.ids += [token for token in ids.reshape(-1).tolist() if token not in self._ends]
        self._tell(self.text(self.ids).rstrip("�"))

    def end(self) -> None:
        """`generate` has come to an end; the answer may go on in another call."""

    def close(self, text: str) -> None:
        """The answer is whole: tell what is left of it."""
        self._tell(text)

    def _tell(self, text: str) -> None:
        if len(text) > len(self.told) and text.startswith(self.told):
            self.heard(text[len(self.told) :])
            self.told = text
