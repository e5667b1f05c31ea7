"""Rejects tasks about an image that is not there, and answers that are one."""

from __future__ import annotations

from typing import Final, Literal

from curate.api import Field, Verdict, present, rejects, text

_THING: Final = "image|picture|photo|photograph|painting|drawing|figure|chart|graph|diagram|logo|screenshot"
_KINDS: Final = {
    "published": r"!\[.*\]\(http|img[ ]?src=|image:",
    "embedded": r"!\[[^\]\n]*\]\(http|<img ?src=|(?:\A|\n|\()[Ii]mage: ?(?:http|\[|<|\n|\z)",
    "stand_in": (
        r"[\[(<](?i:insert |attached? |an? |the |sample |(?:image|picture|photo) of )*"
        rf"(?i:{_THING})(?: [^\])>\n]*)?[\])>](?:[^(]|\z)"
    ),
    "file": r"[\w-]+\.(?i:jpe?g|png|gif|bmp|svg|webp)\b",
}

Kind = Literal["published", "embedded", "stand_in", "file"]


@rejects
def unseen_image(
    *, of: Field = "conversation", kinds: tuple[Kind, ...] = ("embedded", "stand_in", "file")
) -> Verdict:
    """A task about an image that text does not show, or an answer that pretends to be one.

    Why: AlpacaDataCleaned lists image tasks among Alpaca's defects (gururise/AlpacaDataCleaned, README).
    `published` is its pattern (tools): `![…](http`, `img src=` and `image:` anywhere, which also hits one that
    is told of. `embedded` is the same where no words follow; `file` is the name of an image file, `stand_in`
    brackets for an image, as in [photo of a car]. HTML that is asked for is hit as well.
    Rejects: ![A logo](https://example.org/logo)
    Rejects: The flag in [Insert Photograph Here] is red.
    Keeps: An image: a boat that nobody steers.
    """
    return present(text(of), "|".join(_KINDS[kind] for kind in kinds) if kinds else r"[^\s\S]")
