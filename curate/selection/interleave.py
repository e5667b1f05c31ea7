"""One line out of many domains: next comes the domain with the largest n^(1/τ) / (2c + 1).

n is the number of records of the domain, c how many of them are in line so far. Where two domains are equal,
the one with the lower code comes first. At τ = 1 this is Sainte-Laguë's apportionment of seats (D'Hondt's
divides by c + 1), one seat at a time: so every prefix of the line has the domains in their due shares.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.rankings import Greedy

Integers = npt.NDArray[np.int64]


def codes(values: pl.Series) -> Integers:
    """A number for each value, from 1 up in the order of the values as texts; 0 for a null."""
    return values.cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def interleaved(
    domains: Integers, keys: pl.Series, *, temperature: float = 1.0, caps: Mapping[str, tuple[Integers, int]]
) -> tuple[Integers, dict[str, Integers]]:
    """Positions in the order in which they stand in line, and for each cap the positions that it passes by.

    `domains` are codes, and `keys` the order within a domain: least first, nulls last, equal ones by
    position. A cap is a pair of codes and the number of records of one code that the line may hold; code 0 is
    not capped. All have shape (n,). The temperature is 1 or more.
    """
    order = _by_domain(domains, keys)
    _, starts, sizes = np.unique(domains[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    priority = np.repeat(_weights(sizes, temperature), sizes) / (2 * place + 1)

    binding = {name: _binding(of[order], most) for name, (of, most) in caps.items()}
    if not any(capped.any() for capped in binding.values()):
        # Stable, and the input is in the order of the domains: ties go to the lower code.
        return order[np.argsort(-priority, kind="stable")], {}
    line, passed_by = _walk(priority, starts, sizes, [(binding[name], most) for name, (_, most) in caps.items()])
    return order[line], {name: order[passed] for name, passed in zip(caps, passed_by, strict=True)}


def greedily(
    domains: Integers,
    order: Greedy,
    *,
    most: int | None,
    temperature: float = 1.0,
    caps: Mapping[str, tuple[Integers, int]],
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Integers, dict[str, Integers]]:
    """The first `most` positions in line under a greedy order, and those that each cap passes by; None: all.

    As `interleaved`: the same domain comes next, and which of its records depends on all that are in line.
    """
    different, sizes = np.unique(domains, return_counts=True)
    weights = _weights(sizes, temperature).tolist()
    queue = [(-weight, domain) for domain, weight in enumerate(weights)]
    heapq.heapify(queue)
    drawn = [0] * len(queue)
    limits = [(name, of.tolist(), [0] * (int(of.max(initial=0)) + 1), cap) for name, (of, cap) in caps.items()]
    passed_by: dict[str, list[int]] = {name: [] for name in caps}
    line: list[int] = []
    while queue and (most is None or len(line) < most):
        domain = queue[0][1]
        row = order.best(int(different[domain]))
        if row is None:
            heapq.heappop(queue)
            continue
        full = next((name for name, of, held, cap in limits if of[row] and held[of[row]] >= cap), None)
        if full is not None:
            passed_by[full].append(row)
            continue
        for _, of, held, _ in limits:
            held[of[row]] += 1
        order.take(row)
        line.append(row)
        drawn[domain] += 1
        heapq.heapreplace(queue, (-weights[domain] / (2 * drawn[domain] + 1), domain))
        progress(1)
    return np.array(line, dtype=np.int64), {
        name: np.array(rows, dtype=np.int64) for name, rows in passed_by.items()
    }


def _by_domain(domains: Integers, keys: pl.Series) -> Integers:
    frame = pl.DataFrame({"domain": domains, "key": keys}).with_row_index("position")
    ordered = frame.sort("domain", "key", "position", nulls_last=True)
    return ordered["position"].cast(pl.Int64).to_numpy()


def _weights(sizes: Integers, temperature: float) -> npt.NDArray[np.float64]:
    """n^(1/τ) of each size, in decimals: the C library's power differs in its last bit between processors."""
    different, place = np.unique(sizes, return_inverse=True)
    exponent = 1 / Decimal(str(temperature))
    return np.array([float(Decimal(int(size)) ** exponent) for size in different])[place]


def _binding(of: Integers, most: int) -> Integers:
    """The codes of which there are more than the cap allows, 0 for all others: most caps bind few records."""
    return np.where(np.bincount(of)[of] > most, of, 0)


def _walk(
    priority: npt.NDArray[np.float64], starts: Integers, sizes: Integers, caps: list[tuple[Integers, int]]
) -> tuple[Integers, list[Integers]]:
    """The line under caps, one record after another: who is passed by depends on all who came before.

    Rows are those of `priority`, domain after domain, each from `starts` on. Returns rows in line, and those
    that each cap passes by; the first cap that applies has it.
    """
    line: list[int] = []
    passed_by: list[list[int]] = [[] for _ in caps]
    limits = [(of.tolist(), [0] * (int(of.max()) + 1), most, passed_by[at]) for at, (of, most) in enumerate(caps)]
    due = (-priority).tolist()
    ends = (starts + sizes).tolist()
    next_row = starts.tolist()
    next_due = starts.tolist()  # a row passed by takes no place, so the domain's next one is due as it was
    queue = [(due[start], domain) for domain, start in enumerate(next_row)]
    heapq.heapify(queue)
    while queue:
        domain = queue[0][1]
        row, end = next_row[domain], ends[domain]
        while row < end:
            for of, held, most, passed in limits:
                if of[row] and held[of[row]] >= most:
                    passed.append(row)
                    break
            else:
                break
            row += 1
        if row == end:
            heapq.heappop(queue)
            continue
        for of, held, _, _ in limits:
            held[of[row]] += 1
        line.append(row)
        next_row[domain] = row + 1
        next_due[domain] += 1
        if row + 1 < end:
            heapq.heapreplace(queue, (due[next_due[domain]], domain))
        else:
            heapq.heappop(queue)
    return np.array(line, dtype=np.int64), [np.array(passed, dtype=np.int64) for passed in passed_by]
