"""Rejects, or masks, telephone numbers."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, rejects, spans, text

# Digits in groups. A no-break space and the dashes of typesetters are separators too.
_GAP: Final = r"[ .()/\x{a0}\x{2010}-\x{2013}-]{0,3}"
_DIGITS: Final = rf"[0-9](?:{_GAP}[0-9]){{6,}}"
_EXTENSION: Final = r"(?:[ ,]{0,2}(?:x|ext\.?|#)[ ]?[0-9]{1,5})?"
_GLUED: Final = r"(?:[0-9A-Za-z_%°€²]|[.,:/=-][0-9A-Za-z])*"
# Words that announce a number: the longest reading of each comes first, so that all of it is taken off.
_OF_WHAT: Final = (
    r"(?i:(?-u:\b)(?:t[ée]l(?:[ée]ph?on[eo]?|efon)?|phone|mobile?|m[óo]vil|portable|handy|cell(?:phone)?|fax|"
    r"hotline|whats ?app|contact (?:number|no)|(?:desk|office|work|home)[ ]?:|"
    r"(?:call|text|reach|phone|ring|contact) (?:me|us|him|her|them))"
    r"|전화|휴대폰|연락처|电话|電話|手机)"
)
_FILLER: Final = r"(?i:[ \t.:;,*_\"'=#|>\]-]|\n[ \t]*|number|num|is|are|was|at|on|no|nr|번호|号码|番号){0,8}"
_AFTER: Final = r"(?i:[ ,-]{1,3}(?:office|fax|mobile|cell|home|work)[ ]?(?:[\n,;.)|]|$))"
_BEHIND: Final = rf"(?:{_AFTER}|{_GLUED})"
# North America: three, three and four digits. The first of an area code is 2 to 9.
_AMERICAN: Final = (
    r"(?:\+?1[ .-]?|001[ .-])?(?:\([2-9][0-9]{2}\)[ -]{0,2}|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}"
)
_PATTERN: Final = (
    r"(?:https?://|www\.)[^\s<>\"]+"
    rf"|(?:{_OF_WHAT}){_FILLER}[+(]{{0,2}}{_DIGITS}{_EXTENSION}{_BEHIND}"
    rf"|(?:[A-Za-z_./=#%$€£-]|[0-9],)[+(]?{_DIGITS}{_GLUED}"
    rf"|{_AMERICAN}{_EXTENSION}{_BEHIND}"
    rf"|\(?\+[ ]?\(?{_DIGITS}{_EXTENSION}{_BEHIND}"
    rf"|\(?{_DIGITS}{_EXTENSION}{_BEHIND}"
)

# A match that is a number, without what is glued to it.
_WHOLE: Final = rf"^[+(]{{0,2}}[ ]?\(?{_DIGITS}{_EXTENSION}$"
_AMERICAN_ALONE: Final = rf"^{_AMERICAN}{_EXTENSION}$"
_INTERNATIONAL: Final = r"^\(?(?:\+[1-9]|\+ [1-9][0-9]{0,2}[ .-]*\(|00[1-9][0-9]{0,2}[ .-][0-9 .()-]{9})"
# A trunk's 0, then groups with one separator throughout, or an area code and the rest.
_NATIONAL: Final = (
    r"^\(?0[1-9][0-9]{0,4}\)?(?:(?: [0-9]{2,5}){2,4}|(?:\.[0-9]{2,5}){2,4}|(?:-[0-9]{2,5}){2,4}|[ /-][0-9]{6,8})$"
    r"|^\(0[1-9][0-9]{0,4}\)[ ]?[0-9]{3,5}[ -]?[0-9]{3,5}$"
)
# Dates, ranges of years, counting, and numbers of American social security.
_NO_NUMBER: Final = (
    r"^[0-9]{1,2}([ ./-])[0-9]{1,2}[ ./-](?:19|20)[0-9]{2}|^(?:1[0-9]|20)[0-9]{2}[ ./–-]+(?:1[0-9]|20)[0-9]{2}$"
    r"|^(?:19|20)[0-9]{2}[./-][0-9]{2}[./-][0-9]{2}|^(?:0[0-9][ .-]){3,}|^[0-9]{3}-[0-9]{2}-[0-9]{4}$"
    r"| (?:19|20)[0-9]{2}[–-](?:19|20)[0-9]{2}$"
)
_FICTIONAL: Final = (
    r"^1?(?:[2-9][0-9]{2})?555[0-9]{4,7}$|^(?:44|0)(?:7700900|2079460|1632960)"
    r"|1234567|2345678|3456789|4567890|9876543|8765432|7654321|6543210|0{6}|1{6}|9{6}"
)
_TOLL_FREE: Final = r"^1?8(?:00|33|44|55|66|77|88)[0-9]{7}$|^0800[0-9]+$|^00800[0-9]{8}$"
_FEWEST: Final = 7  # digits, after a word that says what they are
_MOST: Final = 15  # ITU-T E.164
_FEWEST_ABROAD: Final = 8


@rejects
def phone_number(
    *,
    of: Field = "conversation",
    fictional: bool = False,
    toll_free: bool = False,
    mask_with: str = "<phone number>",
) -> Verdict:
    """A telephone number: international, North American, national with its 0, or announced as one.

    Why: a number leads to a person, and a model that learns it may say it (arXiv 2012.07805). Numbers have at
    most 15 digits (ITU-T E.164). Those that nobody has count with `fictional`: 555 as area or exchange (North
    American Numbering Plan), Ofcom's numbers for drama, 123-456-7890. Lines that cost callers nothing are an
    organisation's, such as 1-800-…, and count with `toll_free`. Other groups of digits are a number only after a
    word that says so, as "Tel.", "mobile" or "call me at", or before "fax" and the like: they may be anything.
    Rejects: Ring +44 1273 475 433 before six.
    Rejects: Her mobile is 78 651 450.
    Keeps: ISBN 978-1-5247-3855-7, arXiv:0811.3171, 2013-07-22 and 617 items at 78 651 450 bytes.
    Keeps: Call (212) 555-0137, or 1-800-273-8255.
    """
    return spans(
        text(of),
        _PATTERN,
        lambda match: _number(match, fictional=fictional, toll_free=toll_free),
        mask_with=mask_with,
    )


def _number(match: pl.Expr, *, fictional: bool, toll_free: bool) -> pl.Expr:
    announced = match.str.contains(rf"^(?:{_OF_WHAT})")
    followed = match.str.contains(rf"{_AFTER}$")
    number = match.str.replace(rf"^(?:{_OF_WHAT}){_FILLER}", "").str.replace(rf"{_AFTER}$", "")
    digits = number.str.replace(r"(?:x|ext|#).*$", "").str.replace_all("[^0-9]", "")
    count = digits.str.len_chars()
    shaped = (
        number.str.contains(_AMERICAN_ALONE)
        | (number.str.contains(_INTERNATIONAL) & (count >= _FEWEST_ABROAD))
        | (number.str.contains(_NATIONAL) & count.is_between(9, 11))
        | announced
        | followed
    )
    no_number = number.str.contains(_NO_NUMBER) | digits.str.contains("^[01]+$")
    if not fictional:
        no_number = no_number | digits.str.contains(_FICTIONAL)
    if not toll_free:
        no_number = no_number | digits.str.contains(_TOLL_FREE)
    whole = number.str.contains(_WHOLE) & count.is_between(_FEWEST, _MOST)
    return pl.when(shaped & whole & ~no_number).then(number)
