"""Rejects, or masks, e-mail addresses."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, rejects, spans, text

_WORD: Final = r"[\p{Latin}0-9_]"
_LOCAL: Final = rf"{_WORD}[\p{{Latin}}0-9._%+'&-]*"
_LABEL: Final = r"[\p{Latin}0-9](?:[\p{Latin}0-9-]*[\p{Latin}0-9])?"
_TOP: Final = r"(?:xn--[a-z0-9-]*[a-z0-9]|[A-Za-z]{2,24})"
_AT: Final = r"[ \t]*[\[({][ \t]*(?:at|AT|At|@)[ \t]*[\])}][ \t]*"
_DOT: Final = r"(?:\.|[ \t]*[\[({][ \t]*(?:dot|DOT|Dot|\.)[ \t]*[\])}][ \t]*)"
# A login in an address of the web (https://name:word@host) and a name on another site (@name@host) come first, so
# that no e-mail address is found inside them. A bracket behind is a call: q@k.transpose(…) multiplies.
_PATTERN: Final = (
    rf"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@]*@[^\s/]*"
    rf"|@?{_LOCAL}@(?:{_LABEL}\.)+{_TOP}\(?"
    rf"|{_LOCAL}{_AT}{_LABEL}(?:{_DOT}{_LABEL})*{_DOT}{_TOP}"
)
_NO_ADDRESS: Final = (
    r"^@|://|\($"
    r"|^(?:git|hg|svn)@"  # whoever clones a repository
    r"|@[1-9]x\.[a-z]+$"  # icon@2x.png is a picture
)
_RESERVED: Final = (
    r"(?i)[@.\])} \t](?:example(?:\.[a-z]{2,})+|[a-z0-9-]+\.(?:example|test|invalid|localhost|local|internal))$"
)


@rejects
def email_address(*, of: Field = "conversation", reserved: bool = False, mask_with: str = "<email>") -> Verdict:
    """An e-mail address, also one disguised as name [at] domain [dot] com.

    Why: an address leads to a person, and a model that learns it may say it (arXiv 2012.07805). Domains named
    "example" and those under .example, .test, .invalid and .localhost are nobody's (RFC 2606), nor are .local
    (RFC 6762) and .internal: they count with `reserved`. What clones a repository (git@host), logs in to a site or
    names someone on one (@name@host) is no e-mail address.
    Rejects: Write to maria.keller@uni-freiburg.de for the data.
    Rejects: Write to mkeller [at] posteo [dot] de instead.
    Keeps: Put your own address in place of jane@example.com, then clone git@github.com:pola-rs/polars.git.
    """
    return spans(text(of), _PATTERN, lambda match: _address(match, reserved=reserved), mask_with=mask_with)


def _address(match: pl.Expr, *, reserved: bool) -> pl.Expr:
    no_fault = match.str.contains(_NO_ADDRESS)
    if not reserved:
        no_fault = no_fault | match.str.contains(_RESERVED)
    return pl.when(~no_fault).then(match)
