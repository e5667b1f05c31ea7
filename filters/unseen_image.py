"""Rejects tasks about an image that is not there, and answers that are one."""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from curate.api import Field, Verdict, rejects, text

_THING: Final = "image|picture|photo|photograph|painting|drawing|figure|chart|graph|diagram|logo|screenshot"
_KINDS: Final = {
    "published": r"!\[.*\]\(http|img[ ]?src=|image:",
    "embedded": r"!\[[^\]\n]*\]\(http|<img ?src=|(?:\A|\n|\()[Ii]mage: ?(?:http|\[|<|\n|\z)",
    "stand_in": (
        # In code, round brackets hold arguments and square ones an index.
        r"(?:(?:\A|\n|: ?|: ?\n)\(|(?:\A|[^\w)\]])[\[<]) ?"
        r"(?i:insert |include |attach(?:ed)? |an? |the |link to |sample |(?:image|picture|photo)s? of )*"
        rf"(?i:{_THING})(?i:s?)(?: [^\])>\n]*)?[\])>](?:[^(]|\z)"
        rf"|(?:\A|\n)(?i:attached (?:{_THING})s?)(?: of [^\n]*)?(?:\n|\z)"
    ),
    # Alone in its line, or at the end of a few words. Quoted, or inside code, it is not what the task is about.
    "file": (
        r"(?:\A|\n)(?:[^\n\"'{};=]{0,40}[ :(<\[])?[^\s\"'{};]*[\w-]"
        r"\.(?i:jpe?g|png|gif|bmp|svg|webp)(?:[?#][^\s\"']*)?[\])>]*\s*(?:\n|\z)"
    ),
}
# An instruction that points at an image and neither says what it shows nor quotes.
_POINTS: Final = (
    r"(?i)\b(?:the following|this|the given|the provided|the attached|in the) "
    r"(?:image|picture|photo|photograph|painting|cartoon|chart|screenshot|logo)\b"
)
_SAID: Final = (
    r"(?i)[:\"“”'‘’`<>{}\n]|\b(?:image|picture|photo|photograph|painting|cartoon|chart|screenshot|logo) "
    r"(?:of|called|titled|by|where|showing|that|which|with|named|to|for)\b"
)

Kind = Literal["published", "embedded", "stand_in", "file", "missing"]


@rejects
def unseen_image(
    *, of: Field = "conversation", kinds: tuple[Kind, ...] = ("embedded", "stand_in", "file", "missing")
) -> Verdict:
    """A task about an image that text does not show, or an answer that pretends to be one.

    Why: AlpacaDataCleaned lists image tasks among Alpaca's defects (gururise/AlpacaDataCleaned, README).
    `published` is its pattern (tools): `![…](http`, `img src=` and `image:` anywhere, which also hits one that
    is told of. `embedded` is the same where no words follow; `file` is the name of an image file in a line of its
    own, `stand_in` brackets for an image, as in [photo of a car]. `missing` is an instruction about "this photo"
    without an input, at the start of a conversation. HTML that is asked for is hit as well.
    Rejects: ![A logo](https://example.org/logo)
    Rejects: The flag in [Insert Photograph Here] is red.
    Keeps: An image: a boat that nobody steers.
    """
    patterns = [_KINDS[kind] for kind in kinds if kind != "missing"]
    found = [text(of).str.extract("|".join(patterns), 0)] if patterns else []
    if "missing" in kinds:
        first = pl.col("context").is_null() & (pl.col("history").list.len() == 0)
        bare = first & ~text("prompt").str.contains(_SAID)
        found.append(pl.when(bare & text(of).is_not_null()).then(text("prompt").str.extract(_POINTS, 0)))
    return Verdict(pl.coalesce(found), "present", None)
