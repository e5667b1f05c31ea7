"""Rejects responses in which the next tasks of the model's list stand as well."""

from __future__ import annotations

from typing import Final, Literal

from curate.api import Field, Verdict, present, rejects, text

_KINDS: Final = {
    "published": r"(?i:\d{1,2}\.\sInstruction:)",
    "input": r"\d{1,2}\.\sInput:",
    "unnumbered": r"(?:\A|\n)#{0,3}\s?Instruction:[^\n]*\n+\s*(?:Input|Output):",
}

Kind = Literal["published", "input", "unnumbered"]


@rejects
def merged_instructions(
    *, of: Field = "every_response", kinds: tuple[Kind, ...] = ("published", "input", "unnumbered")
) -> Verdict:
    """A response that holds another task: "6. Instruction: …", or an instruction with its input and output.

    Why: Alpaca's model wrote twenty tasks at once, and where it forgot the mark between two of them, the second
    stands in the output of the first. `published` is AlpacaDataCleaned's pattern, a number and "Instruction:"
    (gururise/AlpacaDataCleaned, tools); a number and "Input:", and tasks without a number, are ours.
    Rejects: It is four. 6. Instruction: Name a colour.
    Keeps: The instructions are: stir, pour, wait.
    """
    return present(text(of), "|".join(_KINDS[kind] for kind in kinds))
