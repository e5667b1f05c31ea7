"""A training run as one page that needs nothing else: what was learned, how it went, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.report.charts_figures import Figure, Figures
from curate.report.excerpts import excerpt
from curate.report.words import bytes_of, count, figure, percent, short
from curate.store import read_json, write_text
from curate.train.checks.doubts import SEVERITIES
from curate.train.report import curves
from curate.train.report.afterwards import about_epochs, about_steps
from curate.train.steps.callbacks import read_metrics

Json = dict[str, Any]

PAGE: Final = "report.html"
_ANSWERS: Final = 8  # prompts of dev whose answers are shown
_WIDTH: Final = 700  # characters of an answer
_FIRST_WORDS: Final = 160  # characters
_MASK: Final = 1_200  # characters of a row whose mask is shown
_STEPS: Final = ("loss", "lr", "grad_norm", "tokens_per_second")


def write_report(folder: Path) -> Path:
    """Write `report.html` of a training folder, finished or not, and return its path.

    Without Altair and vl-convert tables stand where charts would. Raises `PluginError` without jinja2.
    """
    to = folder / PAGE
    write_text(to, page(gathered(folder)))
    return to


def gathered(folder: Path) -> Json:
    """What a training folder says of itself, in plain values: what is not there is None or empty."""
    facts, checked = _read(folder / "train.json"), _read(folder / "check.json")
    picked = _read(folder / "picked.json")
    epochs = [row for row in _epochs(folder) if row["step"] is not None]
    recipe = facts.get("recipe") or checked.get("recipe") or {}
    steps = read_metrics(folder)
    chosen = picked.get("epoch")
    heard = next((row for row in reversed(epochs) if chosen in (None, row["epoch"]) and row["file"]), None)
    after = [
        *about_steps(steps, recipe, (checked.get("model") or {}).get("vocabulary")),
        *about_epochs(epochs, chosen, recipe.get("max_new_tokens", 0)),
    ]
    findings = sorted(
        [*checked.get("findings", []), *after], key=lambda found: SEVERITIES.index(found["severity"])
    )
    return {
        "name": folder.name,
        "facts": facts,
        "checked": checked,
        "recipe": recipe,
        "changed": _changed(recipe),
        "picked": picked,
        "epochs": epochs,
        "steps": steps,
        "findings": findings,
        "heard": None if heard is None else heard["epoch"],
        "answers": [] if heard is None else _answers(folder, heard["file"]),
        "failed": _read(folder / "failed-step.json"),
    }


def page(numbers: Mapping[str, Any]) -> str:
    """The page of what `gathered` gives."""
    drawn = Figures()
    shown = _figures(drawn, numbers)
    context = {
        **numbers,
        "title": _title(numbers),
        "lead": _lead(numbers),
        "facts_said": list(_facts(numbers)),
        "made_by": list(_made_by(numbers["facts"])),
        "curves": shown,
        "together": curves.together(len(numbers["steps"])),
        "missing": drawn.missing,
        "lengths": numbers["checked"].get("lengths") or [],
        "length_chart": _length_chart(drawn, numbers["checked"]),
        "masks": [_mask(mask) for mask in numbers["checked"].get("masks") or []],
    }
    return str(_environment().get_template("trained.html").render(context))


def _environment() -> Any:
    """The environment of all pages, which finds this one's template too."""
    import jinja2

    from curate.report.page import environment

    made = environment()
    ours = files("curate.train.report")

    def own(name: str) -> str | None:
        file = ours.joinpath(name)
        return file.read_text("utf-8") if file.is_file() else None

    made.filters["loss"] = lambda number: "–" if number is None else f"{number:.3f}"
    made.loader = jinja2.ChoiceLoader([jinja2.FunctionLoader(own), made.loader])
    return made


def _read(file: Path) -> Json:
    found: Json = read_json(file) if file.is_file() else {}
    return found


def _epochs(folder: Path) -> list[Json]:
    from curate.train.speech.picking import epochs

    return epochs(folder).to_dicts() if (folder / "recipe.toml").is_file() else []


def _changed(recipe: Mapping[str, Any]) -> list[str]:
    """The values that are not those the recipe of this name has."""
    from curate.train.recipe import read_recipe, recipe_names

    if recipe.get("name") not in recipe_names():
        return []
    published = read_recipe(recipe["name"]).plain()
    return [name for name, value in recipe.items() if value != published.get(name)]


def _answers(folder: Path, file: str) -> list[Json]:
    """Answers of an epoch to prompts of dev, those that did not end first, beside what dev has for an answer."""
    path = folder / file
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    said = [json.loads(line) for line in lines]
    own = _own_answers(folder)
    # One that did not end is seen for sure, if there is one; the others are the first of dev.
    endless = [row for row in said if row["stop"] != "end"][: _ANSWERS // 4]
    rest = [row for row in said if row not in endless]
    chosen = [row for row in said if row in [*endless, *rest[: _ANSWERS - len(endless)]]]
    return [
        {
            "id": row["id"],
            "prompt": excerpt(_prompt(row["prompt"]), width=_WIDTH),
            "answer": excerpt(row["answer"], width=_WIDTH),
            "own": excerpt(own.get(row["id"], (None, 0))[0], width=_WIDTH),
            "earlier": own.get(row["id"], (None, 0))[1],
            "stop": row["stop"],
            "tokens": row["tokens"],
        }
        for row in chosen
    ]


def _prompt(prompt: Any) -> str:
    """What was asked: a text, or the last of the messages."""
    if isinstance(prompt, str):
        return prompt
    last = prompt[-1]
    return str(last.get("content") or last.get("text") or "")


def _own_answers(folder: Path) -> dict[str, tuple[str | None, int]]:
    """The answer that dev has to each prompt, and how many turns come before the prompt."""
    file = folder / "tokens" / "dev_records.parquet"
    if not file.is_file():
        return {}
    dev = pl.read_parquet(file, columns=["id", "response", "history"])
    return {id: (own, len(history or ())) for id, own, history in dev.iter_rows()}


def _title(numbers: Mapping[str, Any]) -> str:
    facts, recipe = numbers["facts"], numbers["recipe"]
    model = (facts.get("model") or {}).get("name", "A model")
    rows = (facts.get("set") or {}).get("rows", {}).get("train")
    done = numbers["steps"][-1]["step"] if numbers["steps"] else 0
    if facts.get("state") == "done":
        return f"{model} learned {count(rows)} rows in {_times(recipe.get('epochs', 1), 'epoch')}"
    state = {"stopped": "stopped", "failed": "failed"}.get(facts.get("state", ""), "in training")
    return f"{model} is {state} after {done:,} of {count(facts.get('steps'))} steps".replace("is failed", "failed")


def _lead(numbers: Mapping[str, Any]) -> str:
    picked, facts = numbers["picked"], numbers["facts"]
    if failed := numbers["failed"]:
        rows = ", ".join(row["id"] for row in failed["rows"][:3])
        return f"Step {failed['step']:,} was not finite, and its update was not made. Its rows: {rows}."
    if not picked:
        return "No epoch is picked yet." if facts.get("state") == "done" else ""
    how = {"loss": "for its loss on dev", "last": "as the last", "epoch": "by hand"}[picked["by"]]
    said = [f"Epoch {picked['epoch']} was picked {how}"]
    if picked.get("dev_per_token") is not None:
        said.append(f"loss on dev {picked['dev_per_token']:.3f} a token")
    if picked.get("answers"):
        said.append(f"{picked['ended']:,} of {picked['answers']:,} answers ended by themselves")
    return "; ".join(said) + "."


def _facts(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was trained on what, as names and values; those that are not known are left out."""
    facts, checked, steps = numbers["facts"], numbers["checked"], numbers["steps"]
    given, model, recipe = facts.get("set") or {}, facts.get("model") or {}, numbers["recipe"]
    tokens = (facts.get("tokens") or checked.get("tokens") or {}).get("train") or {}
    padding, template = checked.get("padding"), facts.get("template") or {}
    what = "packs" if recipe.get("packing") else "rows"
    said = []
    if given:
        splits = ", ".join(f"{split} {rows:,}" for split, rows in given["rows"].items())
        said.append(("Set", f"{given['name']}: {splits}"))
    if model:
        lora = f", LoRA of rank {recipe['lora_rank']}" if recipe.get("lora_rank") else ", all weights"
        said.append(
            ("Model", f"{model['name']}: {model['architecture']}, {model['parameters']:,} parameters{lora}")
        )
    if template:
        added = f"; added: {', '.join(template['added'])}" if template.get("added") else ""
        said.append(("Template", f"{template['name']}{added}"))
    if tokens:
        share = percent(tokens["learned"], tokens["tokens"])
        said.append(("Tokens", f"{tokens['tokens']:,} an epoch, {share} of them learned"))
    if facts.get("steps"):
        done = f"{steps[-1]['step']:,} of " if steps and steps[-1]["step"] < facts["steps"] else ""
        said.append(
            ("Steps", f"{done}{facts['steps']:,} of {recipe['batch_size']:,} {what} each, by {_processes(facts)}")
        )
    if padding:
        share = f"{percent(padding['share'])} of what was computed" if padding["share"] else "none"
        said.append(("Padding", share))
    if steps:
        seconds = sum(step.get("seconds") or 0 for step in steps)
        speed = sum(step.get("tokens") or 0 for step in steps) / seconds if seconds else 0
        said.append(("Time", f"{_duration(seconds)} of steps, {figure(round(speed))} tokens a second"))
    if spoken := numbers["picked"].get("said"):
        text = short(spoken["text"], _FIRST_WORDS) or "white space"
        said.append(("First words", f"asked “{spoken['prompt']}”, the saved model says: {text}"))
    if facts.get("peak_memory"):
        said.append(("Memory", f"{bytes_of(facts['peak_memory'])} at most"))
    return said


def _processes(facts: Mapping[str, Any]) -> str:
    return _times(facts.get("processes", 1), "process", "processes")


def _times(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _made_by(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    given, model = facts.get("set") or {}, facts.get("model") or {}
    said = [("began", facts.get("began")), ("ended", facts.get("ended"))]
    said += [("digest of the set", given.get("digest")), ("digest of the weights", model.get("digest"))]
    said += [("digest of the template", (facts.get("template") or {}).get("digest"))]
    said += [(f"digest of {split}'s tokens", value) for split, value in (facts.get("digests") or {}).items()]
    said += [(f"version of {name}", value) for name, value in (facts.get("versions") or {}).items()]
    return [(name, str(value)) for name, value in said if value]


def _figures(drawn: Figures, numbers: Mapping[str, Any]) -> list[Figure]:
    steps, epochs, recipe = numbers["steps"], numbers["epochs"], numbers["recipe"]
    ends = [step["step"] for step, following in pairwise(steps) if _new_epoch(step, following)]
    dev = [
        {"step": row["step"], "value": row["dev_per_token"]} for row in epochs if row["dev_per_token"] is not None
    ]
    made = [
        _curve(drawn, steps, "loss", "Loss of each step", "loss per token", _loss_caption(steps, dev), dev, ends),
        _curve(drawn, steps, "lr", "Learning rate", "learning rate", "Over powers of ten.", log=True, ends=ends),
        _curve(
            drawn,
            steps,
            "grad_norm",
            "Norm of the gradient",
            "norm",
            "Before it is clipped" + (f" to {recipe['max_grad_norm']:g}." if recipe.get("max_grad_norm") else "."),
            ends=ends,
        ),
        _curve(
            drawn, steps, "tokens_per_second", "Tokens a second", "tokens a second", "Without padding.", ends=ends
        ),
    ]
    return [each for each in made if each is not None]


def _new_epoch(step: Mapping[str, Any], following: Mapping[str, Any]) -> bool:
    return float(step["epoch"]).is_integer() and following["epoch"] > step["epoch"]


def _loss_caption(steps: Sequence[Mapping[str, Any]], dev: Sequence[Mapping[str, Any]]) -> str:
    if not steps:
        return ""
    said = f"From {steps[0]['loss']:.3f} to {steps[-1]['loss']:.3f} a learned token."
    if dev:
        said += (
            f" Diamonds are dev at the end of kept epochs, from {dev[0]['value']:.3f} to {dev[-1]['value']:.3f}."
        )
    return said


def _curve(
    drawn: Figures,
    steps: Sequence[Mapping[str, Any]],
    key: str,
    title: str,
    axis: str,
    caption: str,
    marks: Sequence[Mapping[str, Any]] = (),
    ends: Sequence[int] = (),
    *,
    log: bool = False,
) -> Figure | None:
    known = [step for step in steps if not log or (step.get(key) or 0) > 0]
    shown = curves.points(known, key)
    if not shown:
        return None
    id = f"curve-{key.replace('_', '-')}"
    desc = curves.described(shown)
    rows = curves.rows(shown)
    if marks:
        rows += [[f"dev at {mark['step']:,}", *[figure(mark["value"])] * 3] for mark in marks]
        desc += (
            " Diamonds: " + ", ".join(f"{figure(mark['value'])} at step {mark['step']:,}" for mark in marks) + "."
        )
    chart = partial(curves.curve, shown, title=axis, marks=marks, ends=ends, log=log)
    head = ["Steps", "Mean", "Least", "Most"]
    return Figure(id, title, desc, caption, head, rows, drawn.drawn(chart, title, desc, id))


def _length_chart(drawn: Figures, checked: Mapping[str, Any]) -> Figure | None:
    from curate.report import charts

    bins = checked.get("bins") or []
    if not bins:
        return None
    limit = checked["recipe"]["max_tokens"]
    beyond = next(row["beyond"] for row in checked["lengths"] if row["split"] == "train")
    title = "Rows of train by length in tokens"
    caption = f"{'None is' if not beyond else count(beyond) + ' are'} longer than max_tokens = {limit:,}."
    desc = f"{len(bins)} bars; the highest is {max(each['records'] for each in bins):,} rows."
    chart = partial(charts.histogram, bins, unit="tokens", limit=limit, rejects="above", what="max_tokens")
    rows = [[charts.span(each), each["records"]] for each in bins]
    return Figure(
        "lengths-train",
        title,
        desc,
        caption,
        ["Tokens", "Rows"],
        rows,
        drawn.drawn(chart, title, desc, "lengths-train"),
    )


def _mask(mask: Mapping[str, Any]) -> Json:
    """A row's stretches, the long ones without their middle."""
    room = _MASK // max(1, len(mask["segments"]))
    segments = []
    for text, learned in mask["segments"]:
        if len(text) <= room + 40:
            segments.append((text, learned, 0))
        else:
            head, tail = text[: 2 * room // 3], text[-room // 3 :]
            segments += [(head, learned, len(text) - len(head) - len(tail)), (tail, learned, 0)]
    return {**mask, "segments": segments}
