"""Rejects text in which its author speaks of themself."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, prose, rejects

# Verbs and adverbs that follow a speaker's "I" whatever stands before it: no king and no numeral takes them.
_SURE: Final = (
    r"am|agree|apologi[sz]e|appreciate|ask|assume|believe|bet|buy|call|care|choose|come|consider|disagree|do|doubt|"
    r"drink|drive|eat|enjoy|expect|fear|feel|figure|find|forget|get|give|go|guess|hate|hear|hope|imagine|intend|"
    r"keep|know|like|live|look|love|make|mean|need|notice|owe|own|personally|play|prefer|pretty|promise|put|read|"
    r"really|recall|recommend|regret|remember|run|say|see|sit|speak|spend|stand|start|suggest|suppose|suspect|"
    r"swear|take|talk|teach|tend|thank|think|thought|trust|try|understand|use|usually|vote|wait|walk|want|watch|"
    r"wear|wish|wonder|work|worry|write|[a-z]+n['’]t"
)
# And those that follow it after a common noun, as in "the book I bought".
_LIKELY: Final = (
    r"actually|added|already|also|always|asked|bought|came|can|could|created|describe|described|did|ended|ever|"
    r"felt|first|found|gave|generally|got|had|have|heard|just|knew|last|learned|learnt|liked|linked|listed|loved|made|"
    r"may|mention|mentioned|met|might|must|never|normally|often|once|ordered|originally|picked|posted|quoted|saw|"
    r"should|showed|still|suggested|took|tried|used|visited|want(?:ed)?|was|watched|went|were|will|work(?:ed)?|"
    r"would|wrote"
)
# And those that follow it after a name, as in "with Python I can"; what a king did is mostly told in the past.
_HARDLY_A_KING: Final = r"can|could|have|might|must|should|started|will|would"
# Words before "I" that make it a numeral or a symbol, unless a verb says otherwise.
_NUMBERED: Final = (
    r"act|algebra|algorithm|angiotensin|annex|appendix|army|article|axis|bipolar|book|calculus|capital|case|"
    r"category|chapter|class|collagen|column|complex|component|corps|course|current|cycle|dimension|district|"
    r"division|element|episode|equation|exhibit|factor|figure|gate|gen|generation|grade|group|hepatitis|ideal|"
    r"identity|intensity|interferon|interval|lesson|letters?|level|line|mark|matrix|method|model|module|moment|"
    r"mortal|numeral|operator|option|part|period|phase|photosystem|physics|point|polymerase|pope|protocol|region|"
    r"round|row|scene|schedule|season|section|semester|series|set|stage|step|symbol|system|table|tier|title|"
    r"topoisomerase|type|unit|uppercase|variable|variant|version|vitamin|vol|volume|vowels?|war|ww|year|zone"
)
# Capitalised words that begin a clause; any other before "I" is taken for a name: Henry I, Napoleon I.
_OPENER: Final = (
    r"After|Again|Ah|All|Also|Although|Am|And|Anyway|Are|As|At least|Be|Because|Before|But|Can|Could|Did|Do|Does|"
    r"Don['’]t|Else|Even|Ever|Every\w*|First|For|From|Had|Have|Here|Hence|Hi|How|However|If|In fact|Indeed|"
    r"Instead|Last|Lately|Later|Like|Lol|May|Maybe|Might|Must|Next|Nor|Nothing|Now|Oh|OK|Ok|Okay|Once|One|Only|"
    r"Or|Otherwise|Perhaps|Plus|Second|Shall|Should|Similarly|Since|So|Some\w*|Soon|Still|Such|Sure|Than|That|"
    r"Then|There|Therefore|This|Third|Though|Through|Thus|Till|Today|Tomorrow|Tonight|Too|Unless|Until|Was|Were|"
    r"Well|What\w*|When\w*|Where\w*|Whether|Which|While|Whilst|Who\w*|Why|Will|With|Would|Yes|Yesterday|Yet|"
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|January|February|March|April|June|July|August|September|October|"
    r"November|December|\p{Lu}\w*ly"
)
# What no speaker says next: "is", "has" and other verbs in the third person, and what continues a phrase.
_NOT_NEXT: Final = (
    r"a|an|and|are|as|at|be|but|by|during|for|from|has|in|into|is|it|nor|of|on|or|that|the|through|to|"
    r"under|versus|vs|where|which|who|with|\pL*[^\Ws]s"
)
_NEXT_AFTER_ALL: Final = r"always|focus|perhaps|sometimes|thus|was|discuss|process|access|nevertheless|regardless"

# "I" with the word before it and the word after it: enough to tell who it is.
_BEFORE: Final = r"(?:^|[\s(\[*_—–…]|\S+[ \t]+[(\[*_]*)"
_AFTER: Final = r"[*_]*(?:[ \t]+|[ \t]*\n[ \t]*)[*_]*\pL[\pL'’]*"
_END: Final = r"(?:[\s,;:!?)*_…—–]|\.(?:[\s)]|$)|$)"
_OPEN: Final = r"(?:^|[\s(\[*_—–…])"
_I: Final = (
    _BEFORE + "I for one" + _END,
    _BEFORE + "I" + _AFTER,
    # After "and", a full stop is the end only where a paragraph ends; elsewhere it may be somebody's initial.
    r"(?:than|as) I[.,;:!?)]|[Aa]nd I(?:[,;:!?)]|\.\s*(?:\n|$))",
    _OPEN + r"I, (?:too|for one|personally|however|myself|like|also|at least|of course|on the other hand)" + _END,
    _OPEN + rf"i[ \t]+(?:{_SURE}|{_LIKELY})" + _END,
)
_SINGULAR: Final = (
    _OPEN + r"[Mm]y[*_]*\s+[*_]*[\pL\pN]+",
    _OPEN + r"(?:[Mm]e|[Mm]yself)" + _END,
    r"(?:of|than|like|as) mine" + _END,
    r"(?:^|[.!?,;:(]\s*|\n|\s(?:and|but|while)\s+)[Mm]ine (?:is|was|are|were|has|had|did|does|came|got)" + _END,
)
_CONTRACTED: Final = (
    _OPEN + r"[Ii]['’](?:m|ve|d|ll)" + _END,
    # Nothing is left of the pronoun but a letter, or the formula that it is left out of.
    _OPEN + r"(?:IMHO|imho|AFAIK|afaik|AFAICT|IIRC|iirc|IDK|idk)(?:[,.;:!?)]|\s+\p{Ll}+|$)",
    r"(?:^|[.!?,;:]\s+|\n)(?:IMO|imo)(?:,\s|\s+\p{Ll}+)",
    r"(?:^|[.!?)]\s+|\n)Hope (?:this|that|it) helps",
)
_PLURAL: Final = (_OPEN + r"(?:[Ww]e|[Oo]urs?|[Uu]s|[Oo]urselves)" + _END,)
_PLURAL_CONTRACTED: Final = (_OPEN + r"[Ww]e['’](?:re|ve|d|ll)" + _END,)


@rejects(languages=("en",))
def first_person(*, of: Field = "response", contractions: bool = True, plural: bool = False) -> Verdict:
    """Prose in which the author speaks of themselves.

    Why: LIMA drops answers "written in the first person", naming "I" and "my" (arXiv 2305.11206, §2.1). Code,
    mathematics and quotations are not the author speaking, and numerals, kings and symbols are nobody: World
    War I, a type I error, Henry I, I/O. In LIMA's published set "I" remains as a contraction (I'm, I've) in
    28 answers of 400 and bare in 14, so `contractions = false` is the published rule; it lets IMHO and "Hope
    this helps" pass too. `plural` counts "we".
    Rejects: In my experience the second method is faster.
    Rejects: Rest the dough overnight, as I've found.
    Keeps: World War I ended in 1918, and Elizabeth I of England never saw a type I error.
    Keeps: He answered "I know", and `I = V / R` gives the current I through the wire.
    """
    wanted = [
        *_I,
        *_SINGULAR,
        *(_CONTRACTED if contractions else ()),
        *(_PLURAL if plural else ()),
        *(_PLURAL_CONTRACTED if plural and contractions else ()),
    ]
    found = prose(of).str.extract_all("|".join(wanted))
    heard = found.list.eval(pl.element().filter(~_nobody(pl.element())))
    first = (
        heard.list.first()
        .str.replace(r"^(?:\S*[^\pL\pN\s'’*_]\s+|\S+\s+[(\[]+)", "")
        .str.strip_chars(" \t\n()[]*_—–….,;:!?")
    )
    return Verdict(first, "present", None)


def _nobody(phrase: pl.Expr) -> pl.Expr:
    """Whether the phrase's "I" or "My" is a numeral, a king, a symbol or a title."""
    contains = phrase.str.contains
    first = r"^[^\pL]*"
    next_is = r"\sI[*_]*\s+[*_]*(?:{})$"
    sure = contains(next_is.format(_SURE))
    bought = contains(rf"{first}\p{{Ll}}") & contains(next_is.format(_LIKELY))  # as in "the book I bought"
    numbered = contains(rf"{first}(?i:{_NUMBERED})[ \t]+I\s") & ~bought
    name = contains(rf"{first}\p{{Lu}}[\pL\pN'’-]*[ \t]+[*_]*I\s") & ~contains(next_is.format(_HARDLY_A_KING))
    opener = contains(rf"{first}(?:{_OPENER})[ \t]+[*_]*I\s")
    continued = contains(rf"I[*_]*\s+[*_]*(?:{_NOT_NEXT})$")
    after_all = contains(rf"\s(?:{_NEXT_AFTER_ALL})$|^[Aa]nd I\sare$")
    title = contains(r"My\s+\p{Lu}\p{Ll}")
    return title | ((numbered | (name & ~opener) | (continued & ~after_all)) & ~sure)
