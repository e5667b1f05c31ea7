"""Rejects answers that begin by refusing the task."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, rejects, text

# What a refusal begins with before it comes to the point.
_SORRY: Final = (
    r"(?:(?:I['’]?m|I am|we are|we['’]re)(?: (?:very|so|really|truly|deeply|terribly))? (?:sorry|afraid)|"
    r"(?:I|we)(?: (?:do|must|sincerely))? apologi[sz]e|(?:my |our )?(?:sincere )?apologies|sorry|unfortunately|"
    r"I regret to (?:say|inform you)|<no ?(?:out|in)put>)"
    r"(?: (?:for|about) (?:the|any) (?:confusion|inconvenience))?[\s,.;:!—–-]*(?:but|however|that)?[\s,]*"
)
_AS_AI: Final = (
    r"(?:(?:as|being|since I['’]?m|since I am|I am|I['’]m) (?:just |only )?an? [^.!?\n,;]*[,;]?\s*"
    r"(?:(?:and|so|but) )?)"
)
_CANNOT: Final = (
    r"(?:(?:simply |also |currently |really |just )?(?:cannot|can['’]?t|can not|"
    r"must (?:respectfully )?(?:decline|refuse)|refuse to|decline to|(?:do not|don['’]t) have)|"
    r"(?:am|['’]m|are|['’]re)(?: currently| simply)? (?:unable|not able|incapable|not capable|not "
    r"(?:allowed|permitted|programmed|designed)))"
)
# What a model is asked for. What a letter declines (to make it, to come, to do so) is not among it.
_ACT: Final = (
    r"(?:(?:to|of|directly|accurately) )*(?:access|answer|assist|book|brows|calculat|complet|compos|comput|creat|"
    r"design|determin|display|draw|edit|engag|estimat|execut|fulfil|generat|giv|help|identify|order|perform|play|"
    r"predict|process|produc|provid|query|reach|respond|retriev|search|send|set|show|speculat|suggest|support|"
    r"translat|view|visit|writ)"
)
_HAVE: Final = r"(?:direct |real-time |the )?(?:access|ability|capabilit|capacity|(?:enough |any )?information)"
_TASK: Final = (
    r"(?:this|the|your|that)(?: (?:type|kind|sort) of)?(?: given)? (?:task|instruction|request|question|prompt|"
    r"input|problem|image|output)"
)
_IN_THE_WAY: Final = r"(?:cannot|unable|not (?:possible|sufficient|enough)|beyond|requires?|involves)"
_IS_NOT: Final = (
    r"(?:cannot|can['’]t|is not (?:possible|suitable|appropriate)|is (?:impossible|beyond)|"
    r"does not (?:meet|provide|contain))"
)
_FIND: Final = r"(?:answer|calculate|complete|create|determine|generate|give|identify|know|predict|provide)"
_GIVEN: Final = r"(?:given|provided|text|information|passage|input)"

_PATTERN: Final = "|".join(
    (
        rf"(?:{_SORRY}{_AS_AI}?|{_AS_AI})?(?:I|we) ?{_CANNOT} (?:{_ACT}|{_HAVE})",
        rf"{_SORRY}(?:I|we) ?{_CANNOT} (?:to )?do (?:that|this|so)\b",
        rf"{_SORRY}{_TASK}?[^.!?\n]*?{_IN_THE_WAY}\b",
        rf"{_SORRY}(?:there (?:is|was|are) (?:no|not)|no |you (?:have not|haven['’]t|did not|didn['’]t))",
        rf"{_TASK} {_IS_NOT}",
        rf"(?:unable to|not able to|cannot|can['’]t) (?:be )?(?:{_ACT})",
        rf"it(?: is|['’]s) (?:not possible|impossible|not feasible|unable) to (?:accurately |correctly )?{_FIND}",
        rf"it is not (?:mentioned|specified|stated|given|clear) (?:in|from|by) (?:the|this) {_GIVEN}",
        r"(?:the model|a language model|an ai)\b[^.!?\n]*?(?:cannot|unable|not able|not capable)",
        r"[^\n]*?(?:GPT|language|AI)(?: language)? models?, (?:I|we) cannot",
        r"no (?:input|image|text|data|information|context|passage)(?: is| was| has been)? (?:provided|given)",
        r"(?:there (?:is|was)|we have) (?:not enough|no|insufficient) (?:information|input|data|context|text)",
    )
)
# Later in a dialogue, where an answer begins is not marked: only what a model alone says is one.
_LATER: Final = (
    rf"\n\n(?:{_SORRY})?as an (?:AI|artificial)[^.!?\n,;]*, ?I {_CANNOT} (?:{_ACT}|{_HAVE})|"
    rf"\n\nI['’]?m sorry, (?:but )?I ?{_CANNOT} (?:{_ACT})"
)
# Remarks after which, or beside which, the answer is given all the same.
_ANSWERED: Final = (
    r"(?i)\b(?:personal|subjective|definitive) (?:opinion|decision|belief|preference|judge?ment)|\bemotions?\b|"
    r"\b(?:exact|precise)\b[^\n]*\b(?:however|but I can)\b|\blegally binding\b|"
    r"\bbut I can (?:still )?(?:give|provide) (?:you )?(?:with )?(?:the|some) information\b"
)


@rejects(languages=("en",))
def refuses(*, of: Field = "every_response") -> Verdict:
    """An answer that begins by refusing the task, or by saying that it cannot be done.

    Why: a model learns to refuse what it could do from refusals of what another model could not: images,
    searches, calls, questions without their input. The opening decides, since a refusal that comes late follows
    an answer; of the later answers of a dialogue, whose beginnings are not marked, only openings that a model
    alone uses. Regret at bad news is none ("I'm sorry to hear that"), nor is an inability that keeps nobody
    from answering ("I don't have feelings, but …"): that is `says_it_is_ai`. A refusal that was asked for, as
    a sample, is rejected too, for an answer alone does not tell. A refusal may be right, so a pipeline that
    wants some of them lifts this rule. The evidence is the sentence.
    Rejects: I'm sorry, but I cannot help with that.
    Rejects: As an AI language model, I am unable to draw a picture.
    Rejects: This task cannot be completed without the table.
    Keeps: I can't recommend this book enough.
    Keeps: I'm sorry to hear that the parcel is late.
    """
    opening = text(of).str.extract(rf"(?i)\A[^\pL<]*(?:{_PATTERN})[^\n]*", 0)
    refused = pl.when(~opening.str.contains(_ANSWERED)).then(opening)
    later = text(of).str.extract(rf"(?i)(?:{_LATER})[^\n]*", 0)
    sentence = pl.coalesce(refused, later).str.strip_chars().str.extract(r"(?s)^.[^.!?\n]*[.!?]?", 0)
    return Verdict(sentence, "present", None)
