"""The measure stage: costly facts about the records that no rule on text has rejected.

Nothing is measured twice. What is known is kept beside the runs in two ways: by part of `records`, so that a
tightened threshold reads no text at all, and by the text's digest, so that the same text met elsewhere, or
after its source was read again, is not measured again. Finished batches survive a killed run.

A keyed measure looks at all records of a source together, so it is known by all of them, and by no text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate import registry
from curate.engine import in_order
from curate.fingerprint import code
from curate.judge import Subject, on_measures
from curate.keys import digest, text_digests
from curate.measure import Measure
from curate.pipeline import Pipeline
from curate.store import Part, Store, Table, write_parquet
from curate.views import needed, present_in_record, text, with_views
from curate.watch import Watch

_WORTH_WORKERS: Final = 2_000  # texts; fewer are measured sooner than two workers start
_ROWS: Final = 4_096  # of what is known, read at a time
_FILE: Final = ":file"  # no measure has such a column


@dataclass(frozen=True)
class Wanted:
    """One measure of one field, for the sources whose rules read it."""

    measure: Measure
    of: str
    sources: frozenset[str]
    parameters: Mapping[str, Any]

    @property
    def table(self) -> str:
        return f"{self.measure.name}_{self.of}"

    @property
    def key(self) -> str:
        return measure_key(self.measure, self.parameters)

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({"id": pl.String(), **self.measure.schema})


def measure_key(measure: Measure, parameters: Mapping[str, Any]) -> str:
    """The digest of all that shapes a measure but the text."""
    revision = measure.revised(parameters)
    return digest("measure", measure.name, revision, measure.resolved(parameters), code(measure.module))


def wanted(pipeline: Pipeline) -> list[Wanted]:
    """The measures that the pipeline's rules read, in alphabetical order."""
    sources: dict[tuple[str, str], set[str]] = {}
    for source in pipeline.sources:
        for name in needed([each for rule in on_measures(source) for each in rule.verdict.reads], "measure"):
            _, measure, of, _ = name.split(":")
            sources.setdefault((measure, of), set()).add(source.name)
    return [
        Wanted(
            registry.get("measures", measure),
            of,
            frozenset(sources[measure, of]),
            pipeline.measures.get(measure, {}),
        )
        for measure, of in sorted(sources)
    ]


def survivors(
    records: Table, verdicts: Table, exclusions: pl.DataFrame, pipeline: Pipeline
) -> dict[str, pl.Series]:
    """For each part of `records` whose source has rules on measures: the ids still standing, in order."""
    judged = {source.name for source in pipeline.sources if on_measures(source)}
    standing = {}
    for part, verdict in zip(records.parts, verdicts.parts, strict=True):
        if part.source in judged:
            clean = pl.scan_parquet(verdict.path).filter(pl.col("reasons").list.len() == 0).select("id")
            ids = clean.collect().join(exclusions.select("id"), on="id", how="anti")["id"].sort()
            standing[part.key] = ids
    return standing


def measure(
    want: Wanted, records: Table, standing: dict[str, pl.Series], store: Store, watch: Watch, *, workers: int
) -> tuple[Table, dict[str, Part]]:
    """The table of one measure, and its parts by the keys of the parts of `records` that they are about.

    A row for each surviving record that has the field.
    """
    if want.measure.beside:
        return _compare(want, records, standing, store, watch)
    cache = cache_of(store, want.measure, want.parameters)
    parts = [part for part in records.parts if part.source in want.sources and part.key in standing]
    keys = {part.key: digest(want.table, want.key, part.key, standing[part.key].to_list()) for part in parts}
    writer = store.table(want.table, digest(list(keys.values())), want.schema)
    found = {part.key: writer.find(keys[part.key]) for part in parts}
    jobs = [
        _PartJob(part, want, standing[part.key], cache / f"{want.of}-{part.key}.parquet")
        for part in parts
        if found[part.key] is None
    ]
    total = sum(len(job.ids) for job in jobs)
    _measure_texts((job.texts() for job in jobs), total, want, cache, watch, workers)
    asked = pl.concat([pl.Series(dtype=pl.String), *(job.digests["text"] for job in jobs)])
    known = _together(_known_texts(cache, want.measure, asked), want.measure)
    made = {job.part.key: writer.write(keys[job.part.key], job.part.source, job.values(known)) for job in jobs}
    writer.tally.count(made=True, of=len(made))
    writer.tally.count(made=False, of=len(parts) - len(made))
    done = {part.key: found[part.key] or made[part.key] for part in parts}
    return writer.close(list(done.values())), done


def subjects(
    records: Table, standing: dict[str, pl.Series], measures: Sequence[tuple[Wanted, dict[str, Part]]]
) -> list[Subject]:
    """The surviving records of each part with their measures beside them, to be judged."""
    made = []
    for part in records.parts:
        if part.key in standing:
            mine = [(want, parts[part.key]) for want, parts in measures if part.key in parts]
            key = digest(part.key, standing[part.key].to_list(), [measured.key for _, measured in mine])
            made.append(Subject(key, part.source, partial(_beside, part, standing[part.key], mine)))
    return made


def _beside(records: Part, ids: pl.Series, measures: Sequence[tuple[Wanted, Part]]) -> pl.LazyFrame:
    scan = pl.scan_parquet(records.path).join(pl.LazyFrame({"id": ids}), on="id", how="semi")
    for want, part in measures:
        columns = {name: f"measure:{want.measure.name}:{want.of}:{name}" for name in want.measure.schema}
        values = pl.scan_parquet(part.path).rename(columns)
        scan = scan.join(values, on="id", how="left", maintain_order="left")
    return scan


@dataclass
class _PartJob:
    """The texts of one part that are to be measured, and what is known of the part already."""

    part: Part
    want: Wanted
    ids: pl.Series
    kept: Path

    def __post_init__(self) -> None:
        before = pl.read_parquet(self.kept) if self.kept.exists() else pl.DataFrame(schema=self.want.schema)
        self.before = before
        self.digests = pl.DataFrame(schema={"id": pl.String, "text": pl.String})

    def texts(self) -> tuple[list[str], Iterable[str]]:
        """The texts not known by id, after their digests."""
        missing = self.ids.to_frame("id").join(self.before.select("id"), on="id", how="anti")
        if missing.is_empty():
            return [], []
        subject = text(self.want.of)
        scan = pl.scan_parquet(self.part.path).join(missing.lazy(), on="id", how="semi")
        scan = with_views(scan, [subject]).filter(present_in_record(subject))
        found = scan.select("id", subject.alias("text")).collect().sort("id")
        digests = text_digests(found["text"])
        self.digests = pl.DataFrame({"id": found["id"], "text": digests}, schema=self.digests.schema)
        return digests, found["text"]

    def values(self, known: pl.DataFrame) -> pl.DataFrame:
        """The measures of the surviving records, which are then kept for the next run."""
        new = self.digests.join(known, on="text", how="left").drop("text")
        every = pl.concat([self.before, new.select(self.want.schema.names())]).sort("id")
        if not new.is_empty():
            write_parquet(self.kept, every)
        return every.join(self.ids.to_frame("id"), on="id", how="semi").sort("id")


def _compare(
    want: Wanted, records: Table, standing: dict[str, pl.Series], store: Store, watch: Watch
) -> tuple[Table, dict[str, Part]]:
    """What `measure` does, for a keyed measure: source by source, with all of its surviving records at once."""
    by_source: dict[str, list[Part]] = {}
    for part in records.parts:
        if part.source in want.sources and part.key in standing:
            by_source.setdefault(part.source, []).append(part)
    keys = {
        source: digest(want.table, want.key, [[part.key, standing[part.key].to_list()] for part in parts])
        for source, parts in by_source.items()
    }
    writer = store.table(want.table, digest(list(keys.values())), want.schema)
    done: dict[str, Part] = {}
    for source, parts in by_source.items():
        found = {part.key: writer.find(digest(keys[source], part.key)) for part in parts}
        if any(part is None for part in found.values()):
            rows = pl.concat([_comparable(part, want, standing[part.key]) for part in parts])
            ordered = rows.sort("id")
            made = want.measure(ordered, **want.parameters).select(want.measure.schema.keys())
            values = ordered.select("id").hstack(made)
            for part in parts:
                own = values.join(standing[part.key].to_frame("id"), on="id", how="semi").sort("id")
                found[part.key] = writer.write(digest(keys[source], part.key), source, own)
            writer.tally.count(made=True, of=len(parts))
        else:
            writer.tally.count(made=False, of=len(parts))
        done |= {key: part for key, part in found.items() if part is not None}
        watch.advance(sum(len(standing[part.key]) for part in parts))
    return writer.close(list(done.values())), done


def _comparable(part: Part, want: Wanted, ids: pl.Series) -> pl.DataFrame:
    """What a keyed measure looks at: digests instead of texts, so that millions of records fit."""
    fields = {"key": text(want.of)} | {name: text(name) for name in want.measure.beside}
    scan = pl.scan_parquet(part.path).join(ids.to_frame("id").lazy(), on="id", how="semi")
    scan = with_views(scan, fields.values()).filter(present_in_record(fields["key"]))
    found = scan.select("id", "draw", *(expression.alias(name) for name, expression in fields.items())).collect()
    return found.with_columns(_digested(found[name]) for name in fields)


def _digested(texts: pl.Series) -> pl.Series:
    known = texts.is_not_null()
    digests = pl.Series(text_digests(texts.fill_null("")), dtype=pl.String)
    return pl.select(pl.when(known).then(digests).alias(texts.name)).to_series()


def measured_texts(
    measure: Measure,
    parameters: Mapping[str, Any],
    blocks: Iterable[Collection[str]],
    store: Store,
    watch: Watch,
    *,
    total: int,
    workers: int,
) -> Iterator[pl.DataFrame]:
    """Measure the texts of all blocks, at most `total`, of which none is measured that was measured before.

    What comes back reads the measure's columns, some thousand rows at a time in no order, each with its text's
    `place` among the texts of all blocks. Texts are held a block at a time, and nothing is read before it is
    asked for.
    """
    cache, every = cache_of(store, measure, parameters), [pl.Series(dtype=pl.String)]

    def digested() -> Iterator[tuple[list[str], Collection[str]]]:
        for block in blocks:
            digests = text_digests(block)
            every.append(pl.Series(digests, dtype=pl.String))
            yield digests, block

    _measure_texts(digested(), total, Wanted(measure, "", frozenset(), parameters), cache, watch, workers)
    asked = pl.concat(every)
    places = asked.to_frame("text").with_row_index("place")
    return (known.join(places, on="text").drop("text") for known in _known_texts(cache, measure, asked))


def cache_of(store: Store, measure: Measure, parameters: Mapping[str, Any]) -> Path:
    """The folder, beside the runs, of what is known of texts by a measure with these parameters."""
    cache = store.run.parent / ".cache" / f"{measure.name}-{measure_key(measure, parameters)}"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _measure_texts(
    found: Iterable[tuple[list[str], Iterable[str]]],
    total: int,
    want: Wanted,
    cache: Path,
    watch: Watch,
    workers: int,
) -> None:
    """Measure those of the texts, given with their digests, that are not known, and keep them in the cache."""
    measure = want.measure

    def tasks() -> Iterator[tuple[str, Mapping[str, Any], list[str], list[str], Path]]:
        seen: set[str] | None = None
        digests: list[str] = []
        texts: list[str] = []
        for block in found:
            seen = _digests(cache) if seen is None else seen
            for text_digest, value in zip(*block, strict=True):
                if text_digest in seen:
                    continue
                seen.add(text_digest)
                digests.append(text_digest)
                texts.append(value)
                if len(texts) == measure.batch:
                    yield measure.name, want.parameters, digests, texts, cache
                    digests, texts = [], []
        if texts:
            yield measure.name, want.parameters, digests, texts, cache

    alone = measure.own_threads or total < _WORTH_WORKERS
    for count in in_order(_measure_batch, tasks(), workers=1 if alone else workers):
        watch.advance(count)


def _measure_batch(
    name: str, parameters: Mapping[str, Any], digests: list[str], texts: list[str], cache: Path
) -> int:
    measure: Measure = registry.get("measures", name)
    values = measure(texts, **parameters)
    frame = values.select(measure.schema.keys()).insert_column(0, pl.Series("text", digests, dtype=pl.String))
    write_parquet(cache / f"batch-{digest(digests)}.parquet", frame)
    return len(texts)


def _digests(cache: Path) -> set[str]:
    batches = _batches(cache)
    return set(pl.scan_parquet(batches, glob=False).select("text").collect()["text"]) if batches else set()


def _known_texts(cache: Path, measure: Measure, asked: pl.Series) -> Iterator[pl.DataFrame]:
    """What is known of the texts that are asked for, by their digests: a row a text, some thousand at a time.

    The cache may hold many times as much, of all texts that were ever measured; of those, only digests are read.
    """
    batches = _batches(cache)
    if not batches or asked.is_empty():
        return
    wanted = asked.unique().to_frame("text").lazy()
    scan = pl.scan_parquet(batches, glob=False, include_file_paths=_FILE).select("text", _FILE)
    first = scan.join(wanted, on="text", how="semi", maintain_order="left").collect()
    first = first.unique("text", keep="first", maintain_order=True)
    files = first[_FILE].unique(maintain_order=True).to_list()
    step = max(1, _ROWS // measure.batch)
    for begin in range(0, len(files), step):
        some = files[begin : begin + step]
        mine = first.lazy().filter(pl.col(_FILE).is_in(some))
        scan = pl.scan_parquet(some, glob=False, include_file_paths=_FILE).select("text", *measure.schema, _FILE)
        yield scan.join(mine, on=["text", _FILE], how="semi").drop(_FILE).collect()


def _batches(cache: Path) -> list[Path]:
    return sorted(cache.glob("batch-*.parquet"))


def _together(known: Iterable[pl.DataFrame], measure: Measure) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema={"text": pl.String, **measure.schema}), *known])
