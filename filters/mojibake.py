"""Rejects text whose characters were read in the wrong encoding."""

from typing import Final

from curate.api import Field, Verdict, present, rejects, text

# The bytes 80 to BF, which continue a character in UTF-8, as Latin-1 and as Windows-1252 show them.
_HIGH: Final = r"\x{80}-\x{BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
# And as Windows-1251 shows them.
_HIGH_CYRILLIC: Final = r"ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—™љ›њќћџ\x{A0}ЎўЈ¤Ґ¦§Ё©Є«¬\x{AD}®Ї°±Ііґµ¶·ё№є»јЅѕї"
# And what of them does not stand after Ä and Å in earnest, as in „Ä“ and Å²; and after Ă and Ĺ, in Windows-1250.
_AFTER_A: Final = r"\x{80}-\x{9F}¡¢£¤¥¦§¨©ª¬\x{AD}®¯±´µ¶¸¹º¼½¾¿€ƒ‚„†‡ˆ‰Š‹ŒŽ˜™š›œžŸ"
_AFTER_A_1250: Final = r"\x{80}-\x{9F}¤¦§¨©¬\x{AD}®°±´µ¶¸˘˙˛˝ˇ†‡‰™"
_PATTERNS: Final = (
    # What could not be read, that read again, and typographic marks of Windows-1252 read as Latin-1.
    r"\x{FFFD}|ï¿½|ďż˝|ï»¿|锟斤拷|[\x{80}-\x{84}\x{86}-\x{9F}]|\x{85}[\pL\pP]",
    # Two bytes: é is shown as Ã©, a no-break space as Â and itself. Portuguese ends words in Ã and French begins
    # them with Â: what may stand beside them, closing marks, dashes, dots and a plain space, does not count.
    r"Ã[\x{80}-\x{BA}\x{BC}-\x{BF}€‚ƒ„†‡ˆ‰Š‹ŒŽ‘“•˜™š›œžŸ]|[^\p{Lu}]Ã[’”…–—]",
    rf"Â[\x{{80}}-\x{{BA}}\x{{BC}}-\x{{BF}}]|[ÄÅ][{_AFTER_A}]|[ĂĹ][{_AFTER_A_1250}]",
    # Three: typographic marks are shown as â€™, arrows and signs as â†’ and â„¢. Four: emoji as ðŸ˜€.
    rf"â€[{_HIGH}]?|â[\x{{80}}-\x{{9F}}‚„†ˆ‰Œ™š›œž][{_HIGH}]|ðŸ[{_HIGH}]",
    # Words in other scripts, two bytes a letter or three; and Cyrillic as Windows-1251 shows it.
    rf"(?:[ÎÏÐÑ×ØÙÚÛ][{_HIGH}]){{3}}|(?:[à-é][{_HIGH}]{{2}}){{2}}|(?:[РС][{_HIGH_CYRILLIC}]){{3}}",
)


@rejects
def mojibake(*, of: Field = "every_response") -> Verdict:
    """Text in which characters were read in the wrong encoding: cafÃ©, itâ€™s, and the replacement character.

    Why: UTF-8 that was read as Latin-1 or Windows-1252 shows each character as two to four others, and these
    follow few patterns that no language writes. French, Portuguese, Vietnamese and Icelandic use the same
    letters and are kept. The replacement character U+FFFD stands where bytes could not be read at all.
    Rejects: Itâ€™s a small cafÃ© by the river.
    Rejects: The price is Â£5.
    Keeps: À la même âge, il a dit « Âge d'or » ; em São João não há AMANHÃ… nem “MANHÃ”.
    """
    return present(text(of), "|".join(_PATTERNS))
