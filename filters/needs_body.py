"""Rejects questions whose title cannot be answered without the text below it."""

from __future__ import annotations

from typing import Final, Literal, get_args

import polars as pl

from curate.api import Field, Verdict, rejects, text

Kind = Literal["asks_nothing", "points", "personal"]

# What a question or a request begins with, after an opening such as "Quantum walks:" or "In beer, ". Without a
# question mark, "Can't" and "Doesn't" tell of a failure instead.
_ASKS: Final = (
    "how|what|what's|whats|why|when|where|which|who|whom|whose|is|are|am|was|were|do|does|did|can|could|should|"
    "would|will|has|have|had|may|might|must|shall|explain|describe|compare|prove|show|find|list|name|calculate|"
    "compute|give|tell|write|suggest|recommend|recommendations?|looking for|ways? to|best|advice|tips|any|build|"
    "compile|configure|construct|convert|create|decrypt|derive|detect|determine|encrypt|evaluate|extract|generate|"
    "implement|install|parse|remove|replace|simplify|solve"
)
# Nouns that ask wherever they stand: "Difference between A and B", "Dry cider recommendations".
_ASKED_FOR: Final = (
    "vs|versus|differences? (?:between|of|in)|comparison|recomm?endations?|recommended|alternatives|"
    "an? alternative|alternative (?:to|for)|substitutes? for|similar to|something like|examples? of|"
    "references? (?:for|on|to)|resources? (?:for|on)|introduct(?:ion|ory material) (?:for|on|to)|"
    "prerequisites?|requirements? for|guidelines? for|techniques? (?:for|to)|good [a-z]+ (?:for|on|to)|"
    "(?:purpose|meaning|definition|pronunciation|significance|necessity|history|availability) of|"
    "intuition (?:for|behind)|(?:simple|simplified|intuitive) explanation|(?:origins?|advantages?|benefits?) of|"
    "causes? (?:for|of)|reasons? (?:for|behind)|(?:effects?|impact|influence) of .* on|"
    "pros and cons|do's and don'ts|shelf life|(?:minimum|maximum|optimal|ideal|right|typical|average) [a-z]+|"
    "most [a-z]+ way|state of the art|lists? of|recipes? for"
)
# A whole word: what follows "can" in "can't" makes it another.
_ASKS_HERE: Final = rf"(?:{_ASKS})(?:\s|\pP?$|[,;:/(])"
_QUESTION: Final = rf"(?i)\?|^\W*{_ASKS_HERE}|[:,;–—-]\s+{_ASKS_HERE}|\b(?:{_ASKED_FOR})\b".replace(
    "'", "['’]"
).replace(" ", r"\s+")
_FAILED: Final = r"(?i)^\W*can\s+no\s+longer\b"

# Words that point at what is not in the title.
_POINTS: Final = (
    r"(?i)\b(?:this|these|those)\b(?:\s+\w+)?|\bfollowing\b|\bthe\s+(?:above|below)\b|\bhere\W*$|"
    r"\b(?:attached|screenshot|(?:pictured?|photo|image)\b\W*$)|\b(?:please|need|want|some)\s+help\b|"
    r"^\W*(?:(?:quick|simple|another|some|few|two|basic|newbie|beginner)\s+)*questions?\b|^\W*help\b"
)
# The same words where they do not: at the calendar, at a quoted word, at a question before, at the site itself.
_POINTS_INSIDE: Final = (
    r"(?i)\bth(?:is|ese)\s+(?:year|month|week|season|century|days|(?:web)?site|forum|community)\b|"
    r"\bthose\s+(?:that|who|which|of|with|in|[a-z]+ing)\b|\bth(?:is|ese)\s+[\"“'‘«]|\?.*\b(?:this|these|those)\b|"
    r"\bwriting\s+this\b|\b(?:topic|allowed|accepted|acceptable|appropriate|welcome|ok|okay)\s+here\b"
)

# What only the asker has, and what went wrong with it. "How do I store my beer?" is anybody's.
_PERSONAL: Final = (
    r"(?i)\bwhy\b[^?]*\bmy\s+\w+|\bwrong\s+with\s+(?:my|the)\b|\b(?:i\s+am|am\s+i|i['’]m)\s+(?:doing\s+wrong|missing)\b|"
    r"\bdoing\s+wrong\b|\bmy\s+(?:\w+\s+)?(?:app|application|approach|attempt|class|code|function|homework|"
    r"implementation|loop|method|page|program|proof|project|query|reasoning|scenario|script|setup|situation|"
    r"solution|test|understanding)\b"
)


@rejects(languages=("en",))
def needs_body(*, of: Field = "title", kinds: tuple[Kind, ...] = get_args(Kind)) -> Verdict:
    """A title that does not stand on its own: it asks nothing, or points at what only the text below it says.

    Why: LIMA takes the questions that are "self-contained in the title" (arXiv 2305.11206, §2.1) and gives no
    procedure. This one is ours: `asks_nothing` is a title without a question mark that neither begins like a
    question or a request nor names what is wanted ("difference between", "alternatives"); `points` one with
    "this error", "the following", "here", "some questions"; `personal` one about the asker's own case ("my
    code", "why did my"). The evidence is the words that were found, or the title that asks nothing.
    Rejects: What is this sediment from the wine?
    Rejects: Busch Bavarian beer can
    Rejects: Why does my query return nothing?
    Keeps: Why are dubbels generally dark while most tripels are not?
    Keeps: How to select whiskies without trying them first
    Keeps: Difference between an ale and a bitter
    """
    title = text(of)
    found = {
        "points": title.str.replace_all(_POINTS_INSIDE, "").str.extract(f"({_POINTS})", 1).str.strip_chars(),
        "personal": title.str.extract(_PERSONAL, 0),
        "asks_nothing": pl.when(~title.str.contains(_QUESTION) | title.str.contains(_FAILED)).then(title),
    }
    return Verdict(pl.coalesce(found[kind] for kind in kinds), "present", None)
