"""Rows that may match, directly or through others: what has to be decided together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from curate.dedup._compiled import compiled


def joined(labels: Iterable[NDArray[np.integer]], count: int) -> NDArray[np.int64]:
    """The connected components of `count` rows, of which those are joined that have a label in common.

    Each array of labels has one for each row, or -1. Shape (count,): components are numbered by their first rows;
    -1 is a row by itself.
    """
    parents = np.arange(count)
    for each in labels:
        firsts = np.full(int(each.max(initial=-1)) + 1, -1, np.int64)
        _join(parents, np.ascontiguousarray(each, np.int64), firsts)
    return _numbered(parents)


def linked(left: NDArray[np.int64], right: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The same for rows of which pairs are joined."""
    parents = np.arange(count)
    _link(parents, left, right)
    return _numbered(parents)


def _numbered(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    _settle(parents)
    alone = np.bincount(parents, minlength=len(parents))[parents] == 1
    parents[alone] = -1
    return parents


@compiled
def _root(parents, row):  # type: ignore[no-untyped-def] # pragma: no cover
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@compiled
def _union(parents, one, other):  # type: ignore[no-untyped-def] # pragma: no cover
    one, other = _root(parents, one), _root(parents, other)
    # The lower row is the root, so that a component is known by its first row.
    if one < other:
        parents[other] = one
    else:
        parents[one] = other


@compiled
def _join(parents, labels, firsts):  # type: ignore[no-untyped-def] # pragma: no cover
    for row in range(len(labels)):
        label = labels[row]
        if label < 0:
            continue
        if firsts[label] < 0:
            firsts[label] = row
        else:
            _union(parents, row, firsts[label])


@compiled
def _link(parents, left, right):  # type: ignore[no-untyped-def] # pragma: no cover
    for pair in range(len(left)):
        _union(parents, left[pair], right[pair])


@compiled
def _settle(parents):  # type: ignore[no-untyped-def] # pragma: no cover
    for row in range(len(parents)):
        # A parent is never the higher row, so it is at its root by now.
        parents[row] = parents[parents[row]]
