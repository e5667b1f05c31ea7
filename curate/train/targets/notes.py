"""What stands beside a set that was handed on: how its trainer is started, and under which terms its texts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from curate.export.card_marks import code, prose
from curate.licenses.combining import composition, strictest_terms
from curate.train.sets import TrainingSet
from curate.train.targets.not_carried import TITLES, Target
from curate.train.targets.settings import OUTPUT, TOKENIZER, Handed

_CHECKED: Final[Mapping[Target, str]] = {
    "axolotl": "axolotl 0.19.0",
    "llama-factory": "LLaMA-Factory 0.9.5",
    "trl": "TRL 1.16.0",
}


def loading(given: TrainingSet, handed: Handed, target: Target, beside: Sequence[str]) -> str:
    """`LOADING.md`: how the folder is used, as a text; `beside` names the attribution files in it."""
    parts = [
        f"# {prose(handed.name)} for {TITLES[target]}",
        " ".join(_what(handed, target)),
        _start(handed, target),
        _afterwards(handed, target),
        "`NOT_CARRIED.md` says what of the recipe is not done, or in another way.",
        "## Terms",
        *_terms(given.facts["licences"], beside),
    ]
    return "\n\n".join(parts) + "\n"


def _what(handed: Handed, target: Target) -> Iterator[str]:
    packed = handed.recipe.packing and handed.exact and target == "llama-factory"
    named = " and ".join(
        f"{handed.rows[split]:,} rows of {split}" + (f" in {count:,} packs" if packed else "")
        for split, count in handed.sequences.items()
    )
    if handed.exact:
        yield f"The ids and labels of {named}, as the template {code(handed.template.name)} and the tokenizer of"
        yield f"{code(handed.base)} make them; every mask was compared with the texts. They fit no other one."
        yield "The ids of the records stand in `*.ids.jsonl`, in the same order."
        for split, table in handed.tables.items():
            if table["dropped"]:
                yield f"Of {split}, {len(table['dropped']):,} rows that cannot be learned are left out."
            if table["shortened"]:
                yield f"Of {split}, {table['shortened']:,} rows are shortened to {table['max_tokens']:,} tokens."
    else:
        yield f"The texts of {named}, to be edited; {TITLES[target]} makes tokens of them by the template"
        yield f"{code(handed.template.name)}. The ids of the records stand in `*.ids.jsonl`, in the same order."
    yield f"The settings were read back by {_CHECKED[target]}."


def _start(handed: Handed, target: Target) -> str:
    n = handed.processes
    model = f"{code(handed.base)} stands for the model: put its folder here, or change the name"
    if target == "axolotl":
        return f"""Start it in this folder. {model} in `axolotl.yaml`.

```sh
AXOLOTL_DO_NOT_TRACK=1 axolotl train axolotl.yaml --launcher torchrun -- --nproc-per-node {n}
```

Without the variable axolotl reports what it does to its makers."""
    if target == "llama-factory":
        if handed.exact:
            return f"""Start it in this folder. {model} in `llama_factory.yaml`.

```sh
FORCE_TORCHRUN=1 NPROC_PER_NODE={n} llamafactory-cli train llama_factory.yaml
```"""
        return f"""Start it in this folder. {model} in `llama_factory.yaml`.

```sh
torchrun --nproc-per-node {n} train.py llama_factory.yaml
```

`train.py` is short: LLaMA-Factory's templates are Python and not Jinja, so it makes that of `template.json` known
to it, and starts it. `llamafactory-cli` would not know the template."""
    started = "python" if n == 1 else f"torchrun --nproc-per-node {n}"
    return f"""Start it in this folder. {model} in `trl.yaml`.

```sh
HF_HUB_DISABLE_TELEMETRY=1 {started} train.py --config trl.yaml
```

`train.py` is short: it takes rows and tokenizer from here, and gives each token that the template added a row in
the embeddings. `trl sft` would not."""


def _afterwards(handed: Handed, target: Target) -> str:
    why = {
        "axolotl": "how it is sampled from",
        "llama-factory": "its template and how it is sampled from",
        "trl": "how it is sampled from",
    }[target]
    end = code(handed.template.end)
    return (
        f"Afterwards copy the files of `{TOKENIZER}/` over those of `{OUTPUT}/`: the model then brings {why}, and"
        f" ends its turn at {end}."
    )


def _terms(licences: Mapping[str, Mapping[str, int]], beside: Sequence[str]) -> Iterator[str]:
    counted: dict[str | None, int] = {}
    for rows in licences.values():
        for name, count in rows.items():
            licence = None if name == "unknown" else name
            counted[licence] = counted.get(licence, 0) + count
    named = "; ".join(f"{count:,} under {prose(terms.title)}" for terms, count in composition(counted))
    binding: Any = strictest_terms(counted)
    yield f"Each text stays under its author's licence: {named}. The strictest is {prose(binding.title)}."
    if "ATTRIBUTION.jsonl" in beside:
        yield "`ATTRIBUTION.jsonl` names author, address and licence of every text. It belongs to the rows."
