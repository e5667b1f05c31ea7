"""Numbers and texts as a reader of the page meets them."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Any, Final

from curate.chat import visible as visible  # noqa: PLC0414 (the page and its charts take it from here)

_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")


def short(text: Any, most: int = 40) -> str:
    """A text on one line, cut to `most` characters of common width: about so many of Latin, half of Chinese."""
    line = " ".join(visible(str(text)).split())
    ends = list(accumulate(map(_width, line[: 4 * most])))
    if len(ends) == len(line) and (not ends or ends[-1] <= most):
        return line
    return line[: bisect(ends, most - 1)].rstrip() + "…"


def _width(letter: str) -> float:
    """How wide a letter is in Arial, beside a common small one."""
    if unicodedata.east_asian_width(letter) in "WF":
        return 2
    if letter in "mwMW@%":
        return 1.6
    return 1.3 if letter.isupper() else 0.1 if unicodedata.combining(letter) else 1


def count(number: int | None) -> str:
    """A whole number with commas."""
    return "–" if number is None else f"{number:,}"


def percent(part: float | None, whole: float | None = 1) -> str:
    """A share as a percentage, with one decimal below ten; never 0% of something nor 100% of less than all."""
    if part is None or not whole:
        return "–"
    share = 100 * part / whole
    if share in (0, 100):
        return f"{share:.0f}%"
    if share < 0.1:
        return "<0.1%"
    if share > 99:
        return ">99%"
    return f"{share:.1f}%" if share < 9.95 else f"{share:.0f}%"


def value(evidence: Any) -> str:
    """Evidence or a limit in words: numbers with commas, texts in quotation marks."""
    if evidence is None:
        return "not known"
    if isinstance(evidence, str):
        return f"“{evidence}”"
    if isinstance(evidence, list):
        return ", ".join(map(str, evidence))
    if isinstance(evidence, bool):
        return str(evidence).lower()
    return f"{evidence:,}" if isinstance(evidence, int) else figure(evidence)


def figure(number: float | None) -> str:
    """A number with four significant digits, and commas; a dash where there is none."""
    if number is None:
        return "–"
    if isinstance(number, int) or float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:,.4g}"


def compact(number: float | None) -> str:
    """A number for the axis of a chart: from ten thousand on three digits, and a letter for what they count."""
    if number is None:
        return ""
    if 1000 <= abs(number) < 10_000:
        return f"{number:,.0f}"
    for power, letter in ((9, "G"), (6, "M"), (3, "K")):
        if abs(number) >= 10**power:
            return f"{number / 10**power:.3g}{letter}"
    return f"{number:.3g}"


def measured(number: float | None, unit: str = "") -> str:
    """A number in its unit: shares as percentages, others with four significant digits."""
    return percent(number) if unit == "share" and number is not None and 0 <= number <= 1 else figure(number)


def change(before: float | None, after: float | None, unit: str = "") -> str:
    """How far a number moved, as a share of what it was; how many points, where it is a share itself."""
    if before is None or after is None:
        return "–"
    if unit == "share":
        points = 100 * (after - before)
        return f"{'+' if points > 0 else '−'}{abs(points):.1f} points" if abs(points) >= 0.05 else "none"
    if not before:
        return "–"
    moved = 100 * (after - before) / abs(before)
    if not moved:
        return "none"
    sign = "+" if moved > 0 else "−"
    return f"{sign}{abs(moved):.0f}%" if abs(moved) >= 10 else f"{sign}{abs(moved):.1f}%"


def said(rule: Mapping[str, Any]) -> str:
    """What makes the rule reject, in words, without the limit."""
    return {
        "below": "Rejects evidence below the limit",
        "above": "Rejects evidence above the limit",
        "outside": "Rejects evidence that is none of the allowed",
        "present": "Rejects what it finds",
    }[rule["sense"]]


def capitalized(text: str) -> str:
    """The text with its first letter large and all others as they are."""
    return text[:1].upper() + text[1:]


def web(url: str | None) -> str | None:
    """The address if it leads to the web; None if it is of another kind, which a page must not follow."""
    return url if url and re.match(r"https?://", url) else None


def bytes_of(number: int) -> str:
    """A number of bytes in the decimal unit that fits it, with three digits."""
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if number >= 10**power:
            return f"{number / 10**power:,.3g} {unit}"
    return f"{number} bytes"


def chance(metric: Mapping[str, Any], draws: int) -> str:
    """Where a selection lies among random draws of its size, in words.

    A draw of the same value is no better or worse.
    """
    beside = metric.get("draws")
    if beside is None:
        return "Not compared with random draws."
    if _alike(metric):
        return "All random draws give the same."
    below, equal, above = beside["below"], beside["equal"], beside["above"]
    more = metric.get("higher") or "higher"
    if below == draws:
        found = f"It is {more} than all {draws} random draws."
    elif above == draws:
        found = f"All {draws} random draws are {more}."
    elif above > below:
        found = f"{above} of {draws} random draws are {more}"
    else:
        found = f"It is {more} than {below} of {draws} random draws"
    if not found.endswith("."):
        found += f", and equal to {equal}." if equal else "."
    return f"{found} {_in_band(metric)}".strip()


def _alike(metric: Mapping[str, Any]) -> bool:
    """Whether a selection has the very value that chance always gives: then nothing was compared."""
    band = metric.get("band")
    return band is not None and {*band.values()} == {metric["values"].get("selection")}


def _in_band(metric: Mapping[str, Any]) -> str:
    band, own = metric.get("band"), metric.get("values", {}).get("selection")
    if not band or own is None:
        return ""
    if band["low"] <= own <= band["high"]:
        return "It lies within the band of chance."
    return "It lies above the band of chance." if own > band["high"] else "It lies below the band of chance."


def beyond(metrics: Sequence[Mapping[str, Any]], kind: str = "diversity") -> str:
    """On how many metrics of a kind a selection is like random draws, in a sentence; empty without any."""
    known = [
        (each["values"]["selection"], each["band"])
        for each in metrics
        if each["kind"] == kind and each.get("band") and each["values"].get("selection") is not None
        if not _alike(each)
    ]
    if not known:
        return ""
    within = sum(band["low"] <= own <= band["high"] for own, band in known)
    lie = "lies" if within == 1 else "lie"
    return (
        f"Of {len(known)} metrics of {kind}, {within} {lie} within the band of chance: "
        f"there the selection cannot be told from a random set."
    )


def titles(controls: Mapping[str, Any]) -> dict[str, str]:
    """What each set of a comparison is called, by name; the pool where a metric has its value."""
    named = {each["name"]: each["title"] for each in controls.get("sets") or []}
    if any(each["values"].get("pool") is not None for each in controls.get("metrics") or []):
        named.setdefault("pool", "the pool")
    order = ("selection", "random", "longest")
    return {name: named[name] for name in [*(each for each in order if each in named), *named]}


def apart(excerpt: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> list[tuple[str, bool]]:
    """An excerpt in pieces, each with whether the other lacks it, word by word.

    Where one of the two is cut, what stands at that end may only lie outside the other, and does not count.
    """
    if excerpt is None:
        return []
    own = _WORDS.findall(excerpt["text"])
    others = _WORDS.findall(other["text"] if other else "")
    found = [op for op in SequenceMatcher(None, own, others, autojunk=False).get_opcodes() if op[1] < op[2]]
    pieces = [("".join(own[start:end]), kind != "equal") for kind, start, end, _, _ in found]
    for place, side in ((0, "cut_before"), (-1, "cut_after")):
        if len(pieces) > 1 and (excerpt[side] or (other or {}).get(side)):
            pieces[place] = (pieces[place][0], False)
    return pieces


def reasons(numbers: Mapping[str, Any]) -> dict[str, str]:
    """What took records away at each step of the funnel, the most frequent causes first."""
    rules = [rule for rule in numbers.get("rules") or [] if rule["hit"] and not rule.get("lifted")]
    found = {
        f"rejected by rules on {kind}": [
            (rule["name"], rule["hit"]) for rule in rules if bool(rule["measured"]) is measured_ones
        ]
        for kind, measured_ones in (("text", False), ("measures", True))
    }
    found["excluded"] = [(each["entry"], each["records"]) for each in numbers.get("exclusions") or []]
    met = (numbers.get("contamination") or {}).get("found") or []
    found["contaminated"] = [(each["file"], each["records"]) for each in met]
    dedup = numbers.get("dedup") or {}
    dropped = [] if dedup.get("counted") else dedup.get("dropped") or []
    found["duplicates"] = [(f"{each['method']} on {each['on']}", each["records"]) for each in dropped]
    why = (numbers.get("selection") or {}).get("not_drawn") or []
    # Of what several quotas had against a record, the last word decided: the first ones are often of other splits.
    last: Counter[str] = Counter()
    for each in why:
        last[each["why"].rpartition("; ")[2]] += each["records"]
    found["not drawn"] = list(last.items())
    return {step: _said(causes) for step, causes in found.items() if causes}


def _said(causes: list[tuple[str, int]], most: int = 3) -> str:
    order = sorted(causes, key=lambda each: -each[1])
    said = " · ".join(f"{short(name, 48)} {records:,}" for name, records in order[:most])
    return f"{said} · {len(order) - most:,} more" if len(order) > most else said
