"""Rejects instructions that name what a language model cannot see, hear or make."""

from __future__ import annotations

import re
from typing import Final, Literal

from curate.api import Field, Verdict, present, rejects, text

_SELF_INSTRUCT: Final = (
    "image",
    "images",
    "graph",
    "graphs",
    "picture",
    "pictures",
    "file",
    "files",
    "map",
    "maps",
    "draw",
    "plot",
    "go to",
)
_WORDS: Final = {
    "self_instruct": _SELF_INSTRUCT,
    "alpaca": (*_SELF_INSTRUCT, "video", "audio", "music", "flowchart", "diagram"),
}


@rejects(languages=("en",))
def beyond_text(
    *, of: Field = "prompt", published: Literal["self_instruct", "alpaca"] = "alpaca", also: tuple[str, ...] = ()
) -> Verdict:
    """An instruction with a word such as image, map, plot or video, which text alone does not answer.

    Why: the published lists of words, as whole words in any case: Self-Instruct's thirteen
    (self_instruct/bootstrap_instructions.py in yizhongw/self-instruct), to which Alpaca adds video, audio, music,
    flowchart and diagram (generate_instruction.py in tatsu-lab/stanford_alpaca). They also lose the plot of a
    novel and a Python file. `also` adds words.
    Rejects: Draw a map of the island.
    Rejects: Go to the shop and buy three apples.
    Keeps: Describe the mapping from roman numerals to numbers.
    """
    words = (*_WORDS[published], *(word for word in also if word))
    return present(text(of), rf"(?i)\b(?:{'|'.join(re.escape(word) for word in words)})\b")
