"""Rejects text with characters that are not seen and do something all the same."""

from typing import Final, Literal

from curate.api import Field, Verdict, rejects, text

_CODES: Final = {
    "control": [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)],
    "zero_width": [0x200B, 0x2060, 0xFEFF],
    "bidi": [*range(0x202A, 0x202F), *range(0x2066, 0x206A)],
}

Kind = Literal["control", "zero_width", "bidi"]


@rejects
def control_characters(*, of: Field = "every_response", kinds: tuple[Kind, ...] = ("control",)) -> Verdict:
    r"""Text with control characters, or by choice with zero-width characters or reversed reading order.

    Why: a backspace or an escape sequence comes from a terminal and is no text. `control` is C0 and C1 without
    tab and line ends. `zero_width`: U+200B, U+2060 and U+FEFF; the joiners that emoji and Persian need are
    none of them. `bidi`: embeddings, overrides and isolates, which can show text in another order than it is
    stored (Boucher and Anderson, Trojan Source, arXiv 2111.00169). The evidence is the first one's code point.
    Keeps: Tabs	and emoji 👩‍🚀 are text.
    """
    named = {chr(code): f"U+{code:04X}" for kind in kinds for code in _CODES[kind]}
    pattern = "[" + "".join(f"\\x{{{ord(character):X}}}" for character in named) + "]"
    without = str.maketrans(dict.fromkeys(named, ""))
    first = text(of).str.extract(pattern, 0).replace_strict(named, default=None)
    return Verdict(first, "present", None, mask=lambda text: text.translate(without))
