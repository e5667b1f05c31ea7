"""What is trained on: the splits of a finished run, or a file of rows that no pipeline made, as records.

Records are read, not an exported form of them: so Alpaca's template has its input, and dialogues their turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.errors import CurateError, PipelineError
from curate.keys import canonical, text_digests
from curate.manifest import check_tables
from curate.pipeline import SPLITS
from curate.record import CONTENT
from curate.reduce import in_order
from curate.reporting import FileSet, is_run, open_files
from curate.runs import RUNS, load
from curate.watch import Watch

_SAYS: Final = ("id", *CONTENT)
_AT_ONCE: Final = 4096  # rows whose texts are written as JSON together


@dataclass(frozen=True)
class TrainingSet:
    """Records by split (`train`, and `dev` and `test` where there are any), in the order of the exported files.

    `path` is the run's folder, or the file. `facts` has the `kind` (run or file), the run's `train` table, its
    `manifest` facts where it is a run, the `licences` of each split with their counts, and, of files, the `unread`
    rows with their reasons.
    """

    name: str
    path: Path
    splits: dict[str, pl.DataFrame]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A digest of what all records say, and of their order."""
        return text_digests([canonical({split: _digest(rows) for split, rows in self.splits.items()})])[0]


def read_set(
    path: Path,
    *,
    dev: Path | None = None,
    source: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    runs: Path = RUNS,
    watch: Watch | None = None,
) -> TrainingSet:
    """The set in a finished run's folder, or in a file, of which every row with a response is trained on.

    `dev` names a file for the dev split, in place of the run's; `source` and `parameters` say how files are read
    (see `curate.open_files`). What is read of them lies under `runs/.reports`, and may be deleted.

    Raises `CurateError` when there is nothing to train on, `ReproducibilityError` for a run that is not finished
    or not what its manifest says, and `SourceError` for a file that cannot be read.
    """
    options: dict[str, Any] = {"source": source, "runs": runs, "watch": watch, **(parameters or {})}
    if is_run(path):
        if dev is None and (source or parameters):
            raise PipelineError(
                "a run needs no source to be read by", where=str(path), next="leave out --source and --read"
            )
        read = _of_run(path)
    else:
        read = _of_file(path, options)
    if dev is not None:
        opened = open_files(dev, **options)
        read.splits["dev"] = opened.records.sort("position", "id").collect()
        read.facts["unread"].update(_unread(opened))
    return _checked(read)


def _of_run(path: Path) -> TrainingSet:
    run = load(path)
    check_tables(run.path, run.manifest, ("records", "picks"))
    splits: dict[str, pl.DataFrame] = {split: run.split(split) for split in SPLITS}
    train = run.manifest["pipeline"].get("train", {})
    facts = {"kind": "run", "train": train, "manifest": run.manifest["facts"], "unread": {}}
    return TrainingSet(run.name, run.path, splits, facts)


def _of_file(path: Path, options: Mapping[str, Any]) -> TrainingSet:
    opened = open_files(path, **options)
    quotas = opened.pipeline.plain()["quotas"]
    train = pl.concat(list(in_order(opened.records, opened.table("picks"), "train", quotas)))
    facts = {"kind": "file", "train": {}, "manifest": {}, "unread": _unread(opened)}
    return TrainingSet(opened.name, path, {"train": train}, facts)


def _unread(opened: FileSet) -> dict[str, int]:
    """How many rows of files could not be read, by file and reason."""
    counted = opened.table("unreadable").group_by("file", "reason").len().sort("file", "reason").collect()
    return {f"{file}: {reason}": rows for file, reason, rows in counted.iter_rows()}


def _checked(read: TrainingSet) -> TrainingSet:
    """The set without empty splits, and with its licences counted.

    Raises `CurateError` when train is empty or holds prompts that nobody answers.
    """
    splits = {split: rows for split, rows in read.splits.items() if rows.height}
    if "train" not in splits:
        raise CurateError(
            "there is nothing to train on: the train split is empty",
            where=str(read.path),
            next="`curate report` on it says what became of the rows",
        )
    unanswered = splits["train"].filter(pl.col("response").is_null())
    if unanswered.height:
        raise CurateError(
            f"{unanswered.height:,} rows of train have no response, such as {unanswered['id'][0]}",
            where=str(read.path),
            next="draw prompts without a response into dev or test only",
        )
    counted = {
        split: dict(sorted(rows["license"].fill_null("unknown").value_counts().rows()))
        for split, rows in splits.items()
    }
    return TrainingSet(read.name, read.path, splits, {**read.facts, "licences": counted})


def _digest(rows: pl.DataFrame) -> str:
    pieces = (rows[start : start + _AT_ONCE] for start in range(0, rows.height, _AT_ONCE))
    return canonical(text_digests(canonical(piece.select(_SAYS).rows()) for piece in pieces))
