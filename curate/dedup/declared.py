"""Finds records that their source declares to be duplicates."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np

from curate.dedup import Index, finds
from curate.dedup.texts import Texts


@finds(on="links")
def declared(texts: Texts) -> Index:
    """Records that the source itself calls duplicates, such as questions closed as duplicates on Stack Exchange.

    It goes by the key `duplicate_of` of a record's `extra`, an id or a list of them, whichever way it points. What
    is declared of a record that was rejected costs the other nothing: only kept records have duplicates.
    """
    return _Declared(texts)


class _Declared(Index):
    note = "the word of the source"

    def __init__(self, texts: Texts) -> None:
        """Of texts of links: a record's id, and in the next line the JSON list of what it is a duplicate of."""
        rows: dict[str, int] = {}
        linked: dict[int, list[str]] = {}
        for row, text in enumerate(texts.all().fill_null("")):
            id, _, links = text.partition("\n")
            rows[id] = row
            if links:
                linked[row] = [other for other in _ids(links) if other != id]
        self._linked: dict[int, set[int]] = defaultdict(set)
        for row, others in linked.items():
            for other in others:
                if other in rows:
                    self._linked[row].add(rows[other])
                    self._linked[rows[other]].add(row)
        self._kept: set[int] = set()
        # Rows of one discussion may be linked in any way, so all linked ones are one group.
        self.groups = np.full(len(texts), -1, np.int64)
        self.groups[list(self._linked)] = 0

    def matches(self, row: int) -> list[tuple[int, float]]:
        return [(kept, 1.0) for kept in sorted(self._linked.get(row, set()) & self._kept)]

    def keep(self, row: int) -> None:
        self._kept.add(row)


def _ids(links: str) -> list[str]:
    """The ids in a JSON list; what is none is an id itself, if it is anybody's."""
    try:
        ids = json.loads(links)
    except ValueError:
        return [links]
    return [id for id in ids if isinstance(id, str)] if isinstance(ids, list) else [links]
