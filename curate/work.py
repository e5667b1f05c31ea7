"""The stages of one run, in order.

Every stage's tables are keyed by all that shaped them, so a stage that has nothing new to do finds its tables
there, and a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.amend import amend, read_edits
from curate.contamination import contaminate
from curate.deduplicating import deduplicate
from curate.eligible import Eligible
from curate.embedding import Embedder
from curate.errors import PluginError, ShortageError
from curate.facts import facts, unmet
from curate.fingerprint import code
from curate.inputs import DigestCache, Input, find_inputs
from curate.judge import judge_measured, judge_text
from curate.keys import canonical, digest, file_digest
from curate.manifest import described, withdraw_manifest, write_manifest
from curate.measuring import measure, subjects, survivors, wanted
from curate.pipeline import SPLITS, Pipeline
from curate.read import ReadInput, read, unreadable
from curate.reduce import candidates, exclude, in_order, read_takedown, select, settle, standing
from curate.report.numbers import numbers
from curate.report.page import page
from curate.selection.shortage import sentence, short, shortages
from curate.store import Store, Table, write_text
from curate.tables import EVIDENCE
from curate.watch import Clock, Watch

_REPORTED: Final = (
    "intake",
    "unreadable",
    "amendments",
    "records",
    "verdicts",
    "verdicts_measured",
    "exclusions",
    "contamination",
    "passes_against",
    "pairs",
    "duplicates",
    "passes",
    "picks",
    "ledger",
)


@dataclass
class Work:
    """One run under way."""

    pipeline: Pipeline
    folder: Path
    clock: Clock
    workers: int
    sample: int | None
    command: str
    alerts: list[str] = field(default_factory=list)

    def decided(self, cache: DigestCache, store: Store) -> tuple[dict[str, Table], list[ReadInput]]:
        """All tables, the ledger last: what becomes of each record is decided, and nothing exported yet."""
        with self.clock.stage("digest"):
            inputs = find_inputs(self.pipeline, cache)
        tables, done = self._records(inputs, store)
        exclusions = tables["exclusions"].scan().collect()
        self._judge(tables, exclusions, store)
        ids = standing(tables["verdicts"], tables["verdicts_measured"], exclusions)
        eligible = Eligible(tables["records"], ids, self.pipeline)
        embedder = Embedder(self.pipeline, store, self.workers)
        tables |= contaminate(eligible, embedder, store, self.clock)
        ids = ids.join(tables["contamination"].scan().select("id").collect(), on="id", how="anti")
        tables |= deduplicate(Eligible(tables["records"], ids, self.pipeline), embedder, store, self.clock)
        with self.clock.stage("select"):
            tables["picks"] = select(tables["records"], ids, tables["duplicates"], self.pipeline, store)
            tables["ledger"] = settle(tables, exclusions, store)
        return tables, done

    def done(self, cache: DigestCache) -> dict[str, Table]:
        """Go through all stages. The manifest is written last, so its existence means that all is done."""
        store = Store(self.folder)
        tables, done = self.decided(cache, store)
        missing = self._shortages(tables)
        if missing and self.pipeline.strict and self.sample is None:
            raise ShortageError(
                "a quota stayed short, and the pipeline is strict",
                where="; ".join(each["sentence"] for each in missing),
                next="take fewer, loosen the rule that cost most, or read more data",
            )
        before = withdraw_manifest(self.folder)
        with self.clock.stage("export"):
            exports = self._export(tables)
            for left in before - {export["file"] for export in exports}:
                (self.folder / left).unlink(missing_ok=True)
        known = facts(self.pipeline, done, missing, exports, self.command, self.alerts)
        with self.clock.stage("report") as watch:
            reports = self._report(tables, known, watch)
        self._finish(tables, known, reports, store)
        return tables

    def _records(self, inputs: list[Input], store: Store) -> tuple[dict[str, Table], list[ReadInput]]:
        total = sum(input.bytes for input in inputs)
        with self.clock.stage("read", total, "bytes") as watch:
            raw, done = read(inputs, store, watch, workers=self.workers, sample=self.sample)
        with self.clock.stage("amend"):
            edits = read_edits(self.pipeline.amend)
            masking = {source.name: source.masking for source in self.pipeline.sources}
            records, amendments, intake = amend(raw, done, edits, masking, store)
            bad = unreadable(done)
            exclusions, entries = exclude(records, read_takedown(self.pipeline.exclude), self.sample)
            met = set(amendments["id"])
            self.alerts += unmet("entries of the takedown list", entries)
            self.alerts += unmet("edits of records", sorted({edit.id for edit in edits} - met))
        small = {"amendments": amendments, "intake": intake, "unreadable": bad, "exclusions": exclusions}
        tables = {"read": raw, "records": records}
        for name, frame in small.items():
            # Amendments may be as large as the records, whose key says all that shaped them.
            content = "" if name == "amendments" else frame.write_json()
            key = digest(name, records.key, digest(content))
            (tables[name],) = store.keyed([name], key, partial(list, [frame]))
        return tables, done

    def _judge(self, tables: dict[str, Table], exclusions: pl.DataFrame, store: Store) -> None:
        records = tables["records"]
        with self.clock.stage("judge", len(records.parts)) as watch:
            tables["evidence"], tables["verdicts"] = judge_text(records, self.pipeline, store, watch)
        standing = survivors(records, tables["verdicts"], exclusions, self.pipeline)
        measures = []
        for want in wanted(self.pipeline):
            mine = [part.key for part in records.parts if part.source in want.sources]
            with self.clock.stage(want.table, sum(len(standing[key]) for key in mine), "texts") as watch:
                tables[want.table], parts = measure(want, records, standing, store, watch, workers=self.workers)
            measures.append((want, parts))
        surviving = subjects(records, standing, measures)
        with self.clock.stage("judge again", len(surviving)) as watch:
            tables["evidence_measured"], tables["verdicts_measured"] = judge_measured(
                surviving, self.pipeline, store, watch
            )

    def _shortages(self, tables: dict[str, Table]) -> list[dict[str, Any]]:
        picks = tables["picks"].scan().collect()
        if not short(picks, self.pipeline.quotas):
            return []  # the candidates are all records, with their texts' lengths: they are looked at if need be
        found = shortages(candidates(tables), picks, self.pipeline.quotas)
        return [shortage | {"sentence": sentence(shortage)} for shortage in found]

    def _export(self, tables: dict[str, Table]) -> list[dict[str, Any]]:
        quotas = [quota.model_dump(mode="json", by_alias=True) for quota in self.pipeline.quotas]
        written = []
        for number, export in enumerate(self.pipeline.exports):
            # The first form stands at the top of the folder, where trainers are pointed to.
            target = self.folder if number == 0 else self.folder / "formats" / export.use
            for split in SPLITS:
                frames = in_order(tables["records"].scan(), tables["picks"].scan(), split, quotas)
                written += export.plugin(frames, split, target, **export.parameters)
        return [
            {
                "file": file.relative_to(self.folder).as_posix(),
                "rows": _lines_in(file),
                "sha256": file_digest(file),
                "bytes": file.stat().st_size,
            }
            for file in written
        ]

    def _report(self, tables: dict[str, Table], known: dict[str, Any], watch: Watch) -> dict[str, str]:
        scans = {name: tables[name].scan() for name in _REPORTED}
        for name in ("evidence", "evidence_measured"):
            # Each source has columns of its own here; what the report asks for, all have.
            unknown = [pl.scan_parquet(part.path).select(EVIDENCE.names()) for part in tables[name].parts]
            scans[name] = pl.concat(unknown) if unknown else pl.LazyFrame(schema=EVIDENCE)
        counted = numbers(scans, known)
        write_text(self.folder / "report.json", canonical(counted) + "\n")
        made = ["report.json"]
        try:
            write_text(self.folder / "report.html", page(counted))
            made.append("report.html")
        except PluginError as error:  # the page is an extra; the set and the numbers stand without it
            (self.folder / "report.html").unlink(missing_ok=True)
            watch.note(str(error))
        return {name: file_digest(self.folder / name) for name in made}

    def _finish(
        self, tables: dict[str, Table], known: dict[str, Any], reports: dict[str, str], store: Store
    ) -> None:
        stages = {name: {"made": tally.made, "found": tally.found} for name, tally in store.tallies.items()}
        write_text(self.folder / "run.log", "".join(f"{_line(stage)}\n" for stage in self.clock.stages))
        write_manifest(
            self.folder,
            {
                "name": self.folder.name,
                "pipeline": self.pipeline.plain(),
                "sample": self.sample,
                "files": {name: file_digest(file) for name, file in self._files()},
                "facts": known,
                "reports": reports,
                "code": {module: code(module) for module in ("curate.work", *self.pipeline.modules)},
                "tables": {name: described(table) for name, table in tables.items()},
                "parts": stages,
                "times": self.clock.stages,
            },
        )

    def _files(self) -> Iterator[tuple[str, Path]]:
        """The files that shape the run beside its inputs, by the setting that names each."""
        files = {"exclude": self.pipeline.exclude, "amend": self.pipeline.amend}
        files |= {f"sources.{source.name}.groups": source.groups for source in self.pipeline.sources}
        return ((name, file) for name, file in files.items() if file is not None)


def _lines_in(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)


def _line(stage: dict[str, Any]) -> str:
    peak = f", {stage['peak_mb']:,} MB at most so far" if stage["peak_mb"] else ""
    return f"{stage['stage']}: {stage['seconds']} s, {stage['cpu_seconds']} s of processor time{peak}"
