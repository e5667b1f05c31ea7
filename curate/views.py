"""Views of a record's text, named so that a scan computes each once for all the rules that read it.

Polars shares repeated expressions one level deep only: what two shared expressions have in common inside is
computed twice. So a rule names a view as a column (`text("response")` is `col("text:response")`), and the
judge computes the named views first, then the evidence, then the rejects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

import polars as pl

from curate.errors import PluginError, nearest

Field = Literal[
    "prompt", "context", "response", "first_prompt", "every_prompt", "every_response", "conversation", "title"
]
FIELDS: Final = get_args(Field)

# What is not the author's own prose, in the order in which it goes: code before the rest, since code may hold
# quotes and dollars. Rust's regex engine has no look-around, so what must stand before or after is put back.
# None counts repetitions, which would make the automaton large and slow; and each that may run to the end of the
# text stands alone, since an opening without its end is searched for again after every match of another.
_NOT_PROSE: Final = (
    # Code between fences. Any fence ends it, wherever it stands: people open them in mid-sentence. The longer
    # fence is tried first, because it is there to quote the shorter.
    (r"(?s)````+.*?````+|```.*?```", " "),
    (r"(?s)~~~[^\n]*\n.*?\n[ \t]*~~~+", " "),
    (r"(?s)```[^`\n]*\n.*", " "),
    # A quoted line, also as an item of a list.
    (r"(?m)^[ \t]*(?:(?:[-*+]|[0-9]+[.)])[ \t]+)?>.*$", " "),
    (r"``[^\n]*?``|`[^`\n]+`", " "),
    # TeX. A dollar before a space closes nothing, and one before a number may be money: then no words follow.
    (r"(?s)\$\$.*?\$\$", " "),
    (r"(?s)\\\(.*?\\\)", " "),
    (r"(?s)\\\[.*?\\\]", " "),
    (r"(?s)\\begin\{.*?\\end\{[^}\n]*\}", " "),
    (r"\$[^\s$0-9](?:[^$\n]*[^\s$\\(])?\$|\$[0-9](?:[^$\n ]| +[^$\n a-zA-Z])*\$", " "),
    # Words in quotation marks, which may go on in the next line but not in the next paragraph. A straight mark
    # opens after a space or a bracket and before a word, so that 12" is no quotation.
    (r"“(?:[^”\n]|\n[^”\n])*”|«(?:[^»\n]|\n[^»\n])*»|„(?:[^“”\n]|\n[^“”\n])*[“”]", " "),
    (r"(^|[\s(\[{,=:*_—–-])\"[^\s\"](?:(?:[^\"\n]|\n[^\"\n])*[^\s\"])?\"", "${1} "),
    (r"‘(?:[^’\n]|’\p{L})*’", " "),
    (r"(^|[\s(\[])'[^\s'](?:[^'\n]|\pL'\pL)*'([^\pL\pN]|$)", "${1} ${2}"),
)


# What a field's text is made of: columns of the record, and roles of its turns. Titles are of works.
PARTS_OF: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "prompt": (("prompt",), ()),
    "context": (("context",), ()),
    "response": (("response",), ()),
    "first_prompt": (("prompt",), ("user",)),
    "every_prompt": (("prompt",), ("user",)),
    "every_response": (("response",), ("assistant",)),
    "conversation": (("system", "prompt", "context", "response"), ("user", "assistant", "tool")),
}


def text(of: str) -> pl.Expr:
    """The text of a field; null where the record has no such field."""
    return pl.col(f"text:{_field(of)}")


def prose(of: str) -> pl.Expr:
    """The text of a field without code, mathematics, block quotations and words in quotation marks."""
    return pl.col(f"prose:{_field(of)}")


def measured(measure: str, column: str, of: str) -> pl.Expr:
    """A column of a measure taken of a field. Asking for it is what makes a pipeline take the measure."""
    return pl.col(f"measure:{measure}:{_field(of)}:{column}")


def needed(evidence: Iterable[pl.Expr], kind: Literal["text", "prose", "measure"]) -> list[str]:
    """The views of one kind that expressions read, in alphabetical order."""
    names = {name for expression in evidence for name in expression.meta.root_names()}
    return sorted(name for name in names if name.startswith(f"{kind}:"))


def with_views(records: pl.LazyFrame, evidence: Iterable[pl.Expr]) -> pl.LazyFrame:
    """Records with the text views that the expressions read, in layers: texts, then prose."""
    evidence = list(evidence)
    texts = needed(evidence, "text")
    proses = needed(evidence, "prose")
    below = sorted({*texts, *(name.replace("prose:", "text:", 1) for name in proses)})
    if below:
        records = records.with_columns(_text(name.removeprefix("text:")).alias(name) for name in below)
    if proses:
        records = records.with_columns(_prose(name.removeprefix("prose:")).alias(name) for name in proses)
    return records


def present_in_record(evidence: pl.Expr) -> pl.Expr:
    """True where the record has every field whose text the expression reads, whichever view it reads."""
    fields = {
        name.split(":")[2 if name.startswith("measure:") else 1]
        for name in evidence.meta.root_names()
        if ":" in name
    }
    return pl.all_horizontal([pl.lit(True), *(_exists(field) for field in sorted(fields))])


def _field(of: str) -> str:
    if of not in FIELDS:
        raise PluginError(f"no text field is called {of!r}", next=nearest(of, FIELDS))
    return of


def _turns(role: str) -> pl.Expr:
    of_role = pl.element().struct.field("role") == role
    return pl.col("history").list.eval(pl.element().filter(of_role).struct.field("text"))


def _text(field: str) -> pl.Expr:
    match field:
        case "title":
            of_prompt = pl.element().struct.field("part").str.contains("prompt")
            titles = pl.col("works").list.eval(pl.element().filter(of_prompt).struct.field("title"))
            return titles.list.drop_nulls().list.first()
        case "first_prompt":
            return _turns("user").list.first().fill_null(pl.col("prompt"))
        case "every_prompt":
            return pl.concat_list(_turns("user"), pl.col("prompt")).list.join("\n\n")
        case "every_response":
            every = pl.concat_list(_turns("assistant"), pl.col("response")).list.drop_nulls().list.join("\n\n")
            return pl.when(_exists(field)).then(every)
        case "conversation":
            earlier = pl.col("history").list.eval(pl.element().struct.field("text"))
            parts = pl.concat_list("system", earlier, "prompt", "context", "response")
            return parts.list.drop_nulls().list.join("\n\n")
        case _:
            return pl.col(field)


def _exists(field: str) -> pl.Expr:
    match field:
        case "context" | "response":
            return pl.col(field).is_not_null()
        case "title":
            return _text(field).is_not_null()
        case "every_response":
            return pl.col("response").is_not_null() | (_turns("assistant").list.len() > 0)
        case _:
            return pl.lit(True)


def _prose(field: str) -> pl.Expr:
    view = pl.col(f"text:{field}")
    for pattern, left in _NOT_PROSE:
        view = view.str.replace_all(pattern, left)
    return view
