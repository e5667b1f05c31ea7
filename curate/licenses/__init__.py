"""Licences of texts: which binds most, what each asks for, what may be joined, and what a use forbids.

This module ranks them, and is all that reading needs. Beside it: `terms` (what a licence asks for), `combining`
(which go into one work, and the terms of many records together), `policies` (what a declared use forbids) and
`card` (how the Hugging Face hub names them).

The order is a reading of the licences' own terms, from few obligations to many; it is no legal advice. That of
Creative Commons' licences among one another is theirs, from the most permissive to the least
(https://creativecommons.org/share-your-work/cclicenses/). What is not in the list is taken to be stricter than
all that is, because nothing is known about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

UNKNOWN: Final = "LicenseRef-unknown"

FREEST_FIRST: Final = (
    *("CC0-1.0", "PDDL-1.0", "LicenseRef-public-domain", "Unlicense"),
    *("MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"),
    *("CDLA-Permissive-2.0", "CDLA-Permissive-1.0", "ODC-By-1.0"),
    *("CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0"),
    *("CC-BY-SA-2.0", "CC-BY-SA-2.5", "CC-BY-SA-3.0", "CC-BY-SA-4.0"),
    *("ODbL-1.0", "CDLA-Sharing-1.0", "GFDL-1.3-or-later", "GFDL-1.3-only"),
    *("CC-BY-NC-2.0", "CC-BY-NC-2.5", "CC-BY-NC-3.0", "CC-BY-NC-4.0"),
    *("CC-BY-NC-SA-2.0", "CC-BY-NC-SA-2.5", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0"),
    *("CC-BY-ND-2.0", "CC-BY-ND-2.5", "CC-BY-ND-3.0", "CC-BY-ND-4.0"),
    *("CC-BY-NC-ND-2.0", "CC-BY-NC-ND-2.5", "CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0"),
)
_RANK: Final = {license: rank for rank, license in enumerate(FREEST_FIRST)}


def strictness(license: str) -> tuple[int, str]:
    """What licences are ordered by, the freest first; no two have the same."""
    return _RANK.get(license, len(_RANK)), license


def strictest(licenses: Iterable[str | None]) -> str | None:
    """The licence with the most obligations; None when there are no licences at all.

    A None among them is an unknown licence.
    """
    return max((license or UNKNOWN for license in licenses), key=strictness, default=None)
