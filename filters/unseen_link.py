"""Rejects tasks that ask for what lies behind a link."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, rejects, text

_LINK: Final = r"(?i)\b(?:https?://|www\.)[^\s<>\"')\]]+"
# The material is the link, and little besides: "Article: https://…".
_ALONE: Final = r"(?i)\A[^\n]{0,40}?(?:https?://|www\.)\S+\s*\z"
_READS: Final = (
    r"(?i)\b(?:summari[sz]e|describe|analy[sz]e|classify|evaluate|review|explain|identify|critique|rewrite|paraphrase|read|visit|"
    r"open|click|check|compare|article|website|webpage|web page|homepage|page|post|blog|video|paper|content)\b"
)


@rejects(languages=("en",))
def unseen_link(*, of: Field = "context") -> Verdict:
    """A task whose material is a link that nobody opened.

    Why: the first defect that AlpacaDataCleaned lists: the model answered about articles that it never read
    (gururise/AlpacaDataCleaned, README). The rule is ours. The material is no more than a link and up to 40
    characters before it, and the instruction asks for what stands there. What is done to the address itself, such
    as finding its domain, is no such task. The evidence is the link.
    """
    asked = text("prompt").str.contains(_READS) & ~text("prompt").str.contains(
        r"(?i)\b(?:URLs?|domain|hyperlink|link)\b"
    )
    alone = text(of).str.contains(_ALONE)
    return Verdict(pl.when(alone & asked).then(text(of).str.extract(f"({_LINK})", 1)), "present", None)
