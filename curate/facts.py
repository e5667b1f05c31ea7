"""What a run knows about itself besides its tables, as plain values for the report and the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from curate.judge import measured
from curate.keys import digest, file_digest
from curate.manifest import FORMAT, versions
from curate.pipeline import Pipeline, Quota, Rule
from curate.pull.origin import read_origin
from curate.read import ReadInput

_SHOWN: Final = 5  # entries that an alert names


def facts(
    pipeline: Pipeline,
    done: Sequence[ReadInput],
    exports: list[dict[str, Any]],
    command: str,
    alerts: list[str],
) -> dict[str, Any]:
    """Name, versions, inputs, rules, quotas, passes and exports of a run; no times."""
    return {
        "name": pipeline.name,
        "seed": pipeline.seed,
        "format": FORMAT,
        "versions": versions(),
        "command": command,
        "inputs": [
            {
                "source": each.input.source.name,
                "input": each.input.shown,
                "sha256": each.input.digest,
                "bytes": each.input.bytes,
                "layouts": list(each.counts.layouts),
                "mended": dict(sorted(each.counts.mended.items())),
                "origin": _origin(each.input.path),
            }
            for each in done
        ],
        "rules": [_rule(name, rules, pipeline) for name, rules in pipeline.rules.items()],
        "quotas": [_quota(quota) for quota in pipeline.quotas],
        "dedup": [call.plain() for call in pipeline.dedups],
        "exports": exports,
        "alerts": alerts,
        "pipeline_digest": digest(pipeline.plain()),
        "report": _report(pipeline),
        "licence": dict(pipeline.licence),
    }


def _quota(quota: Quota) -> dict[str, Any]:
    """The quota as plain values, its order in words."""
    parameters = ", ".join(f"{name} = {value}" for name, value in quota.order_parameters.items())
    return quota.model_dump(mode="json", by_alias=True) | {
        "prefer": f"{quota.order} ({parameters})" if parameters else quota.order
    }


def _report(pipeline: Pipeline) -> dict[str, Any]:
    """How lengths are counted: the tokenizer's path, and the digest of its file, are for the report alone."""
    tokenizer = pipeline.report.tokenizer and Path(pipeline.report.tokenizer)
    files = (
        [tokenizer] if tokenizer and tokenizer.is_file() else sorted((tokenizer or Path()).glob("tokenizer*.json"))
    )
    return {
        "tokenizer": tokenizer and str(tokenizer),
        "max_tokens": pipeline.report.max_tokens,
        "tokenizer_digest": digest([file_digest(file) for file in files]) if tokenizer else None,
    }


def unmet(what: str, names: Sequence[str]) -> list[str]:
    """An alert that says which entries or edits met no record, if there are any."""
    if not names:
        return []
    first = ", ".join(repr(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return [f"{what} met no record: {first}{more}"]


def _origin(path: Path) -> dict[str, Any] | None:
    """Where a fetched input came from and under which terms, by the note that lies beside it."""
    note = read_origin(path)
    return note and {key: note.get(key) for key in ("url", "license", "terms", "accepted")}


def _rule(name: str, rules: list[Rule], pipeline: Pipeline) -> dict[str, Any]:
    by_source = {
        source.name: rule
        for source in pipeline.sources
        for rule in source.rules
        if rule.name == name and rule.applies_to(source.language)
    }
    first = rules[0]
    of = {rule.parameters.get("of") for rule in rules}
    return {
        "name": name,
        "use": first.use,
        "sources": sorted(by_source),
        "of": of.pop() if len(of) == 1 else None,
        "sense": first.verdict.sense,
        "limit": {source: _plain(rule.verdict.limit) for source, rule in sorted(by_source.items())},
        "measured": any(map(measured, rules)),
        "lifted": first.lifted,
        "summary": first.plugin.summary,
    }


def _plain(limit: Any) -> Any:
    return list(limit) if isinstance(limit, tuple) else limit
