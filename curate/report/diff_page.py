"""What differs between two runs, or two sets of files, as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from curate.diff_settings import readable
from curate.report.page import environment, value

Json = dict[str, Any]

MAX_BYTES: Final = 3_000_000
# How many examples of each kind are shown: all that there are, or fewer where the page would grow too large.
_EXAMPLES: Final = (None, 20, 3, 0)

_RUNS: Final = (
    ("lost", "Lost", "Kept in A and not in B"),
    ("gained", "Gained", "Kept in B and not in A"),
    ("others", "Others", "Kept in both or in neither, and yet not the same"),
)
_FILES: Final = (
    ("changed", "Changed", "In both, and not the same"),
    ("lost", "Only in A", "Only in A"),
    ("gained", "Only in B", "Only in B"),
)
_BY: Final = {"id": "same id", "prompt": "same prompt"}


def diff_page(plain: Mapping[str, Any]) -> str:
    """The page of a difference, as `plain` of `Difference` or of `FilesDifference` gives it; at most 3 MB.

    Raises `PluginError` when jinja2 is not installed.
    """
    drawing = environment()
    drawing.filters |= {"plain": _number, "most": _most}
    template = drawing.get_template("diff.html")
    shifts = plain["shifts"]
    ready = {
        **plain,
        **(_of_runs(plain) if plain["kind"] == "runs" else _of_files(plain)),
        "apart": [row for row in shifts if row["shift"] != 0],
        "alike": [row for row in shifts if row["shift"] == 0],
    }
    for examples in _EXAMPLES:
        kinds = [kind | {"rows": kind["rows"][:examples]} for kind in ready["kinds"]]
        made: str = template.render(ready | {"kinds": kinds})
        if len(made.encode()) <= MAX_BYTES:
            break
    return made


def _of_runs(plain: Mapping[str, Any]) -> Json:
    n = plain["counts"]
    both = n["kept_a"] - n["lost"]
    notes = [f"{n['both']:,} records in both runs; {n['differing']:,} do not end the same."]
    notes += [f"{n[key]:,} in {side} only." for side, key in (("A", "only_a"), ("B", "only_b")) if n[key]]
    notes += [f"{n['other_text']:,} with another text."] if n["other_text"] else []
    return {
        "heading": f"From A to B: {_rows(n['lost'])} lost, {n['gained']:,} gained, {both:,} kept by both",
        "overlap": _overlap(
            (("a", "lost", n["lost"]), ("both", "kept by both", both), ("b", "gained", n["gained"]))
        ),
        "notes": notes,
        "chosen": "the first by id",
        "settings": _settings(plain["settings"]),
        "states": [row | {"same": row["state_a"] == row["state_b"]} for row in plain["states"]],
        "reasons": [row | {"differs": bool(row["only_a"] or row["only_b"])} for row in plain["reasons"]],
        "kinds": _kinds(plain, _RUNS, {**n, "others": n["differing"] - n["lost"] - n["gained"]}, _ends),
    }


def _of_files(plain: Mapping[str, Any]) -> Json:
    n = plain["counts"]
    notes = list(plain["not_compared"])
    if not plain["ids_told"]:
        notes.append("Rows that say the same mostly bear other ids, so ids were not gone by.")
    parts = (
        ("a", "only in A", n["lost"]),
        ("both", "the same in both", n["same"]),
        ("changed", "changed", n["changed"]),
        ("b", "only in B", n["gained"]),
    )
    return {
        "heading": (
            f"{_rows(n['same'])} the same in both, {n['changed']:,} changed;"
            f" {n['lost']:,} only in A, {n['gained']:,} only in B"
        ),
        "overlap": _overlap(parts),
        "notes": notes,
        "chosen": "drawn by id",
        "kinds": _kinds(plain, _FILES, n, _matched),
    }


def _settings(rows: Sequence[Mapping[str, Any]]) -> list[Json]:
    """What people set first, then what follows from it: inputs, versions and code."""
    ordered = sorted(rows, key=lambda row: row["setting"].startswith(("code.", "version.")))
    return [{"setting": row["setting"]} | {side: readable(row[side]) for side in "ab"} for row in ordered]


def _overlap(parts: Sequence[tuple[str, str, int]]) -> list[Json]:
    return [{"key": key, "name": name, "records": records} for key, name, records in parts]


def _kinds(
    plain: Mapping[str, Any], kinds: Sequence[tuple[str, str, str]], of: Mapping[str, int], said: Any
) -> list[Json]:
    return [
        {
            "name": name,
            "short": short,
            "title": title,
            "of": of[name],
            "rows": [row | {"ends": said(row)} for row in plain[name]],
        }
        for name, short, title in kinds
    ]


def _ends(row: Mapping[str, Any]) -> list[str]:
    """How a record ended in both runs, in words."""
    said = []
    for side in "ab":
        state, detail = row[f"state_{side}"], row[f"detail_{side}"]
        said.append(
            f"{side.upper()}: {'not there' if state is None else f'{state} ({detail})' if detail else state}"
        )
    return said


def _matched(row: Mapping[str, Any]) -> list[str]:
    """What a changed row is known by, and what of it changed."""
    return [f"{_BY[row['by']]}, another {row['differs']}"] if row["end"] == "changed" else []


def _rows(number: int) -> str:
    return f"{number:,} {'row' if number == 1 else 'rows'}"


def _number(number: float | str | None) -> str:
    return "–" if number is None else value(number)


def _most(rows: Sequence[Mapping[str, Any]], n_a: int, n_b: int) -> float:
    """The largest share of a side that one row has."""
    return max((each[side] / n for each in rows for side, n in (("a", n_a), ("b", n_b)) if n), default=0.0)
