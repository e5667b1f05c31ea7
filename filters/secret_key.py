"""Rejects, or masks, what logs in: keys, tokens and passwords in addresses."""

from __future__ import annotations

from typing import Final, Literal, get_args

import polars as pl

from curate.api import Field, Verdict, rejects, spans, text

Kind = Literal["issued", "private_key", "session", "address", "assigned"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_NAMED: Final = (
    r"(?i-u:(?:api|access|secret|auth|private|client|consumer|account|encryption|signing|security|bearer|refresh)"
    r"[_ -]?(?:(?:api|access)[_ -]?)?(?:key|token|secret)(?:[_ -]?(?:key|token|secret|id))?|"
    r"secret|token|passw(?:or)?d|pwd)"
)
_PATTERNS: Final[dict[Kind, str]] = {
    "issued": (
        r"(?-u:\b)(?:"
        r"(?:AKIA|ASIA)[0-9A-Z]{16}"  # Amazon
        r"|gh[opsur]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{22,}"
        r"|glpat-[0-9A-Za-z_-]{20,}"  # GitLab
        r"|xox[abeoprs]-[0-9A-Za-z-]{10,}"  # Slack
        r"|hooks\.slack\.com/services/T[0-9A-Z]+/B[0-9A-Z]+/[0-9A-Za-z]{16,}"
        r"|[rs]k_(?:live|test)_[0-9A-Za-z]{16,}"  # Stripe
        r"|sk-(?:(?:proj|svcacct|admin|ant|or)-[0-9A-Za-z_-]{20,}|[0-9A-Za-z]{32,})"  # OpenAI and others
        r"|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{20,}"  # Google
        r"|hf_[A-Za-z]{34}|npm_[0-9A-Za-z]{36}|pypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{50,}"
        r"|SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"  # SendGrid
        r"|[0-9]{8,10}:AA[0-9A-Za-z_-]{33}"  # Telegram
        r"|[MNO][0-9A-Za-z_-]{23,25}\.[0-9A-Za-z_-]{6}\.[0-9A-Za-z_-]{27,}"  # Discord
        r")"
    ),
    "private_key": (
        r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\s\\nr\"'+>|]*(?:[A-Za-z-]+: [^\n]*\n|[0-9A-Za-z+/=]{16,}))+"
        r"(?:[\s\\nr\"'+>|]*[0-9A-Za-z+/=]{0,15}[\s\\nr\"'+>|]*-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----)?"
    ),
    "session": r"eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}(?:\.[0-9A-Za-z_-]*)?",
    "address": r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:<>\"'{}$]*:[^\s/@<>\"'{}$]+@",
    "assigned": _NAMED + r"[\"'\]]{0,2}[ \t]*(?:=>|:=|[:=])[ \t]*[\"'`]?[0-9A-Za-z+/=_.%~-]{16,}",
}
# What stands before and behind the secret in a match of its kind.
_ASSIGNED: Final = rf"^{_NAMED}[\"'\]]{{0,2}}[ \t]*(?:=>|:=|[:=])[ \t]*[\"'`]?(.+)$"
_ADDRESS: Final = r"^[^:]+://[^:]*:(.+)@$"
# A name that stands for the key, as documentation has it.
_STAND_IN: Final = r"(?i)example|your|placeholder|xxxx|\.\.\.|1234567890abcdef|0{8}|insert|changeme"


@rejects
def secret_key(
    *, of: Field = "conversation", kinds: tuple[Kind, ...] = KINDS, mask_with: str = "<secret>"
) -> Verdict:
    """A key, token or password that lets its finder in.

    Why: secrets are in what people paste, and issuers give them prefixes so that they are found (github.blog,
    2021-04-05, on token formats). Kinds: `issued`, keys by their prefixes; `private_key`, PEM blocks (RFC 7468);
    `session`, signed tokens (RFC 7519); `address`, passwords in addresses of the web; `assigned`, what a name such
    as `api_key` is given, if it is 16 characters or more with capital and small letters and two digits, or 32
    hexadecimal digits or more. Stand-ins do not count, nor do hashes and ids that no such name announces.
    Rejects: Set consumer_secret = "qT7vLx02MnRw8ZpKd31cYhB5" and run it.
    Keeps: Set api_key = "YOUR_API_KEY_0123456789" and compare the hash d41d8cd98f00b204e9800998ecf8427e.
    """
    pattern = "|".join(f"(?:{_PATTERNS[kind]})" for kind in kinds)
    return spans(text(of), pattern, _secret, mask_with=mask_with)


def _secret(match: pl.Expr) -> pl.Expr:
    assigned = match.str.extract(_ASSIGNED, 1)
    mixed = pl.all_horizontal(assigned.str.contains(some) for some in ("[A-Z]", "[a-z]", "[0-9].*[0-9]"))
    known = assigned.str.contains(rf"^[0-9a-f]{{32,}}$|{_PATTERNS['issued']}")
    secret = pl.coalesce(assigned, match.str.extract(_ADDRESS, 1), match)
    return pl.when((assigned.is_null() | mixed | known) & ~match.str.contains(_STAND_IN)).then(secret)
