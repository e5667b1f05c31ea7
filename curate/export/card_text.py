"""The words of a data set card: composition, how it was made, its limits, licences, and how it is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from curate.export.card_marks import Code, cell, code, prose

Json = dict[str, Any]

_SPLITS: Final = ("train", "dev", "test")

_HOW: Final = {
    "messages": "TRL: `SFTConfig(assistant_only_loss=True)`, or every token is trained on",
    "prompt_completion": "TRL: the loss is on the completion by default",
    "alpaca": "stanford_alpaca's `train.py`, axolotl's `type: alpaca`, LLaMA-Factory's `formatting: alpaca`",
    "sharegpt": "axolotl by `message_property_mappings`, LLaMA-Factory's `formatting: sharegpt`, Unsloth",
    "llama_factory": "LLaMA-Factory: `dataset_dir` is the folder with `dataset_info.json`",
    "axolotl": "axolotl: `axolotl.yaml` holds what concerns the data",
    "openai": "OpenAI's fine-tuning: upload `train.jsonl`, and `dev.jsonl` for validation",
    "hugging_face": "the Hugging Face hub: Parquet, with a card of its own",
}


def body(
    numbers: Json,
    exports: Sequence[Json],
    configs: Sequence[str],
    *,
    languages: Sequence[str],
    findings: Sequence[Json],
    beside: Collection[str],
) -> str:
    """The card below its head."""
    sections = {
        "": _what(numbers, languages),
        "Composition": _composition(numbers),
        "How it was made": _made(numbers),
        "Limits": _limits(numbers, findings),
        "Licences": _licences(numbers, configs, beside),
        "Loading": _loading(exports, configs),
        "Making it again": _again(numbers, beside),
    }
    parts = [f"# {prose(numbers['name'])}\n"]
    for title, lines in sections.items():
        text = "\n".join(lines).strip()
        if text:
            parts.append(f"## {title}\n\n{text}\n" if title else f"{text}\n")
    return "\n".join(parts)


def _what(numbers: Json, languages: Sequence[str]) -> Iterator[str]:
    said = f" Languages: {prose(', '.join(languages))}." if languages else ""
    yield (
        "Examples to tune a language model by instructions: what a user asks, and the answer to learn."
        f" {prose(numbers['summary']['outcome'])}{said}"
    )
    yield ""
    yield from table(
        ("split", "rows", "prompt, median characters", "response, median", "response, 95 of 100 under"),
        (
            (
                split,
                rows,
                _of(numbers, "prompt", split, "median"),
                _of(numbers, "response", split, "median"),
                _of(numbers, "response", split, "p95"),
            )
            for split in _SPLITS
            if (rows := numbers["summary"]["splits"].get(split))
        ),
    )


def _composition(numbers: Json) -> Iterator[str]:
    sources: dict[str, list[int]] = {}
    for row in numbers["domains"]:
        counts = sources.setdefault(row["source"], [0] * len(_SPLITS))
        for at, split in enumerate(_SPLITS):
            counts[at] += row[split]
    kept = ((source, *counts, sum(counts)) for source, counts in sorted(sources.items()) if any(counts))
    yield from table(("source", *_SPLITS, "all"), kept)


def _made(numbers: Json) -> Iterator[str]:
    made_by = numbers["made_by"]
    version = made_by.get("versions", {}).get("curate", "")
    yield f"By curate {version}: {code(made_by.get('command', ''))}."
    yield ""
    left = numbers["funnel"]["total"]["records"]
    steps = [("read", "", left)]
    steps += [(each["step"], each["removed"], each["left"]) for each in numbers["funnel"]["total"]["steps"]]
    yield from table(("step", "records removed", "records left"), steps)
    rules = [
        (Code(rule["name"]), rule["summary"], rule["judged"], rule["hit"])
        for rule in numbers["rules"]
        if not rule["lifted"]
    ]
    if rules:
        yield "\nRules, of which one record may meet several:\n"
        yield from table(("rule", "rejects or masks", "records judged", "records met"), rules)
    yield from _compared(numbers)
    yield from _drawn(numbers)
    yield from _beside_chance(numbers.get("controls"))


def _compared(numbers: Json) -> Iterator[str]:
    passes = [
        (Code(each["use"]), each["on"], "each other", each["dropped"]) for each in numbers["dedup"]["passes"]
    ]
    passes += [
        (Code(each["use"]), each["on"], ", ".join(each["against"]), each["dropped"])
        for each in numbers["contamination"]["passes"]
    ]
    if passes:
        yield "\nComparisons of records with each other, and with sets that must not be trained on:\n"
        yield from table(("method", "on", "with", "records removed"), passes)


def _drawn(numbers: Json) -> Iterator[str]:
    quotas = [
        (
            each["name"],
            each["split"],
            each["from"],
            each["by"] or "",
            each["prefer"],
            each["take"] or "all",
            each["drawn"],
        )
        for each in numbers["selection"]["quotas"]
    ]
    if quotas:
        yield "\nWhat was drawn of the rest:\n"
        yield from table(("quota", "split", "from", "spread over", "preferred", "asked for", "drawn"), quotas)


def _beside_chance(controls: Json | None) -> Iterator[str]:
    """The metrics in which the set differs from chance, and how many were compared."""
    if not controls or not controls["draws"]:
        return
    rows, compared = [], 0
    for metric in controls["metrics"]:
        own, band = metric["values"].get("selection"), metric.get("band")
        if own is None or not band:
            continue
        compared += 1
        if not band["low"] <= own <= band["high"]:
            unit = f" ({metric['unit']})" if metric.get("unit") else ""
            chance = f"{_number(band['median'])} ({_number(band['low'])} to {_number(band['high'])})"
            rows.append(
                (f"{metric['title']}{unit}", _number(own), chance, _number(metric["values"].get("longest")))
            )
    yield (
        f"\nBeside {controls['draws']} random sets of the same size from the same {controls['pool']:,} records,"
        f" the {controls['split']} split lies outside the middle nine tenths of the draws in {len(rows)} of"
        f" {compared} metrics, where chance alone would put about one in ten:\n"
    )
    yield from table(("metric", "this set", "random: median (5th to 95th percentile)", "the longest"), rows)
    sentence = (controls.get("length") or {}).get("sentence")
    if sentence:
        yield f"\n{prose(sentence)}"


def _limits(numbers: Json, findings: Sequence[Json]) -> Iterator[str]:
    yield (
        "- Rules find what they are made to find. What they miss is in the set, and nobody has read all of it:"
        " answers may be wrong, outdated or one-sided."
    )
    yield "- Facts about people may be left where no rule takes them for such."
    yield from (f"- {prose(alert)}" for alert in numbers["alerts"])
    said = set(numbers["alerts"])
    yield from (f"- {prose(each['sentence'])}" for each in findings if each["sentence"] not in said)


def _licences(numbers: Json, configs: Sequence[str], beside: Collection[str]) -> Iterator[str]:
    yield "Each text stays under its author's licence; the whole has no other. Records by the strictest:\n"
    yield from table(
        ("licence", *_SPLITS, "all"),
        (
            (row["license"] or "not known", *(row.get(split, 0) for split in _SPLITS), row["kept"])
            for row in numbers["licenses"]
            if row["kept"]
        ),
    )
    for sentence in (numbers.get("licensing") or {}).get("conflicts", ()):
        yield f"\n{prose(sentence)}"
    if "ATTRIBUTION.jsonl" in beside:
        yield "\n`ATTRIBUTION.jsonl` names the author, address and licence of every text; it belongs to the set."
    if "metadata" in configs:
        yield "\nThe configuration `metadata` names author, address and licence of every text, row by row."


def _loading(exports: Sequence[Json], configs: Sequence[str]) -> Iterator[str]:
    if configs:
        yield "```python"
        yield "from datasets import load_dataset\n"
        yield f'data = load_dataset("path/to/this/folder", "{configs[0]}")'
        yield "```\n"
    forms: dict[str, str] = {}
    for export in exports:
        folder = export["file"].rpartition("/")[0]
        if export["form"] not in forms or not export["split"]:
            forms[export["form"]] = folder
    yield from table(
        ("form", "where", "read by"),
        (
            (Code(form), Code(f"{folder}/") if folder else "here", _HOW.get(form, ""))
            for form, folder in forms.items()
        ),
    )
    if any(export["file"].endswith("LOADING.md") for export in exports):
        yield "\n`LOADING.md` beside each form says more, such as the limit of length under which no row is cut."


def _again(numbers: Json, beside: Collection[str]) -> Iterator[str]:
    made_by = numbers["made_by"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(made_by.get("versions", {}).items()))
    command, seed = made_by.get("command", ""), made_by.get("seed")
    yield f"{code(command)} with seed {seed}, under {versions}, makes the same bytes of:\n"
    yield from table(
        ("source", "input", "bytes", "digest"),
        (
            (each["source"], Code(each["input"]), each["bytes"], Code(each["sha256"]))
            for each in made_by.get("inputs", ())
        ),
    )
    if "report.html" in beside:
        yield "\n`report.html` shows every step with examples; `manifest.json` has the digests of all files."


def _of(numbers: Json, text: str, split: str, key: str) -> int | None:
    rows = (row for row in numbers["lengths"][text]["splits"] if row["split"] == split)
    return next((row[key] for row in rows), None)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A table in Markdown; nothing when it has no rows."""
    cells = [
        [_number(value) if isinstance(value, int | float) or value is None else cell(value) for value in row]
        for row in rows
    ]
    if not cells:
        return
    yield "| " + " | ".join(header) + " |"
    yield "|" + " --- |" * len(header)
    yield from ("| " + " | ".join(row) + " |" for row in cells)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
