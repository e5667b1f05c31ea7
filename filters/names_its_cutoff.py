"""Rejects answers that say when their author's knowledge ends."""

from typing import Final

from curate.api import Field, Verdict, present, rejects, text

_KNOWN: Final = r"(?:knowledge|training(?: data)?|information|data(?:base|set)?)"
_UNTIL: Final = r"(?:up (?:to|until|till)|until|till|only (?:up )?to|through|before|as of|as far as)"
_ENDS: Final = (
    r"(?:ends|stops|extends|goes|reaches|was last updated|"
    r"is (?:current|limited|based|only|up))"
)
_TO_A_YEAR: Final = rf"[^.!?\n]*\b{_UNTIL} (?:\w+ )?(?:19|20)[0-9][0-9]\b"
_END: Final = r"(?:knowledge|training|data)(?: data)?[- ](?:cut[- ]?off|cutoff date)"

_PATTERN: Final = "|".join(
    (
        rf"\b(?:my|our|I have an?|with an?|past the|of the)(?: own| current| last)? {_END}\b",
        rf"\b{_END} (?:date )?(?:is|was|of|in) (?:\w+ )?(?:19|20)[0-9][0-9]\b",
        rf"\b(?:as of|since|after|before|beyond) my (?:last|latest) (?:{_KNOWN} )?(?:update|training)\b",
        rf"\bmy {_KNOWN}(?: only)? {_ENDS}\b[^.!?\n]*\b(?:19|20)[0-9][0-9]\b",
        rf"\bI (?:was|am|have been)(?: only| last)? (?:trained|updated)\b{_TO_A_YEAR}",
    )
)


@rejects(languages=("en",))
def names_its_cutoff(*, of: Field = "every_response") -> Verdict:
    """An answer that says up to when its author, a model, was trained.

    Why: the date is another model's, and a model trained on it repeats it whatever its own is. Dates alone are
    none; somebody has to speak of their own knowledge, training or last update.
    Rejects: My knowledge cutoff is September 2021.
    Rejects: As of my last update, the bridge was closed.
    Keeps: The cut-off date for applications is 1 March 2021.
    Keeps: My knowledge of Dutch ends at the numbers.
    """
    return present(text(of), "(?i)" + _PATTERN.replace(r"\b", r"(?-u:\b)"))
