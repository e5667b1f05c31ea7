"""The training set written in every form that a pipeline asks for, when it has been looked over.

What stands in the way of all training is a finding, and an error under `strict`; what one form has no place for is
an error before anything is written, but for prompts without a response, which are left out of dev and test,
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import polars as pl

from curate.errors import CurateError, PipelineError
from curate.export import Exporter, Part, Written
from curate.export.card import card
from curate.export.checks import Json, Looked, finding, look_over
from curate.keys import file_digest
from curate.pipeline import SPLITS, Call, Pipeline
from curate.reduce import in_order
from curate.store import Table, write_text

Frames = Callable[[str], Iterator[pl.DataFrame]]

_NAMES: Final[dict[Part, str]] = {
    "system": "a system message",
    "history": "earlier turns",
    "tools": "turns of tools",
    "no_response": "no response",
}


@dataclass(frozen=True)
class Exported:
    """What was written, and what was found in it.

    `files` have `file`, `form`, `split` (null for what concerns all splits), `rows` (null for what holds none),
    `sha256` and `bytes`; `findings` are those of `curate.export.checks`.
    """

    files: list[Json]
    findings: list[Json]


@dataclass(frozen=True)
class Sound:
    """A set that every form it is to be written in has a place for, and what was found in it nevertheless."""

    looked: Looked
    findings: list[Json]


def check_all(pipeline: Pipeline, tables: dict[str, Table], *, strict: bool = False) -> Sound:
    """Look over what a run has picked, before anything of an earlier run is touched. Raises as `check` does."""
    return check(pipeline.exports, splits_of(pipeline, tables), strict=strict)


def export_all(pipeline: Pipeline, tables: dict[str, Table], folder: Path, sound: Sound) -> Exported:
    """Write the records that a run has picked in every form that its pipeline asks for."""
    # The first form stands at the top of the folder, where trainers are pointed to.
    targets = [folder if not at else folder / "formats" / call.use for at, call in enumerate(pipeline.exports)]
    asked = list(zip(pipeline.exports, targets, strict=True))
    return export(asked, splits_of(pipeline, tables), folder, name=pipeline.name, sound=sound)


def splits_of(pipeline: Pipeline, tables: dict[str, Table]) -> Frames:
    """The records that a run has picked, split by split, in the order in which they are written."""
    quotas = [quota.model_dump(mode="json", by_alias=True) for quota in pipeline.quotas]
    return frames_of(tables["records"].scan(), tables["picks"].scan(), quotas)


def frames_of(records: pl.LazyFrame, picks: pl.LazyFrame, quotas: list[Json]) -> Frames:
    """The records of a split, in frames of bounded size, by its name."""
    return lambda split: in_order(records, picks, split, quotas)


def check(calls: Sequence[Call], frames: Frames, *, strict: bool = False) -> Sound:
    """Look over the splits that are to be written in these forms.

    Raises `PipelineError` under `strict` when something is wrong with the set; `CurateError` when a form has no
    place for it.
    """
    looked = look_over(frames, SPLITS, {call.use: dict(call.parameters) for call in calls})
    findings = [*looked.findings, *_places([call.plugin for call in calls], looked)]
    if strict:
        _refuse(findings)
    return Sound(looked, findings)


def export(
    asked: Sequence[tuple[Call, Path]], frames: Frames, folder: Path, *, name: str, sound: Sound
) -> Exported:
    """Write splits that are `sound` in forms, each into its folder; `folder` is what files are named from."""
    looked, findings = sound.looked, sound.findings
    files: list[Json] = []
    for call, target in asked:
        rows: dict[str, int] = {}
        for split in SPLITS:
            written = call.plugin(frames(split), split, target, **call.parameters)
            described = [_described(file, folder, call.use, split) for file in written]
            files += described
            if described:
                rows[split] = _rows_of(described)
        if call.plugin.finish is not None:
            added = call.plugin.finish(target, Written(name, rows, looked.longest))
            files += [_described(file, folder, call.use, None) for file in added]
    return Exported(files, findings)


def _refuse(findings: list[Json]) -> None:
    """Raise `PipelineError` when there are warnings."""
    grave = [each["sentence"] for each in findings if each["severity"] == "warning"]
    if grave:
        raise PipelineError(
            "the set has faults, and the pipeline is strict:\n    " + "\n    ".join(grave),
            next="reject such records with a rule (`template_markers`, `control_characters`, `broken_roles`,"
            " `removed`), list their ids under `exclude`, or set `strict = false`",
        )


def _places(forms: Sequence[Exporter], looked: Looked) -> Iterator[Json]:
    """What forms have no place for and may leave out. Raises `CurateError` for what they may not."""
    for form in forms:
        for part in form.lacks:
            found = looked.parts.get(part, {})
            refused = {split: ids for split, ids in found.items() if part != "no_response" or split == "train"}
            if refused:
                count, examples = _together(refused)
                raise CurateError(
                    f"`{form.name}` has no place for records with {_NAMES[part]}: {count:,} of them,"
                    f" such as {', '.join(examples)}",
                    where=f"the export {form.name!r}; nothing is written",
                    next="export them as `messages`, which has a place for everything, or reject them with a rule",
                )
    without = ", ".join(f"`{form.name}`" for form in forms if "no_response" in form.lacks)
    for split, (count, examples) in looked.parts.get("no_response", {}).items() if without else ():
        have = "1 prompt has" if count == 1 else f"{count:,} prompts have"
        sentence = f"in {split}, {have} no response; forms that need one are without them: {without}"
        yield finding("left_out", "note", count, examples, sentence)
    trained = looked.rows.get("train", 0)
    for form in forms:
        if trained < form.fewest:
            sentence = f"`{form.name}`: its reader asks for {form.fewest} rows at least, and train has {trained:,}"
            yield finding("too_few", "warning", trained, [], sentence)


def _together(by_split: dict[str, tuple[int, list[str]]]) -> tuple[int, list[str]]:
    ids = [id for _, examples in by_split.values() for id in examples]
    return sum(count for count, _ in by_split.values()), ids[:3]


def _described(file: Path, folder: Path, form: str, split: str | None) -> Json:
    return {
        "file": file.relative_to(folder).as_posix(),
        "form": form,
        "split": split,
        "rows": _rows_in(file),
        "sha256": file_digest(file),
        "bytes": file.stat().st_size,
    }


def _rows_of(described: Sequence[Json]) -> int:
    """The rows of a split in the first of its forms: those of all files beside the first but for ids."""
    first = PurePosixPath(described[0]["file"]).parent
    files = [(PurePosixPath(each["file"]), each["rows"] or 0) for each in described]
    return sum(rows for file, rows in files if file.parent == first and not file.name.endswith(".ids.jsonl"))


def _rows_in(file: Path) -> int | None:
    """The number of rows of a file of data; None for any other."""
    if file.suffix == ".parquet":
        return int(pl.scan_parquet(file).select(pl.len()).collect().item())
    if file.suffix == ".jsonl":
        with file.open("rb") as lines:
            return sum(1 for _ in lines)
    return None


def write_cards(
    folder: Path, numbers: Json, pipeline: Json, exported: Exported, *, beside: Sequence[str] = ()
) -> list[str]:
    """Write `README.md` into a folder, and into the one for the Hugging Face hub below it; return their names.

    `numbers` are those of the report, `pipeline` the resolved pipeline as plain values, and `beside` the names of
    other files in the folder that the card may point to.
    """
    kept = {row["source"] for row in numbers["ledger"]["sources"] if row["kept"]}
    made = []
    for at in ("", *sorted(_for_the_hub(exported.files))):
        inside = [
            each | {"file": each["file"].removeprefix(at)}
            for each in exported.files
            if each["file"].startswith(at)
        ]
        text = card(
            numbers,
            inside,
            languages=languages_of(pipeline, kept),
            findings=exported.findings,
            beside=[] if at else beside,
        )
        write_text(folder / f"{at}README.md", text)
        made.append(f"{at}README.md")
    return made


def _for_the_hub(files: Sequence[Json]) -> set[str]:
    """The folders below the top that are in the layout of the hub, with the slash after them."""
    parts = [each["file"].rsplit("/", 2) for each in files if each["file"].endswith(".parquet")]
    return {f"{above[0]}/" for above in parts if len(above) > 2}


def languages_of(pipeline: Json, sources: Collection[str]) -> list[str]:
    """The languages of some of a pipeline's sources: those that a rule keeps, else the one that is declared."""
    found: set[str] = set()
    for source in pipeline["sources"]:
        if source["name"] not in sources:
            continue
        kept = [rule["keep"] for rule in source["rules"] if rule["use"] == "wrong_language" and not rule["lifted"]]
        found |= set(kept[0]) if kept else {source["language"]} - {None}
    return sorted(found)
