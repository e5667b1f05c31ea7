"""Rejects text that holds the place of another."""

from typing import Final, Literal

from curate.api import Field, Verdict, present, prose, rejects

_PATTERNS: Final = {
    "lorem_ipsum": r"(?i-u:lorem ipsum)",
    "blanks": (
        r"(?i:[\[<{](?:your|my|insert|enter|add|company|recipient(?:['’]s)?|sender(?:['’]s)?|customer(?:['’]s)?)"
        r"(?: [\w'’/-]+){0,5}[\]>}])"
    ),
}

Kind = Literal["lorem_ipsum", "blanks"]


@rejects
def placeholder_text(*, of: Field = "every_response", kinds: tuple[Kind, ...] = ("lorem_ipsum",)) -> Verdict:
    """Text that only holds the place of another: "lorem ipsum", or by choice blanks such as [Your Name].

    Why: C4 removes pages with "lorem ipsum" in them (Raffel et al., arXiv 1910.10683, §2.2). `blanks` is ours
    and no default: [Your Name] is what a template was asked to have. Code and quotations do not count.
    Rejects: Lorem ipsum dolor sit amet, consectetur.
    Keeps: Dear [Your Name], thank you for the lamp.
    """
    return present(prose(of), "|".join(_PATTERNS[kind] for kind in kinds))
