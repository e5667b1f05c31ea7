"""Rejects tasks that ask for what lies behind a link."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, rejects, text

_LINK: Final = r"(?i)\b(?:https?://|www\.)[^\s<>\"')\]]+"
# The material is the link, and little besides: "Article: https://…". An instruction may say more before it.
_ALONE: Final = r"(?i)\A[^\n]{0,40}?(?:https?://|www\.)\S+\s*\z"
_AT_THE_END: Final = r"(?i)[:\s](?:https?://|www\.)\S+\s*\z"
# What was to be the link, or put in its place: [Link to article], (insert essay), <attached table>.
_STAND_IN: Final = (
    r"(?i)\A\s*[\[(<]\s*(?:input: ?)?(?:an? |the )?(?:website |article )?"
    r"(?:link to|link|url|insert|attach|attached)\b[^\n\[\]()<>{}=:/]*[\])>]\s*\z"
)
_READS: Final = (
    r"(?i)\b(?:summar\w+|describ\w+|analy[sz]e|classify|evaluate|review|explain|identify|critique|rewrite|"
    r"paraphrase|read|visit|open|click|check|compare|rate|caption|articles?|website|webpage|web page|homepage|"
    r"page|post|blog|video|paper|content|contents|trailer|song|study|artwork|art|painting|photo|pdf|spreadsheet|"
    r"dataset)\b"
)
_ADDRESS: Final = r"(?i)\b(?:URLs?|domain|hyperlink|link)\b"
_BEHIND: Final = (
    r"(?i)\b(?:summar\w+|contents?|visit|open|"
    r"(?:in|on|at|behind|from) (?:the|this|that|a)(?: \w+)? (?:link|url))\b"
)


@rejects(languages=("en",))
def unseen_link(*, of: Field = "context") -> Verdict:
    """A task whose material is a link that nobody opened.

    Why: the first defect that AlpacaDataCleaned lists: the model answered about articles that it never read
    (gururise/AlpacaDataCleaned, README). The rule is ours. The material is no more than a link and up to 40
    characters before it, and the instruction asks for what stands there; or it is a stand-in, as in [link to
    article]. What is done to the address itself, such as finding its domain, is no such task. With
    `of = "prompt"` the link ends an instruction that has no input. The evidence is the link, or the stand-in.
    """
    asked = text("prompt").str.contains(_READS) & (
        ~text("prompt").str.contains(_ADDRESS) | text("prompt").str.contains(_BEHIND)
    )
    if of == "prompt":
        alone = pl.col("context").is_null() & text(of).str.contains(_AT_THE_END)
    else:
        alone = text(of).str.contains(_ALONE)
    link = pl.when(alone & asked).then(text(of).str.extract(f"({_LINK})", 1))
    return Verdict(pl.coalesce(link, text(of).str.extract(_STAND_IN, 0)), "present", None)
