"""What a run knows about itself besides its tables, as plain values for the report and the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from curate.judge import measured
from curate.manifest import FORMAT, versions
from curate.pipeline import Pipeline, Rule
from curate.pull.origin import read_origin
from curate.read import ReadInput

_SHOWN: Final = 5  # entries that an alert names


def facts(
    pipeline: Pipeline,
    done: Sequence[ReadInput],
    shortages: list[dict[str, Any]],
    exports: list[dict[str, Any]],
    command: str,
    alerts: list[str],
) -> dict[str, Any]:
    """Name, versions, inputs, rules, quotas, shortages, passes and exports of a run; no times and no paths."""
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
        "quotas": [quota.model_dump(mode="json", by_alias=True) for quota in pipeline.quotas],
        "shortages": shortages,
        "dedup": [call.plain() for call in pipeline.dedups],
        "exports": exports,
        "alerts": alerts,
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
