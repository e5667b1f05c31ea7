"""A conversation with a model: what it is told of what was said before, and what still fits its window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from curate.train.speech.speaking import Said, Speaker
from curate.train.speech.streaming import Heard

_ROOM: Final = 4  # a quarter of the window is left for an answer that may be as long


@dataclass
class Conversation:
    """What a user and a model say in turn, under the model's template.

    A template with room for one exchange lets each message begin anew. Draws are of the seed (the recipe's, by
    default) and the number of the message, so that the same conversation goes the same way again.
    """

    speaker: Speaker
    system: str = ""
    seed: int | None = None
    exchanges: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    left_out: int = 0  # of the oldest exchanges, for lack of room

    @property
    def several_turns(self) -> bool:
        """Whether the model is told what was said before."""
        return bool(self.speaker.template.several_turns)

    def check(self) -> None:
        """Raise `CurateError` where the template has no place for what the model is told first."""
        if self.system:
            self._prompt("a")

    def forget(self) -> None:
        """Begin anew."""
        self.exchanges, self.asked, self.left_out = [], 0, 0

    def say(self, text: str, heard: Heard) -> Said:
        """What the model answers; `heard` is called with each piece of it.

        Where an answer is interrupted, what was heard of it stays in the conversation.
        """
        pieces: list[str] = []

        def hear(piece: str) -> None:
            pieces.append(piece)
            heard(piece)

        prompt = self._fitting(text)
        self.asked += 1
        try:
            said = self.speaker.answer(prompt, id=f"message:{self.asked}", seed=self.seed, heard=hear)
        except KeyboardInterrupt:
            self._keep(text, "".join(pieces))
            raise
        # A message that is too long by itself would be in the way of all that follow.
        if said.tokens or said.stop != "window":
            self._keep(text, said.text)
        return said

    def _keep(self, text: str, answer: str) -> None:
        if self.several_turns:
            self.exchanges.append((text, answer))

    def _fitting(self, text: str) -> list[int]:
        """The prompt, without as many of the oldest exchanges as it takes to leave room for an answer."""
        prompt = self._prompt(text)
        window, most = self.speaker.window, self.speaker.recipe.max_new_tokens
        while window and self.exchanges and len(prompt) + min(most, window // _ROOM) > window:
            del self.exchanges[0]
            self.left_out += 1
            prompt = self._prompt(text)
        return prompt

    def _prompt(self, text: str) -> list[int]:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for asked, answer in self.exchanges:
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        return self.speaker.prompt([*messages, {"role": "user", "content": text}])
