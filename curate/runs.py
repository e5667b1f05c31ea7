"""Run a pipeline, and hold what it left: what a notebook imports."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate import registry
from curate.decisions import read_decisions
from curate.deduplicating import check_passes
from curate.diff import Difference, difference
from curate.duplicates import Duplicates, duplicates_of
from curate.engine import cores
from curate.errors import PipelineError, ReproducibilityError, nearest
from curate.explore import SIZE, Explorer, Page, asked
from curate.fingerprint import forget
from curate.inputs import DigestCache
from curate.judge import on_measures, on_text, verdict_schema
from curate.keys import digest
from curate.manifest import broken, check_format, locked, read_manifest
from curate.masking import mask_of
from curate.pipeline import SPLITS, Pipeline
from curate.reduce import in_order
from curate.resolve import read_pipeline
from curate.review import Reviewer
from curate.run_charts import Drawing, chart, charts
from curate.run_display import controls, report_of, run_html
from curate.selecting import check_selection
from curate.shown import Shown, read_shown
from curate.store import read_json, scan, sweep
from curate.tuning import Tuning, tuning
from curate.watch import Clock, Watch
from curate.why import Explanation, explain
from curate.work import Work

RUNS: Final = Path("runs")
ABLATION: Final = "ablation.json"

# Of a folder's name, which file systems allow 255 bytes: beyond, a digest stands for the names of lifted rules.
_LIFTED_WIDTH: Final = 120
_DIGITS: Final = 12


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its tables as lazy frames, and the way back from any record."""

    path: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def tables(self) -> list[str]:
        """The names of the run's tables."""
        return sorted(self.manifest["tables"])

    def table(self, name: str) -> pl.LazyFrame:
        """A table of the run; see `curate.tables` and `curate.record` for the columns."""
        if name not in self.manifest["tables"]:
            raise ReproducibilityError(
                f"the run has no table {name!r}", where=str(self.path), next=f"tables: {', '.join(self.tables)}"
            )
        listed = self.manifest["tables"][name]
        folder = self.path / "stages" / listed["folder"]
        return scan([folder / part for part in listed["parts"]], folder)

    @property
    def records(self) -> pl.LazyFrame:
        """All records, whatever became of them."""
        return self.table("records")

    @property
    def ledger(self) -> pl.LazyFrame:
        """The one state in which each record ended."""
        return self.table("ledger")

    @property
    def verdicts(self) -> pl.LazyFrame:
        """Evidence and reasons of every rule that needs no measure."""
        return self.table("verdicts")

    def split(self, split: str = "train") -> pl.DataFrame:
        """The records of a split, in the order in which they were exported."""
        if split not in SPLITS:
            raise PipelineError(f"no split is called {split!r}", next=nearest(split, SPLITS))
        quotas = self.manifest["pipeline"]["quotas"]
        return pl.concat(list(in_order(self.records, self.table("picks"), split, quotas)))

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """Every number of the report."""
        loaded: dict[str, Any] = read_json(self.path / "report.json")
        return loaded

    def why(self, wanted: str) -> Explanation:
        """Why a record, given by its id or address, is in or out."""
        return explain(self.table, self.manifest, wanted)

    def record(self, id: str) -> Shown:
        """One record as a person reads it: the conversation, how it ended, what rules found, and whose it is."""
        return read_shown(self, [id])[0]

    @cached_property
    def explorer(self) -> Explorer:
        """The records to be asked for, page by page."""
        return Explorer(self)

    def find(self, *, page: int = 1, size: int = SIZE, **query: Any) -> Page:
        """A page of the records that fit a query; see `curate.explore.Query` for what can be asked."""
        return self.explorer.page(asked(query), page, size=size)

    def explore(self, *, size: int = SIZE, decisions: str | Path | None = None, by: str = "", **query: Any) -> Any:
        """The records in Jupyter, to be paged through, filtered and searched; it begins with a query.

        With a file of `decisions`, records can be accepted, rejected and edited there.

        Raises `PluginError` without ipywidgets; `find` needs none.
        """
        from curate.explore_widget import browser

        reviewer = None if decisions is None else Reviewer(self, Path(decisions), by)
        return browser(self.explorer, asked(query), size=size, reviewer=reviewer)

    def rule(self, name: str, *, source: str | None = None) -> Tuning:
        """A rule on numbers: what it would reject at other limits, told from what it found in this run."""
        return tuning(self, name, source)

    def tune(self, name: str, *, source: str | None = None) -> Any:
        """A rule on numbers in Jupyter, with its limit on a slider.

        Raises `PluginError` without ipywidgets; `rule` needs none.
        """
        from curate.tuning_widget import slider

        return slider(self.rule(name, source=source))

    def review(self, file: str | Path, *, by: str) -> Reviewer:
        """Somebody who accepts, rejects and edits records, into a file of decisions for the next run to replay."""
        return Reviewer(self, Path(file), by)

    def chart(self, name: str) -> Drawing:
        """A chart of the report, to be shown in a notebook; `charts` names those that the run has.

        Its attribute `chart` is the Altair chart.
        """
        return chart(self.numbers, name)

    @property
    def charts(self) -> list[str]:
        """The charts that `chart` can make of this run."""
        return charts(self.numbers)

    @property
    def controls(self) -> pl.DataFrame:
        """The selection beside chance and length, a row a metric; see `curate.run_display.controls`."""
        return controls(self.numbers)

    def diff(self, other: Run) -> Difference:
        """What differs between this run and another: records by state and reason, and settings."""
        return difference(self, other)

    def duplicates(self, *, against: bool = False) -> Duplicates:
        """Which records say the same, group by group; or, `against` references, which records these are in."""
        return duplicates_of(self, against=against)

    def verify(self) -> list[str]:
        """What differs between the manifest and the disk: a sentence for each file missing or changed."""
        return list(broken(self.path, self.manifest))

    def __repr__(self) -> str:
        counts = self.ledger.group_by("state").len().collect().sort("state")
        states = ", ".join(f"{count:,} {state}" for state, count in counts.iter_rows())
        return f"Run {self.name!r}: {states or 'no records'}\n  {report_of(self)}"

    def _repr_html_(self) -> str:
        return run_html(self, self.numbers)


def load(path: str | Path) -> Run:
    """The finished run in a folder.

    Raises `ReproducibilityError` when the run is not finished, or a newer version wrote it.
    """
    return Run(Path(path), read_manifest(Path(path)))


def prepare(pipeline: str | Path, *, plugins: Iterable[str | Path] = (), without: Iterable[str] = ()) -> Pipeline:
    """The pipeline in a file, checked as far as it can be without reading data, with rules lifted."""
    registry.use_folders([Path(folder) for folder in plugins])
    forget()
    read = read_pipeline(Path(pipeline), without=tuple(without))
    check_selection(read)
    read_decisions(read.decisions)
    check_passes(read)
    for rules_of in (on_text, on_measures):
        verdict_schema(read, rules_of)  # every rule is built and typed once, on an empty frame
    for source in read.sources:
        for rule in source.masking:
            mask_of(rule)
    return read


def run(
    pipeline: str | Path,
    *,
    sample: int | None = None,
    workers: int | None = None,
    plugins: Iterable[str | Path] = (),
    without: Iterable[str] = (),
    runs: str | Path = RUNS,
    rehash: bool = False,
    watch: Watch | None = None,
) -> Run:
    """Run a pipeline to its end, doing only what is not done yet.

    `sample` takes about that many records of each source, for a first look, into a run of its own. `workers`
    is the number of processes for work bound to Python (default: one a core). `without` lifts rules: their
    evidence stays, and they reject nothing. `rehash` does not trust the cache of input digests.

    The run folder is `runs/<name>`; a sample and a run without some rules have folders of their own beside it,
    such as `runs/<name>-without-first_person`, and share with it what is done.

    Raises a `CurateError` that says what is wrong, where, and what to do next.
    """
    check_counts(sample=sample, workers=workers)
    resolved = prepare(pipeline, plugins=plugins, without=without)
    folder = Path(runs) / run_name(resolved, sample)
    check_format(folder)
    with locked(folder):
        sweep(folder)
        command = command_line(Path(pipeline), sample, tuple(without), [Path(folder) for folder in plugins])
        work = Work(resolved, folder, Clock(watch or Watch()), workers or cores(), sample, command)
        work.done(DigestCache(folder.parent / ".cache" / "digests.json", rehash=rehash))
        done = load(folder)
        _withdraw_ablation(done)
        return done


def check_counts(**counts: int | None) -> None:
    """Raise `PipelineError` for a number of something that is given and less than one."""
    for what, number in counts.items():
        if number is not None and number < 1:
            raise PipelineError(f"`{what}` is {number}", next="give a number from 1 up, or leave it out")


def _withdraw_ablation(run: Run) -> None:
    """Remove what `curate ablate` found out about this run when its records ended otherwise."""
    file = run.path / ABLATION
    with suppress(OSError, ValueError, KeyError):
        if read_json(file)["ledger"] == run.manifest["tables"]["ledger"]["key"]:
            return
    for suffix in (".json", ".md"):
        file.with_suffix(suffix).unlink(missing_ok=True)


def run_name(pipeline: Pipeline, sample: int | None = None) -> str:
    """The name of the folder of a pipeline's run, which says what was left out: of many rules, how many."""
    sampled = "" if sample is None else "-sample"
    lifted = "+".join(pipeline.lifted)
    if len(lifted) > _LIFTED_WIDTH:
        lifted = f"{len(pipeline.lifted)}-rules-{digest(pipeline.lifted)[:_DIGITS]}"
    without = f"-without-{lifted}" if lifted else ""
    return f"{pipeline.name}{sampled}{without}"


def command_line(pipeline: Path, sample: int | None, without: tuple[str, ...], plugins: list[Path]) -> str:
    """The command that makes a run, without the folders of this machine."""
    flags = [] if sample is None else ["--sample", str(sample)]
    flags += [part for name in without for part in ("--without", name)]
    flags += [part for folder in plugins for part in ("--plugins", folder.name)]
    return shlex.join(["curate", "run", pipeline.name, *flags])
