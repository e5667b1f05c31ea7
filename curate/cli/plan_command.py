"""curate plan: what a run would do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from curate.cli.options import PLUGINS, RUNS, WITHOUT


@click.command("plan")
@click.argument("pipeline", type=click.Path(path_type=Path))
@PLUGINS
@WITHOUT
@RUNS
def command(pipeline: Path, plugins: tuple[Path, ...], without: tuple[str, ...], runs: Path) -> None:
    """Show PIPELINE with every default resolved, what is read already, and an estimate of the rest."""
    from curate.plan import plan

    planned = plan(pipeline, plugins=plugins, without=without, runs=runs)
    console = Console()
    resolved = planned.pipeline
    console.print(f"[bold]{resolved.name}[/] (seed {resolved.seed}) into {planned.folder}\n")
    inputs = Table(
        "source", "input", "size", "read already", box=None, pad_edge=False, title="Inputs", title_justify="left"
    )
    for each in planned.inputs:
        inputs.add_row(
            each.input.source.name, each.input.shown, _size(each.input.bytes), "yes" if each.done else "no"
        )
    console.print(inputs)
    rules = Table("rule", "source", "call", box=None, pad_edge=False, title="\nRules", title_justify="left")
    for source in resolved.sources:
        for rule in source.rules:
            stands_aside = "" if rule.applies_to(source.language) else f" (not for texts in {source.language})"
            lifted = " (lifted)" if rule.lifted else ""
            masks = " (masks)" if rule.then == "mask" else ""
            call = _call(rule.use, rule.parameters) + masks + stands_aside + lifted
            rules.add_row(rule.name, source.name, escape(call))
    console.print(rules)
    console.print("\nThen")
    for dedup in resolved.against:
        files = ", ".join(file.name for file in dedup.against)
        call = escape(_call(dedup.use, dedup.parameters))
        _step(console, f"leave out what repeats a text of {files}, on the {dedup.on}: {call}")
    for dedup in resolved.among:
        call = escape(_call(dedup.use, dedup.parameters))
        _step(console, f"drop duplicates of the {dedup.on}: {call}, keeping by {', '.join(resolved.keep)}")
        if note := dedup.promises:
            _step(console, f"  {note}")
    for quota in resolved.quotas:
        take = "all" if quota.take is None else f"{quota.take:,}"
        order = escape(_call(quota.order, quota.order_parameters))
        _step(console, f"draw {take} from {quota.source} for {quota.split} ({quota.name}), by {order}")
    for export in resolved.exports:
        _step(console, f"write {escape(_call(export.use, export.parameters))}")
    if resolved.train:
        changes = {name: value for name, value in resolved.train.items() if name != "recipe"}
        _step(console, f"to be trained on by {escape(_call(resolved.train['recipe'], changes))}: `curate train`")
    estimate = planned.estimate
    console.print(
        f"\nTo read and judge: about {estimate.seconds:,.0f} s, {_size(estimate.disk)} of disk and"
        f" {_size(estimate.memory)} of memory on {estimate.cores} cores. Measures come on top."
    )


def _step(console: Console, line: str) -> None:
    console.print(Padding(line, (0, 0, 0, 2)))


def _call(use: str, parameters: Mapping[str, Any]) -> str:
    return f"{use}({', '.join(f'{name} = {json.dumps(value)}' for name, value in parameters.items())})"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit in {"bytes", "kB"} else f"{size:,.1f} {unit}"
