"""How a data set card names licences: by the Hugging Face hub's identifiers where it has them.

The hub's list: https://huggingface.co/docs/hub/repositories-licenses. What is not in it is `other`, with a name
like an identifier and a link (https://github.com/huggingface/hub-docs/blob/main/datasetcard.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from curate.licenses import strictness
from curate.licenses.terms import Terms, ids, terms

OTHER: Final = "other"
_FILE: Final = "LICENSE"  # where the hub looks for a licence that it does not know and nobody has published


def card_license(licenses: Mapping[str | None, int]) -> dict[str, Any]:
    """The keys `license` and, where the hub has no identifier, `license_name` and `license_link` of a card.

    `licenses` says how many records are under each licence; None and what nothing is known of are `unknown`. One
    licence is a string, several a list, that of the most records first. An empty set has no licence to name.
    """
    counted: dict[str, int] = {}
    for license, records in licenses.items():
        for id in ids(license) if records else ():
            counted[id] = counted.get(id, 0) + records
    if not counted:
        return {}
    every = [terms(id) for id in sorted(counted, key=lambda one: (-counted[one], strictness(one)))]
    names = list(dict.fromkeys(each.hub or OTHER for each in every))
    made: dict[str, Any] = {"license": names[0] if len(names) == 1 else names}
    unlisted = [each for each in every if each.hub is None]
    return made | _other(unlisted) if unlisted else made


def _other(unlisted: list[Terms]) -> dict[str, str]:
    strict_first = sorted(unlisted, key=lambda each: strictness(each.id), reverse=True)
    link = next((each.url for each in strict_first if each.url), _FILE)
    return {"license_name": "-and-".join(_name(each.id) for each in unlisted), "license_link": link}


def _name(id: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", id.lower()).strip("-") or OTHER
