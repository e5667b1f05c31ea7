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
from curate.attribution import attribute
from curate.contamination import contaminate
from curate.controls import controls, vector_text
from curate.decisions import Decisions, read_decisions
from curate.deduplicating import deduplicate
from curate.eligible import Eligible
from curate.embedding import Embedder
from curate.errors import PluginError, ShortageError
from curate.exporting import Exported, check_all, export_all, splits_of, write_cards
from curate.facts import facts, unmet
from curate.fingerprint import code
from curate.inputs import DigestCache, Input, find_inputs
from curate.judge import judge_measured, judge_text
from curate.keys import canonical, digest, file_digest
from curate.manifest import described, withdraw_manifest, write_manifest
from curate.measuring import measure, subjects, survivors, wanted
from curate.pipeline import SPLITS, Pipeline
from curate.read import ReadInput, read, unreadable
from curate.reduce import exclude, read_takedown, settle, standing
from curate.report.numbers import numbers
from curate.report.page import page
from curate.report.projection import Vectors
from curate.selecting import VectorsOf, candidates, select
from curate.selection.shortage import sentence, short, shortages
from curate.store import Store, Table, write_text
from curate.tables import DECISIONS, EVIDENCE
from curate.watch import Clock, Watch

_REPORTED: Final = (
    "intake",
    "unreadable",
    "amendments",
    "records",
    "verdicts",
    "verdicts_measured",
    "decisions",
    "exclusions",
    "contamination",
    "passes_against",
    "pairs",
    "duplicates",
    "passes",
    "picks",
    "ledger",
)

_TOLD: Final = 3  # records that an alert names


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
    carried_out: dict[str, int] | None = None
    draws_page: bool = True

    def decided(self, cache: DigestCache, store: Store) -> tuple[dict[str, Table], list[ReadInput]]:
        """All tables, the ledger last: what becomes of each record is decided, and nothing exported yet."""
        with self.clock.stage("digest"):
            inputs = find_inputs(self.pipeline, cache)
        tables, done = self._records(inputs, store)
        exclusions = tables["exclusions"].scan().collect()
        self._judge(tables, exclusions, store)
        decided = tables["decisions"].scan().filter(pl.col("decision") == "accept").collect()
        accepted = decided["id"].to_list()
        ids = standing(tables["verdicts"], tables["verdicts_measured"], exclusions, accepted)
        eligible = Eligible(tables["records"], ids, self.pipeline)
        embedder = Embedder(self.pipeline, store, self.workers)
        tables |= contaminate(eligible, embedder, store, self.clock)
        ids = ids.join(tables["contamination"].scan().select("id").collect(), on="id", how="anti")
        tables |= deduplicate(Eligible(tables["records"], ids, self.pipeline), embedder, store, self.clock)
        tables["picks"] = select(tables["records"], ids, tables, self._vectors_of(tables, store), store)
        with self.clock.stage("settle"):
            tables["ledger"] = settle(tables, exclusions, store, accepted)
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
        self._accepted(tables)
        sound = check_all(self.pipeline, tables, strict=self.pipeline.strict and self.sample is None)
        vectors_of = self._vectors_of(tables, store)
        compared = controls(tables["records"], tables["picks"], vectors_of, store)
        before = withdraw_manifest(self.folder)
        with self.clock.stage("export"):
            exported = export_all(self.pipeline, tables, self.folder, sound)
        self.alerts += [each["sentence"] for each in exported.findings if each["severity"] == "warning"]
        known = facts(self.pipeline, done, exported.files, self.command, self.alerts) | {
            "shortages": missing,
            "controls": compared,
            "decisions": self.carried_out,
            "export_findings": exported.findings,
        }
        with self.clock.stage("report") as watch:
            reports = self._report(tables, known, exported, vectors_of, watch)
        for left in before - {export["file"] for export in exported.files} - set(reports):
            (self.folder / left).unlink(missing_ok=True)
        self._finish(tables, known, reports, store)
        return tables

    def _records(self, inputs: list[Input], store: Store) -> tuple[dict[str, Table], list[ReadInput]]:
        total = sum(input.bytes for input in inputs)
        with self.clock.stage("read", total, "bytes") as watch:
            raw, done = read(inputs, store, watch, workers=self.workers, sample=self.sample)
        with self.clock.stage("amend"):
            decided = self._decided(raw)
            edits = [*read_edits(self.pipeline.amend), *decided.edits]
            masking = {source.name: source.masking for source in self.pipeline.sources}
            records, amendments, intake = amend(raw, done, edits, masking, store)
            bad = unreadable(done)
            exclusions, entries = exclude(
                records, read_takedown(self.pipeline.exclude), decided.rejected, self.sample
            )
            met = set(amendments["id"])
            self.alerts += unmet("entries of the takedown list", entries)
            self.alerts += unmet("edits of records", sorted({edit.id for edit in edits} - met))
        small = {"amendments": amendments, "intake": intake, "unreadable": bad, "exclusions": exclusions}
        small["decisions"] = pl.DataFrame(
            [(each.id, each.decision, each.field, each.why, each.by) for each in decided.standing],
            schema=DECISIONS,
            orient="row",
        )
        tables = {"read": raw, "records": records}
        for name, frame in small.items():
            # Amendments may be as large as the records, whose key says all that shaped them.
            content = "" if name == "amendments" else frame.write_json()
            key = digest(name, records.key, digest(content))
            (tables[name],) = store.keyed([name], key, partial(list, [frame]))
        return tables, done

    def _decided(self, raw: Table) -> Decisions:
        """The decisions that hold; those that do not are told of."""
        decided, stale, missing = read_decisions(self.pipeline.decisions).checked(raw.scan())
        self.alerts += unmet("decisions", sorted({each.id for each in missing}))
        if self.pipeline.decisions is not None:
            self.carried_out = {
                "accepted": len(decided.accepted),
                "rejected": len(decided.rejected),
                "edited": len(decided.edits),
                "unmet": len(missing),
                "stale": len(stale),
            }
        if stale:
            changed = sorted({each.id for each in stale})
            self.alerts += [f"decisions were not carried out, since the texts have changed: {', '.join(changed)}"]
        return decided

    def _accepted(self, tables: dict[str, Table]) -> None:
        """Tell of records that were accepted and are not kept: other stages than the rules may be against them."""
        accepted = tables["decisions"].scan().filter(pl.col("decision") == "accept").select("id")
        ends = (
            tables["ledger"].scan().join(accepted, on="id", how="semi").filter(pl.col("state") != "kept").collect()
        )
        if self.carried_out is not None:
            self.carried_out["accepted_not_kept"] = ends.height
        if ends.height:
            told = ", ".join(f"{id} ({state}: {detail})" for id, _, state, detail in ends.head(_TOLD).iter_rows())
            what = "1 accepted record is" if ends.height == 1 else f"{ends.height:,} accepted records are"
            self.alerts.append(f"{what} not kept, though no rule counts: {told}")

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

    def _vectors_of(self, tables: dict[str, Table], store: Store) -> VectorsOf:
        return VectorsOf(
            tables["records"], self.pipeline, Embedder(self.pipeline, store, self.workers), self.clock
        )

    def _shortages(self, tables: dict[str, Table]) -> list[dict[str, Any]]:
        picks = tables["picks"].scan().collect()
        if not short(picks, self.pipeline.quotas):
            return []  # the candidates are all records, with their texts' lengths: they are looked at if need be
        found = shortages(candidates(tables), picks, self.pipeline.quotas)
        return [shortage | {"sentence": sentence(shortage)} for shortage in found]

    def _report(
        self,
        tables: dict[str, Table],
        known: dict[str, Any],
        exported: Exported,
        vectors_of: VectorsOf,
        watch: Watch,
    ) -> dict[str, str]:
        scans = {name: tables[name].scan() for name in _REPORTED}
        for name in ("evidence", "evidence_measured"):
            # Each source has columns of its own here; what the report asks for, all have.
            unknown = [pl.scan_parquet(part.path).select(EVIDENCE.names()) for part in tables[name].parts]
            scans[name] = pl.concat(unknown) if unknown else pl.LazyFrame(schema=EVIDENCE)
        counted = numbers(scans, known, vectors=_compared(tables, vectors_of))
        write_text(self.folder / "report.json", canonical(counted) + "\n")
        made = ["report.json"]
        if self.draws_page and _drawn(counted, self.folder / "report.html", watch):
            made.append("report.html")
        attributed = attribute(
            self._kept(tables),
            self.folder,
            name=self.pipeline.name,
            amendments=scans["amendments"],
        )
        made += [file.name for file in attributed]
        made += write_cards(self.folder, counted, self.pipeline.plain(), exported, beside=made)
        return {name: file_digest(self.folder / name) for name in made}

    def _kept(self, tables: dict[str, Table]) -> Iterator[pl.DataFrame]:
        """The records of all splits, with the split of each."""
        frames = splits_of(self.pipeline, tables)
        for split in SPLITS:
            for frame in frames(split):
                yield frame.with_columns(pl.lit(split).alias("split"))

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
        files = {name: getattr(self.pipeline, name) for name in ("exclude", "amend", "decisions")}
        files |= {f"sources.{source.name}.groups": source.groups for source in self.pipeline.sources}
        return ((name, file) for name, file in files.items() if file is not None)


def _drawn(counted: dict[str, Any], file: Path, watch: Watch) -> bool:
    """Draw the page, and say whether it could be: it is an extra, and the set and the numbers stand without it."""
    try:
        write_text(file, page(counted))
    except PluginError as error:
        file.unlink(missing_ok=True)
        watch.note(str(error))
        return False
    return True


def _compared(tables: dict[str, Table], vectors_of: VectorsOf) -> Vectors | None:
    """The vectors that the pipeline made, of the records that came so far."""
    text = vector_text(vectors_of.pipeline)
    if text is None:
        return None
    measure, on = text
    came = (
        ["picks", "duplicates"]
        if any(call.on == on and call.plugin.measure for call in vectors_of.pipeline.among)
        else ["picks"]
    )
    ids = pl.concat([tables[name].scan().select("id") for name in came]).unique().collect()["id"].sort()
    return Vectors(ids, lambda some: vectors_of(measure, on, some), f"{measure} of {on}")


def _line(stage: dict[str, Any]) -> str:
    peak = f", {stage['peak_mb']:,} MB at most so far" if stage["peak_mb"] else ""
    return f"{stage['stage']}: {stage['seconds']} s, {stage['cpu_seconds']} s of processor time{peak}"
