"""The card of a trained model: what it is, what it learned from and how, its limits and its terms.

The keys of its head are those of https://github.com/huggingface/hub-docs/blob/main/modelcard.md. Neither head nor
text names a path of the machine on which the model was trained.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

from curate.errors import PipelineError
from curate.export.card import ON_THE_HUB
from curate.export.yaml_lines import yaml_text
from curate.forms import ATTRIBUTION
from curate.licenses.card import card_license
from curate.licenses.combining import strictest_terms
from curate.store import read_json, write_text
from curate.train.checks.check import CHECK
from curate.train.preparing import read_facts
from curate.train.report.card_text import body, counted_licences
from curate.train.speech.picking import PICKED, epochs
from curate.train.steps.callbacks import read_metrics

Json = dict[str, Any]

# What the hub takes for the name of a model (huggingface_hub, `validate_repo_id`): neither is a path one.
_NAME: Final = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")


def write_card(folder: Path) -> Path:
    """Write the card of the model that was picked in a training folder, as `model/README.md`, and return its path.

    The attribution files of the run that was trained on are copied beside it, if they are still there.

    Raises `PipelineError` for a folder in which nothing was trained, or from which no epoch was picked.
    """
    facts, model = read_facts(folder), folder / "model"
    if not model.is_dir():
        raise PipelineError(
            "no epoch was picked yet", where=str(folder), next=f"choose one: curate train pick {folder}"
        )
    beside = []
    for name in ATTRIBUTION:
        source = Path(facts["set"]["path"]) / name
        if source.is_file():
            shutil.copyfile(source, model / name)
        if (model / name).is_file():
            beside.append(name)
    picked = read_json(folder / PICKED) if (folder / PICKED).is_file() else None
    kept = epochs(folder).rows(named=True)
    looked = read_json(folder / CHECK) if (folder / CHECK).is_file() else {}
    findings = looked.get("findings", ())
    text = card(facts, read_metrics(folder), kept, picked, beside=beside, findings=findings)
    write_text(model / "README.md", text)
    return model / "README.md"


def card(
    facts: Json,
    metrics: Sequence[Json],
    kept: Sequence[Json],
    picked: Json | None,
    *,
    beside: Collection[str] = (),
    findings: Sequence[Json] = (),
) -> str:
    """The card as Markdown with a head in YAML.

    `facts` are those of `train.json`, `metrics` the steps, `kept` the rows of `picking.epochs`, `picked` what
    `picked.json` says, `beside` the names of attribution files in the model's folder, and `findings` those of
    `check.json`.
    """
    return f"---\n{yaml_text(head(facts))}---\n\n" + body(facts, metrics, kept, picked, beside, findings)


def head(facts: Json) -> Json:
    """What the hub reads of a card. Of the licences of the texts, the strictest stands for the model."""
    made: Json = {}
    if binding := strictest_terms(counted_licences(facts)):
        made |= card_license({binding.id: 1})
    name = facts["model"]["name"]
    if _NAME.fullmatch(name):
        made |= {"base_model": name, "base_model_relation": "finetune"}
    made |= {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if sets := _sets(facts):
        made["datasets"] = sets
    return made | {"tags": ["instruction-tuning", "supervised-fine-tuning", "curate"]}


def _sets(facts: Json) -> list[str]:
    """The data sets on the hub that the texts came from."""
    inputs = facts["set"]["facts"].get("manifest", {}).get("inputs", ())
    found = (ON_THE_HUB.match((each.get("origin") or {}).get("url") or "") for each in inputs)
    return sorted({hub[1] for hub in found if hub})
