"""Rejects responses that say that there is none."""

from __future__ import annotations

from typing import Final

from curate.api import Field, Verdict, present, rejects, text

_SAID: Final = (
    r"(?i:no[ _-]?(?:output|response|answer)s?(?: (?:is )?(?:required|needed|necessary|provided|given|available))?"
    r"|n/a|not (?:applicable|available)(?: \(?n/a\)?)?|null|nan|undefined"
    r"|output (?:image|graph|chart|video|audio)|\w+ ?\w* (?:cloud|image|chart) output)"
)
# A reason in brackets, as in "N/A (it takes a picture)".
_REASON: Final = r"(?:\s*\([^()\n]*\))?"


@rejects
def no_answer(*, of: Field = "response") -> Verdict:
    """A response that says nothing but that there is none: N/A, No Output, <Output image>.

    Why: AlpacaDataCleaned lists N/A outputs and image tasks answered "<No Output>" among Alpaca's defects
    (gururise/AlpacaDataCleaned, README). "None" is none of them: it may be the answer. The evidence is the text.
    Rejects: N/A (this takes a camera)
    Rejects: No output required.
    Keeps: None of the above.
    Keeps: The file has no output.
    """
    return present(text(of), rf"\A[\s<\[({{]*{_SAID}{_REASON}[\s>\])}}.!]*\z")
