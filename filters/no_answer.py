"""Rejects responses that say that there is none."""

from __future__ import annotations

from typing import Final

from curate.api import Field, Verdict, present, rejects, text

_SAID: Final = (
    r"(?i:no[ _-]?(?:output|input|response|answer)s?"
    r"(?: (?:is )?(?:required|needed|necessary|provided|given|available))?"
    r"|n/a|not (?:applicable|available)(?: \(?n/a\)?)?"
    r"|output (?:image|graph|chart|video|audio)|\w+ ?\w* (?:cloud|image|chart) output)"
)
# A reason, as in "N/A (it takes a picture)" and "No output - this is drawn".
_REASON: Final = r"(?:\s*\([^()\n]*\)|\s+[-–—]\s[^\n<>]*)?"


@rejects
def no_answer(*, of: Field = "response") -> Verdict:
    """A response that says nothing but that there is none: N/A, No Output, <Output image>.

    Why: AlpacaDataCleaned lists N/A outputs and image tasks answered "<No Output>" among Alpaca's defects
    (gururise/AlpacaDataCleaned, README). "None", "null" and "undefined" are none of them: they may be the answer.
    The evidence is the text.
    Rejects: N/A (this takes a camera)
    Rejects: No output required.
    Keeps: None of the above.
    Keeps: The file has no output.
    """
    nothing = rf"\A[\s<\[({{]*{_SAID}{_REASON}[\s>\])}}.!]*\z"
    return present(text(of), rf"{nothing}|\A\s*<(?i:no[ _-]?output)>[^\n]*\z")
