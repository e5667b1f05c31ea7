"""How responses are written, apart from what they say.

Imitation teaches a model the style of another, its lists, its tone and its length, much sooner than its abilities,
and judges take the one for the other (Gudibande et al., arXiv 2305.15717). So a set's style is counted beside
its diversity, and says nothing good or bad of it.
"""

from __future__ import annotations

import polars as pl

from curate.metrics.shares import PROMPT, RESPONSE, share
from curate.metrics.words import WORD

# Where a response begins, and how much of it is asked about openings.
_OPENING = RESPONSE.str.slice(0, 300)
_WORDS_OF_OPENING = 8
_RESTATED = 6


@share("Responses with a list", kind="style")
def lists() -> pl.Expr:
    """Share of responses with a list: two lines or more with a number or a bullet in front.

    Formula: responses with two lines that begin with a number and a point or bracket, or with a
    bullet (-, * or •) / responses
    Source: lists as a mark of style, Gudibande et al., arXiv 2305.15717
    """
    return RESPONSE.str.count_matches(r"(?m)^[ \t]*(?:\d{1,3}[.)]|[-*•])[ \t]*\S") >= 2


@share("Responses with headings", kind="style")
def headings() -> pl.Expr:
    """Share of responses with a heading in Markdown.

    Formula: responses with a line that begins with one to six # and a blank / responses
    Source: ours, after Gudibande et al., arXiv 2305.15717
    """
    return RESPONSE.str.contains(r"(?m)^#{1,6} \S")


@share("Responses with code", kind="style")
def code_blocks() -> pl.Expr:
    """Share of responses with a fenced block of code.

    Formula: responses with a line that begins with three backticks / responses
    Source: ours, after Gudibande et al., arXiv 2305.15717
    """
    return RESPONSE.str.contains(r"(?m)^[ \t]*```")


@share("Responses with bold text", kind="style")
def bold() -> pl.Expr:
    """Share of responses with text in bold, in Markdown.

    Formula: responses with text between two pairs of asterisks / responses
    Source: ours, after Gudibande et al., arXiv 2305.15717
    """
    return RESPONSE.str.contains(r"\*\*[^*\s](?:[^*\n]*[^*\s])?\*\*")


@share("Responses of several paragraphs", kind="style")
def paragraphs() -> pl.Expr:
    """Share of responses with a blank line within.

    Formula: responses with two line ends in a row between texts / responses
    Source: ours, after Gudibande et al., arXiv 2305.15717
    """
    return RESPONSE.str.strip_chars().str.contains(r"\n[ \t]*\n")


@share("Responses that open with a courtesy", kind="style")
def courtesies() -> pl.Expr:
    """Share of responses that begin by agreeing, thanking or praising instead of answering.

    Formula: responses that begin with sure, certainly, of course, absolutely, great question, thank you for
    asking, I'd be happy to and the like / responses
    Source: ours, after the tone in Gudibande et al., arXiv 2305.15717
    """
    agreed = r"(?:sure|certainly|of course|absolutely|definitely|gladly|no problem)(?: thing)?\b[!,.:\s—–-]"
    fine = r"(?:great|good|excellent|interesting|fantastic|wonderful)"
    praised = rf"(?:that(?:['’]s| is) )?(?:an? )?{fine} (?:question|point|idea)"
    thanked = r"(?:thank you|thanks) (?:so much )?for (?:asking|your (?:question|request))"
    offered = (
        r"I(?:['’]d| would) be (?:happy|glad|delighted) to\b|I(?:['’]m| am) (?:happy|glad) to help\b|happy to help"
    )
    return _OPENING.str.contains(rf"(?i)\A\s*(?:{agreed}|{praised}|{thanked}|{offered})")


@share("Responses that open with the prompt's words", kind="style")
def restatements() -> pl.Expr:
    """Share of responses whose first eight words are mostly the prompt's own.

    Formula: responses of eight words and more of which six of the distinct first eight are in the prompt /
    responses
    Source: ours, after Gudibande et al., arXiv 2305.15717
    """
    said = _OPENING.str.to_lowercase().str.extract_all(WORD).list.head(_WORDS_OF_OPENING)
    asked = PROMPT.str.slice(0, 1000).str.to_lowercase().str.extract_all(WORD)
    return (said.list.len() == _WORDS_OF_OPENING) & (said.list.set_intersection(asked).list.len() >= _RESTATED)


@share("Responses that end with a summary", kind="style")
def summaries() -> pl.Expr:
    """Share of responses whose last paragraph sums up.

    Formula: responses whose last paragraph, not the first, begins with in conclusion, overall, in
    summary, to sum up, ultimately, … / responses
    Source: the summary paragraph as a mark of style, Gudibande et al., arXiv 2305.15717
    """
    ended = r"in (?:conclusion|summary|short|sum|general)|to (?:sum up|summari[sz]e|conclude)"
    return RESPONSE.str.contains(rf"(?i)\n[ \t]*(?:{ended}|overall|ultimately|all in all)\b[^\n]*\s*\z")


@share("Responses in the first person", kind="style")
def first_persons() -> pl.Expr:
    """Share of responses that say I, my or me, whoever speaks: a letter that was asked for counts too.

    The filter `first_person` tells numerals and kings apart; this is for comparing sets.

    Formula: responses with the word I (World War I too), I'm, I've, I'd, I'll, my, me, myself / responses
    Source: ours, after LIMA's rule, Zhou et al., arXiv 2305.11206, section 2.1
    """
    return RESPONSE.str.contains(
        r"(?:^|[\s(\"“'‘*])(?:I(?:['’](?:m|ve|d|ll))?[\s,]|[Mm]y\s|[Mm]e[\s.,;!?]|[Mm]yself\b)"
    )


@share("Responses that hedge", kind="style")
def hedges() -> pl.Expr:
    """Share of responses that say perhaps, might, it seems and the like: an unsure tone.

    The imitation study's contrary, an authoritative tone, was told by a model; this counts words.

    Formula: responses with perhaps, maybe, might, possibly, probably, it seems, it depends, likely … / responses
    Source: ours, after the tone in Gudibande et al., arXiv 2305.15717
    """
    unsure = r"perhaps|maybe|might|possibly|probably|presumably|arguably|not sure|it depends|it is possible"
    seems = (
        r"(?:it|this|that|there) (?:seems?|appears?)|(?:is|are) likely|could be|I (?:think|believe|guess|suppose)"
    )
    return RESPONSE.str.contains(rf"(?i)\b(?:{unsure}|{seems})\b")


@share("Responses that exclaim", kind="style")
def exclamations() -> pl.Expr:
    """Share of responses with an exclamation mark behind a word.

    Formula: responses with a letter, bracket or quote before ! and no = behind it / responses
    Source: ours, after the tone in Gudibande et al., arXiv 2305.15717
    """
    return RESPONSE.str.contains(r"[\pL)\"”’'][!！](?:[^=]|\z)")
