"""Rejects, or masks, numbers of payment cards."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, rejects, spans, text

_GLUED: Final = r"(?:[0-9A-Za-z_]|[.,/-][0-9A-Za-z])*"
# Digits inside web addresses, behind a point or within longer numbers come first: no card is found in them.
_PATTERN: Final = (
    r"(?:https?://|www\.)[^\s<>\"]+"
    rf"|[A-Za-z_./%$€£+-][0-9](?:[ -]?[0-9])*{_GLUED}"
    rf"|(?:[2-6][0-9]{{3}} ){{3}}[0-9]{{4}}(?-u:\b){_GLUED}"
    rf"|(?:[2-6][0-9]{{3}}-){{3}}[0-9]{{4}}(?-u:\b){_GLUED}"
    rf"|3[0-9]{{3}}[ -][0-9]{{6}}[ -][0-9]{{4,5}}(?-u:\b){_GLUED}"
    rf"|[0-9]{{12,}}(?-u:\b){_GLUED}"
    rf"|[0-9](?:[ -]?[0-9]){{11,}}{_GLUED}"
)
# Digits as cards show them: all together, four by four, or as American Express and Diners Club group them.
_WRITTEN: Final = (
    r"^(?:[0-9]{12,19}|[0-9]{4}(?: [0-9]{4}){3}|[0-9]{4}(?:-[0-9]{4}){3}|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})$"
)
# First digits and lengths of ISO/IEC 7812 as issuers use them.
_ISSUED: Final = (
    r"^(?:"
    r"4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # Diners Club
    r"|(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12}"  # Discover
    r"|(?:35(?:2[89]|[3-8][0-9])[0-9]{12}|(?:2131|1800)[0-9]{11})"  # JCB
    r"|62[0-9]{14,17}"  # UnionPay
    r"|(?:50|5[6-8]|6[0-9])[0-9]{10,17}"  # Maestro
    r")$"
)
# Numbers that payment services publish for trying things out.
_TEST: Final = (
    r"^(?:4242424242424242|4000056655665556|4111111111111111|4012888888881881|4222222222222|5555555555554444"
    r"|5105105105105100|2223003122003222|5200828282828210|378282246310005|371449635398431|378734493671000"
    r"|6011111111111117|6011000990139424|30569309025904|38520000023237|36227206271667|3530111333300000"
    r"|3566002020360505|6200000000000005|5019717010103742|6331101999990016|([0-9])0+)$"
)
_LONGEST: Final = 19


@rejects
def card_number(
    *, of: Field = "conversation", test_numbers: bool = False, mask_with: str = "<card number>"
) -> Verdict:
    """The number of a payment card: an issuer's first digits and length, and a right check digit.

    Why: by ISO/IEC 7812-1 the last digit checks the others (Luhn), which one random number in ten passes, and
    issuers have their first digits. Numbers that payment services publish for tests count with `test_numbers`.
    Rejects: Her card was 4539 5787 6362 1486, valid until May.
    Keeps: Use 4242 4242 4242 4242 in test mode, never order 4539 5787 6362 1487.
    """
    return spans(text(of), _PATTERN, lambda match: _card(match, test_numbers=test_numbers), mask_with=mask_with)


def _card(match: pl.Expr, *, test_numbers: bool) -> pl.Expr:
    digits = match.str.replace_all("[ -]", "")
    card = match.str.contains(_WRITTEN) & digits.str.contains(_ISSUED) & (_check_sum(digits) % 10 == 0)
    if not test_numbers:
        card = card & ~digits.str.contains(_TEST)
    return pl.when(card).then(match)


def _check_sum(digits: pl.Expr) -> pl.Expr:
    """The sum of Luhn: of the digits from the right, every second doubled and its own digits added."""
    padded = digits.str.pad_start(_LONGEST, "0")
    total = pl.lit(0)
    for place in range(_LONGEST):
        digit = padded.str.slice(place, 1).cast(pl.Int32, strict=False)
        doubled = (_LONGEST - place) % 2 == 0
        total = total + (digit * 2 - pl.when(digit > 4).then(9).otherwise(0) if doubled else digit)
    return total
