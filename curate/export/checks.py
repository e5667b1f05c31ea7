"""What a trainer would stumble over in a set, looked for in all splits before anything is written.

Of each finding: what it is, how grave, how many records, and the first of their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from curate.export import Part
from curate.export.card_marks import code
from curate.export.loading import BYTES_PER_TOKEN
from curate.record import message

Json = dict[str, Any]

# Marks by which templates and tokenizers tell parts of a conversation apart. In a text, most tokenizers read
# them as such: a turn ends, or another one begins, where nobody meant it to.
_MARKS: Final = {
    # openai/tiktoken, tiktoken_ext/openai_public.py; Qwen's tokenizers and ChatML use the first two
    "GPT and ChatML": r"<\|(?:im_start|im_end|im_sep|endoftext|endofprompt|fim_prefix|fim_middle|fim_suffix)\|>",
    "gpt-oss": r"<\|(?:start|message|channel|constrain|return|call)\|>",  # openai/harmony, docs/format.md
    "Llama 2": r"\[/?INST\]|<</?SYS>>|</?s>",  # meta-llama/llama, llama/generation.py; the tokenizer's BOS and EOS
    # meta-llama/llama3, llama/tokenizer.py; meta-llama/llama-models, models/llama3_1/api/tokenizer.py
    "Llama 3": (
        r"<\|(?:begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|eom_id|python_tag|"
        r"finetune_right_pad_id)\|>"
    ),
    # google-deepmind/gemma, gemma/gm/text/_tokenizer.py
    "Gemma": r"<(?:start_of_turn|end_of_turn|bos|eos|pad|unk)>",
    # huggingface/alignment-handbook, recipes/zephyr-7b-beta; microsoft/Phi-3CookBook
    "Zephyr and Phi": r"<\|(?:system|user|assistant|end)\|>",
    # mistralai/mistral-common, src/mistral_common/tokens/tokenizers/base.py
    "Mistral": r"\[/?(?:AVAILABLE_TOOLS|TOOL_RESULTS|SYSTEM_PROMPT)\]|\[TOOL_CALLS\]",
    "DeepSeek": "<｜(?:begin▁of▁sentence|end▁of▁sentence|User|Assistant)｜>",  # deepseek-ai/DeepSeek-V3, tokenizer
}
# The headings between which a task's parts stand (tatsu-lab/stanford_alpaca, train.py, PROMPT_DICT).
_ALPACA: Final = r"(?m:^### (?:Instruction|Input|Response):)"

# C0 and C1 without tab, line ends and next line. A lone surrogate cannot be in a column of UTF-8.
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]"

# Who speaks after whom, as one text: calls of tools are turns of the assistant.
_ORDER: Final = r"\A(?:user (?:(?:assistant )*(?:tool )+)*assistant )*(?:user )?\z"

# Where readers cut or drop a row unless they are told otherwise, in tokens: SFTConfig.max_length of TRL 1.16, and
# model_max_length of stanford_alpaca's train.py. Exports that bring a configuration set the limit themselves.
_CUTS: Final = {
    "messages": ("TRL", 1024),
    "prompt_completion": ("TRL", 1024),
    "hugging_face": ("TRL", 1024),
    "alpaca": ("stanford_alpaca's train.py", 512),
}

_SHOWN: Final = 5  # ids of a finding

_SAYS: Final = {
    "roles": "user and assistant do not take turns in {rows}",
    "empty_turn": "a turn is empty in {rows}",
    "system_inside": "the system speaks in the middle of {rows}",
    "template_markers": "marks of a chat template stand in the text of {rows}",
    "control_characters": "characters that are not seen stand in the text of {rows}",
    "leak_id": "the same record is in two splits: {rows} of {split}, which {other} has too",
    "leak_thread": "one thread is in two splits: {rows} of {split} share one with {other}",
    "leak_message": "the same question is in two splits: {rows} of {split} are asked in {other} too",
}


@dataclass
class Looked:
    """What was found in a set: the findings, what parts its records have, and the size of the longest in bytes.

    `parts` has the number of records with each part, by split, and the first of their ids.
    """

    findings: list[Json] = field(default_factory=list)
    parts: dict[Part, dict[str, tuple[int, list[str]]]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    longest: int = 0


def look_over(
    frames: Callable[[str], Iterator[pl.DataFrame]], splits: Iterable[str], forms: Mapping[str, Json]
) -> Looked:
    """Look at the records of all splits, for what stands in the way of the given forms with their parameters."""
    looked, tally, said = Looked(), _Tally(), _Said()
    alpaca = "alpaca" in forms or any("alpaca" in given.get("forms", ()) for given in forms.values())
    marks = "|".join([*_MARKS.values(), *([_ALPACA] if alpaca else [])])
    cuts = dict(_CUTS[form] for form in forms if form in _CUTS)
    # The small splits first: what is in them is kept in memory, and train is held against it.
    for split in sorted(splits, key=("test", "dev", "train").index):
        for frame in frames(split):
            seen = frame.select("id", "thread", **_texts()).with_columns(**_faults(marks))
            looked.rows[split] = looked.rows.get(split, 0) + seen.height
            looked.longest = max(looked.longest, seen.select(pl.max("bytes")).item() or 0)
            for part in ("system", "history", "tools", "no_response"):
                _add(looked, part, split, seen)
            for kind in ("roles", "system_inside", "empty_turn"):
                tally.add(kind, split, seen.filter(kind))
            for kind in ("template_markers", "control_characters"):
                marked = seen.filter(pl.col(kind).is_not_null())
                tally.add(kind, split, marked, what=marked[kind])
            for reader, tokens in cuts.items():
                tally.add(f"cut by {reader}", split, seen.filter(pl.col("bytes") > tokens * BYTES_PER_TOKEN))
            said.hold(split, seen, tally)
    looked.findings = [*tally.findings(cuts)]
    return looked


def _add(looked: Looked, part: Part, split: str, seen: pl.DataFrame) -> None:
    ids = seen.filter(part)["id"]
    if ids.len():
        count, first = looked.parts.setdefault(part, {}).get(split, (0, []))
        looked.parts[part][split] = (count + ids.len(), [*first, *ids.head(_SHOWN - len(first))])


def _texts() -> dict[str, pl.Expr]:
    """Of a record: all texts as one, what is asked as one, who speaks in turn, and what parts it has."""
    turn = pl.element().struct
    history = pl.col("history").fill_null([])
    earlier = history.list.eval(turn.field("text")).list.join("\n", ignore_nulls=True)
    roles = history.list.eval(turn.field("role")).list.join(" ", ignore_nulls=True)
    last = pl.when(pl.col("response").is_null()).then(pl.lit("user ")).otherwise(pl.lit("user assistant "))
    blank = history.list.eval(turn.field("text").str.strip_chars().fill_null("") == "").list.any().fill_null(False)
    return {
        "text": pl.concat_str("system", earlier, message(), "response", separator="\n", ignore_nulls=True),
        "asked": _normal(pl.concat_str(earlier, message(), separator="\n", ignore_nulls=True)),
        "order": pl.when(roles == "").then(last).otherwise(pl.concat_str(roles, pl.lit(" "), last)),
        "system": pl.col("system").fill_null("") != "",
        "history": history.list.len() > 0,
        "tools": history.list.eval(turn.field("role") == "tool").list.any().fill_null(False),
        "no_response": pl.col("response").is_null(),
        "empty_turn": blank | _empty(message()) | (pl.col("response").is_not_null() & _empty(pl.col("response"))),
    }


def _empty(text: pl.Expr) -> pl.Expr:
    return text.fill_null("").str.strip_chars() == ""


def _normal(text: pl.Expr) -> pl.Expr:
    """A text without what two spellings of it may differ in: width, case and white space."""
    return text.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()


def _faults(marks: str) -> dict[str, pl.Expr]:
    inside = pl.col("order").str.contains(r"\bsystem\b")
    return {
        "bytes": pl.col("text").str.len_bytes().cast(pl.Int64),
        "template_markers": pl.col("text").str.extract(f"({marks})", 1),
        "control_characters": pl.col("text").str.extract(f"({_CONTROL})", 1),
        "system_inside": inside,
        "roles": ~inside & ~pl.col("order").str.contains(_ORDER),
    }


class _Said:
    """What the splits looked at so far hold, so that the next is held against them."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, pl.Series]] = {}

    def hold(self, split: str, seen: pl.DataFrame, tally: _Tally) -> None:
        """Compare the records of a split with those of other splits, and remember them."""
        for other, held in self.held.items():
            if other == split:
                continue
            rest = seen
            # The gravest alone: the same record has the same thread, and asks the same.
            for kind, column in (("leak_id", "id"), ("leak_thread", "thread"), ("leak_message", "asked")):
                shared = pl.col(column).is_in(held[column].implode())
                tally.add(kind, split, rest.filter(shared), other=other)
                rest = rest.filter(~shared)
        if split != "train":
            own = self.held.setdefault(split, {})
            for column in ("id", "thread", "asked"):
                values = seen[column].drop_nulls().unique()
                own[column] = pl.concat([own[column], values]) if column in own else values


class _Tally:
    """How many records each fault has, in which splits, and the first of their ids."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, str], Json] = {}

    def add(
        self, kind: str, split: str, rows: pl.DataFrame, *, other: str = "", what: pl.Series | None = None
    ) -> None:
        """Count rows of a split that have a fault. `what` was found in each of them, where there is such a
        thing.
        """
        if not rows.height:
            return
        # A leak is told by pair of splits; all else over all splits.
        at = (kind, split, other) if other else (kind, "", "")
        one = self.found.setdefault(at, {"rows": 0, "examples": [], "splits": {}, "marks": {}})
        one["rows"] += rows.height
        one["examples"] += rows["id"].head(_SHOWN - len(one["examples"])).to_list()
        one["splits"][split] = one["splits"].get(split, 0) + rows.height
        if what is not None:
            for mark, count in (
                what.value_counts(sort=True).sort("count", what.name, descending=[True, False]).rows()
            ):
                one["marks"][mark] = one["marks"].get(mark, 0) + count

    def findings(self, cuts: Mapping[str, int]) -> Iterator[Json]:
        """The findings as plain values, the gravest first."""
        order = [*_SAYS, *(f"cut by {reader}" for reader in cuts)]
        for (kind, split, other), one in sorted(self.found.items(), key=lambda item: order.index(item[0][0])):
            records = f"{one['rows']:,} {'record' if one['rows'] == 1 else 'records'}"
            if kind in _SAYS:
                sentence = _SAYS[kind].format(rows=records, split=split, other=other)
            else:
                reader = kind.removeprefix("cut by ")
                kind = "long"  # noqa: PLW2901
                sentence = (
                    f"{records} {'is' if one['rows'] == 1 else 'are'} longer than {cuts[reader]:,} tokens at"
                    f" {BYTES_PER_TOKEN} bytes a token, where {reader} cuts unless it is told otherwise"
                )
            if one["marks"]:
                most = sorted(one["marks"].items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
                sentence += ": " + ", ".join(f"{_seen(mark)} in {count:,}" for mark, count in most)
            yield finding(kind, "note" if kind == "long" else "warning", one["rows"], one["examples"], sentence)


def _seen(mark: str) -> str:
    """A mark as it stands, or the code point of a character that is not seen."""
    return mark if mark.isprintable() else f"U+{ord(mark):04X}"


def finding(kind: str, severity: str, rows: int, examples: list[str], sentence: str) -> Json:
    """A finding as plain values; `sentence` is for alerts, and names the first id as code."""
    such = f" (such as {code(examples[0])})" if examples else ""
    said = f"{sentence[0].upper()}{sentence[1:]}{such}."
    return {"kind": kind, "severity": severity, "rows": rows, "examples": examples, "sentence": said}
