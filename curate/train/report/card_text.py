"""The words of a trained model's card: use, data, training, limits and licences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from curate.export.card_marks import Code, code, prose
from curate.export.card_text import table
from curate.licenses.combining import composition, conflicts, strictest_terms
from curate.licenses.terms import ids
from curate.train.recipe import read_recipe, recipe_names

Json = dict[str, Any]

_USES: Final = {
    "all": "any use",
    "non-commercial": "no commercial use",
    "research": "research alone",
    "unspecified": "a use that is not told",
}
# Of a recipe, what shaped the weights; every value stands in `recipe.toml`.
_SHAPING: Final = (
    *("template", "loss", "max_tokens", "too_long", "packing", "epochs", "batch_size", "learning_rate"),
    *(
        "final_learning_rate",
        "schedule",
        "warmup_share",
        "warmup_steps",
        "beta1",
        "beta2",
        "epsilon",
        "weight_decay",
    ),
    *("max_grad_norm", "scale_by_weight", "residual_dropout", "seed"),
)
# What `curate.export.checks` finds of two splits that have something in common.
_LEAKS: Final = ("leak_id", "leak_thread", "leak_message")
_ADAPTERS: Final = ("lora_rank", "lora_alpha", "lora_dropout", "lora_targets")


def body(
    facts: Json,
    metrics: Sequence[Json],
    kept: Sequence[Json],
    picked: Json | None,
    beside: Collection[str],
    findings: Sequence[Json],
) -> str:
    """The card below its head."""
    shared = [_shared(found) for found in findings if found["kind"] in _LEAKS]
    sections = {
        "": _what(facts, picked),
        "Use": _use(facts),
        "What it learned from": _data(facts, shared),
        "How it was trained": _trained(facts, metrics),
        "Which epoch it is": _epoch(kept, picked),
        "Limits": _limits(facts, kept, picked, shared),
        "Licences": _licences(facts, beside),
    }
    parts = [f"# {prose(facts['model']['name'])}, tuned on {prose(facts['set']['name'])}\n"]
    for title, lines in sections.items():
        text = "\n".join(lines).strip()
        if text:
            parts.append(f"## {title}\n\n{text}\n" if title else f"{text}\n")
    return "\n".join(parts)


def counted_licences(facts: Json) -> dict[str | None, int]:
    """How many of the rows that were learned from each licence binds; None is one that is not known."""
    licences: dict[str, int] = facts["set"]["facts"].get("licences", {}).get("train", {})
    return {None if name == "unknown" else name: rows for name, rows in licences.items()}


def _what(facts: Json, picked: Json | None) -> Iterator[str]:
    recipe, model = facts["recipe"], facts["model"]
    source = f" ({prose(recipe['source'])})" if recipe["source"] else ""
    epoch = f" These are the weights of epoch {picked['epoch']} of {recipe['epochs']}." if picked else ""
    yield (
        f"A causal language model of {model['parameters']:,} weights ({prose(model['architecture'])}):"
        f" {code(model['name'])}, fine-tuned on {facts['order']['rows']:,} rows of {code(facts['set']['name'])} by"
        f" the recipe {code(recipe['name'])}{source}.{epoch}"
    )


def _use(facts: Json) -> Iterator[str]:
    recipe, template = facts["recipe"], facts["template"]
    yield "```python"
    yield "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
    yield 'model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")'
    yield 'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")'
    yield 'messages = [{"role": "user", "content": "What is a fugue?"}]'
    yield "asked = tokenizer.apply_chat_template("
    yield '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"'
    yield ")"
    yield "answer = model.generate(**asked)[0, asked['input_ids'].shape[1] :]"
    yield "print(tokenizer.decode(answer, skip_special_tokens=True))"
    yield "```\n"
    sampled = (
        f"sampled at temperature {recipe['temperature']:g} from the likeliest tokens of a probability of"
        f" {recipe['top_p']:g} together"
        if recipe["temperature"]
        else "always of the likeliest token"
    )
    yield (
        f"The tokenizer brings the template it was trained by, {code(template['name'])}: another one gives worse"
        f" answers. A turn ends at {code(template['end'])}. `generation_config.json` says how answers are made:"
        f" {sampled}, up to {recipe['max_new_tokens']:,} tokens."
    )
    if (penalty := recipe["repetition_penalty"]) != 1:
        yield (
            f"\nThe recipe's repetition penalty of {penalty:g} is on what the answer has already; `curate train"
            " generate` and `chat` speak with it. That of transformers counts the prompt too, with the tokens that"
            " end its turns, and would keep an answer from ending: so that file has 1."
        )


def _data(facts: Json, shared: Sequence[str]) -> Iterator[str]:
    given, tokens = facts["set"], facts["tokens"]
    yield f"The set {code(given['name'])}, of the digest {code(given['digest'])}:\n"
    yield from table(
        ("split", "rows", "rows used", "tokens", "of these learned", "longest before any was cut"),
        (
            (split, rows, used["rows"], used["tokens"], used["learned"], used["longest"])
            if (used := tokens.get(split))
            else (split, rows, 0, None, None, None)
            for split, rows in given["rows"].items()
        ),
    )
    looked = {
        "dev": "on dev it was looked at while it learned",
        "test": "the rows of test were put aside",
    }
    apart = [said for split, said in looked.items() if given["rows"].get(split)]
    yield "\nThe model learned from train alone" + (f"; {', and '.join(apart)}." if apart else ".")
    if shared:
        yield "\nBut these splits are not apart:\n"
        yield from (f"- {sentence}." for sentence in shared)
    for split, used in tokens.items():
        if used["dropped"]:
            yield (
                f"\nOf {split}, {_rows(len(used['dropped']), 'was', 'were')} left out: beyond"
                f" {used['max_tokens']:,} tokens, or with nothing to learn."
            )
        if used["shortened"]:
            yield (
                f"\nOf {split}, {_rows(used['shortened'], 'was', 'were')} beyond {used['max_tokens']:,} tokens and"
                f" shortened, {used['lost_end']:,} of them within an answer."
            )


def _trained(facts: Json, metrics: Sequence[Json]) -> Iterator[str]:
    recipe, steps = facts["recipe"], facts["steps"]
    done = f"{steps:,} steps"
    if metrics:
        tokens, learned = (sum(int(each.get(name) or 0) for each in metrics) for name in ("tokens", "learned"))
        done += f", {tokens:,} tokens read and {learned:,} learned over all epochs"
        yield (
            f"{done}; the loss a learned token was {metrics[0]['loss']:.3g} in the first step and"
            f" {metrics[-1]['loss']:.3g} in the last. {_machine(facts)}\n"
        )
    else:
        yield f"{done}. {_machine(facts)}\n"
    names = [*_SHAPING, *(_ADAPTERS if recipe["lora_rank"] else ())]
    published = read_recipe(recipe["name"]).plain() if recipe["name"] in recipe_names() else recipe
    yield from table(
        ("value", "here", "in the recipe, where it is another"),
        (
            (
                Code(name),
                Code(_shown(recipe[name])),
                Code("" if recipe[name] == published[name] else _shown(published[name])),
            )
            for name in names
        ),
    )
    yield "\n`recipe.toml` holds every value."
    if recipe["lora_rank"]:
        yield "Low-rank adapters were trained, and are merged into the weights."
    versions = ", ".join(f"{prose(name)} {prose(version)}" for name, version in facts["versions"].items())
    yield f"\nTrained with {versions}."


def _machine(facts: Json) -> str:
    processes, memory = facts["processes"], facts.get("peak_memory")
    took = f", in {_time(facts['seconds'])}" if facts.get("seconds") else ""
    held = f", with at most {memory / 1e9:.2g} GB of memory each" if memory else ""
    return f"By {processes} process{'es' * (processes > 1)}{took}{held}."


def _time(seconds: float) -> str:
    for length, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _epoch(kept: Sequence[Json], picked: Json | None) -> Iterator[str]:
    if picked is None:
        return
    how = {
        "loss": "It has the least loss on dev of all that were kept.",
        "last": "It is the last that was kept.",
        "epoch": "It was chosen by hand.",
    }[picked["by"]]
    why = f" The reason given: {prose(picked['why'])}" if picked["why"] else ""
    yield f"Epoch {picked['epoch']}. {how}{why}\n"
    yield from table(
        ("epoch", "step", "dev loss a token", "dev loss a row", "answers", "ended by themselves", "mean tokens"),
        (
            (
                str(each["epoch"]),
                each["step"],
                each["dev_per_token"],
                each["dev_per_row"],
                each["answers"],
                each["ended"],
                each["mean_tokens"],
            )
            for each in kept
        ),
    )


def _limits(facts: Json, kept: Sequence[Json], picked: Json | None, shared: Sequence[str]) -> Iterator[str]:
    recipe, rows = facts["recipe"], facts["order"]["rows"]
    yield "- It was not measured on any benchmark, and nobody has looked for harm that it does."
    yield (
        f"- {rows:,} rows teach how to answer, and little of what is so: what it knows, and what it has wrong, is"
        f" mostly from {code(facts['model']['name'])}."
    )
    seen = picked["epoch"] if picked else recipe["epochs"]
    times = "once" if seen == 1 else f"{seen} times"
    yield f"- It saw each row {times}, and may repeat a text of the set word for word."
    own = next((each for each in kept if picked and each["epoch"] == picked["epoch"]), None)
    if own and own["answers"] and own["ended"] < own["answers"]:
        yield (
            f"- Of {own['answers']:,} answers to prompts of dev, {own['answers'] - own['ended']:,} did not end by"
            " themselves."
        )
    if picked and picked["by"] == "loss" and len(kept) > 1:
        others = "only test" if facts["set"]["rows"].get("test") else "nothing"
        yield f"- The loss on dev chose the epoch, and so flatters it; {others} tells how it does on other rows."
    if shared:
        yield (
            "- Splits have rows, questions or threads in common, as told above: losses and answers on such rows"
            " look better than on any that it did not learn."
        )
    if not facts["set"]["rows"].get("dev"):
        yield "- There was no dev split: nothing tells how it does on rows that it did not learn."
    elif "dev" not in facts["tokens"]:
        yield "- The rows of dev have no answers, so that no loss was measured on what it did not learn."


def _shared(found: Json) -> str:
    """What a finding says that splits have in common, without the rows and the advice that follow."""
    return str(found["sentence"]).partition(" (such as ")[0]


def _licences(facts: Json, beside: Collection[str]) -> Iterator[str]:
    counted = counted_licences(facts)
    binding = strictest_terms(counted)
    if binding is None:
        return
    yield "The texts that it learned from stay under their authors' licences:\n"
    yield from table(
        ("licence", "rows", "permits", "asks for attribution", "share-alike"),
        (
            (terms.title, rows, _USES[terms.use], _yes(terms.attribution), _yes(terms.share_alike))
            for terms, rows in composition(counted)
        ),
    )
    parted = conflicts(_sets_of(counted))
    if parted:
        yield "\nWhether a model is a work adapted from what it learned is disputed. If it is:\n"
        yield from (f"- {prose(sentence)}" for sentence in parted)
        yield "\nThe head of this card names the strictest licence. The base model's terms bind in any case."
    else:
        yield _one(binding)
    if "ATTRIBUTION.jsonl" in beside:
        yield "\n`ATTRIBUTION.jsonl` names author, address and licence of every text; it belongs to the model."


def _one(binding: Any) -> str:
    return (
        "\nWhether a model is a work adapted from what it learned is disputed. If it is, its licence is"
        f" {prose(binding.title)}, which permits {_USES[binding.use]}; the head of this card names it. The base"
        " model's terms bind in any case."
    )


def _sets_of(counted: Mapping[str | None, int]) -> dict[frozenset[str], int]:
    """The numbers of rows by the licences of their works, as far as rows tell."""
    sets: dict[frozenset[str], int] = {}
    for licence, rows in counted.items():
        works = frozenset(ids(licence))
        sets[works] = sets.get(works, 0) + rows
    return sets


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _rows(count: int, one: str, several: str) -> str:
    return f"{count:,} {f'row {one}' if count == 1 else f'rows {several}'}"
