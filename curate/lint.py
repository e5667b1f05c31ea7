"""Finds what is wrong with examples that people wrote: what cannot be read, and what they may not have meant.

An error stands in the way of reading an example, or is nothing that anyone means. A note is a doubt: a rule of
thumb with exceptions, for the author to look at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple
from unicodedata import category, is_normalized, name, normalize

from curate.authoring import (
    GENERAL,
    PLACEHOLDERS,
    Example,
    Turn,
    example_files,
    example_id,
    example_of_file,
    example_of_row,
    no_example,
)
from curate.errors import SourceError, nearest
from curate.intake import Intake
from curate.lines import Row, json_rows
from curate.streams import decompressed

Level = Literal["error", "note"]

# LIMA trims sequences beyond 2,048 tokens (arXiv 2305.11206, §3). Four characters a token is a rule of thumb for
# English: its Table 1 and released texts come to 3.7 for wikiHow and 3.2 for Stack Exchange, where code is.
MOST_TOKENS: Final = 2048
_CHARS_A_TOKEN: Final = 4

_NAMED: Final = frozenset({".md", ".json", ".jsonl", ".ndjson"})
_UNMEANT: Final = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]")
_TRAILING: Final = re.compile(r"[^\S\n]+$", re.MULTILINE)
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_UNFINISHED: Final = re.compile(r"[:,;]\Z")
_OPENINGS: Final = (
    (
        re.compile(r"(?i)\W*as an? (?:ai|artificial|(?:large )?language model|assistant)\b"),
        "speaks of itself as an AI",
    ),
    (re.compile(r"\W*(?:I|I['’]\w+|My)\b(?![./-])"), "is in the first person"),
)


class Finding(NamedTuple):
    """Something to look at: the file as it was given, the line, how grave it is, what it is and how to mend it."""

    file: str
    line: int
    level: Level
    what: str
    next: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.level}: {self.what}; {self.next}"


@dataclass
class Linted:
    """What was found, in the order of files and lines, and what there is."""

    findings: list[Finding] = field(default_factory=list)
    examples: int = 0
    prompts_alone: int = 0
    dialogues: int = 0
    domains: Counter[str] = field(default_factory=Counter)

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.level == "error" for finding in self.findings)


class _Placed(NamedTuple):
    """An example with its id, its file, and whether its turns stand on lines of their own there."""

    id: str | None
    file: str
    example: Example
    lines: bool


def lint(paths: Iterable[Path]) -> Linted:
    """What is wrong with the examples in these files and folders, taken together as one set.

    Raises `SourceError` when there are no examples, or a file is neither Markdown nor JSON lines.
    """
    linted = Linted()
    seen: set[Path] = set()
    placed: list[_Placed] = []
    for path in paths:
        if not path.exists():
            raise SourceError("there is no such file or folder", where=str(path), next=_instead(path))
        for id_name, file in example_files(path):
            if file.resolve() not in seen:
                seen.add(file.resolve())
                placed += _read(id_name, file, linted, alone=not path.is_dir())
    if not placed and not linted.errors:
        raise SourceError(
            "there are no examples",
            where=", ".join(map(str, paths)),
            next="they are files that end in .md; `curate lint --new first.md` writes one to begin from",
        )
    for each in placed:
        linted.findings += _looked_over(each)
        _count(linted, each.example)
    linted.findings += _twice(placed)
    linted.findings += _undeclared(placed)
    linted.findings.sort(key=lambda finding: (finding.file, finding.line, finding.level))
    return linted


def _instead(path: Path) -> str:
    """What a path that is not there may have meant."""
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    if beside:
        return f"in {path.parent}: {nearest(path.name, beside)}"
    return "`curate lint --new FILE` writes an example to begin from"


def _read(id_name: str, file: Path, linted: Linted, *, alone: bool) -> Iterator[_Placed]:
    """The examples of a file. What is none is found wanting instead."""
    shown = str(file)
    if alone and not {suffix.lower() for suffix in file.suffixes} & _NAMED:
        raise SourceError(
            "examples are Markdown files, or JSON lines",
            where=shown,
            next="give a file whose name ends in .md or .jsonl, or a folder",
        )
    if alone and file.suffix.lower() != ".md":
        yield from _rows(file, linted)
        return
    cause = no_example(file)
    if cause and not alone:
        if cause != "a README":
            linted.findings.append(
                Finding(shown, 1, "note", f"{cause}, so it is not read", "JSON lines are given by their own name")
            )
        return
    example = example_of_file(file)
    linted.findings += [Finding(shown, fault.line, "error", fault.what, fault.next) for fault in example.faults]
    if not example.faults:
        yield _Placed(example_id(example, id_name), shown, example, lines=True)


def _rows(file: Path, linted: Linted) -> Iterator[_Placed]:
    shown, intake = str(file), Intake(file.parent)
    rows = list(json_rows(file, intake))
    unreadable = intake.counts.unreadable
    line_of = _line_numbers(file, [row.offset for row in rows] + [row.position for row in unreadable])
    linted.findings += [
        Finding(shown, line_of[row.position], "error", row.reason, "write one JSON object a line")
        for row in unreadable
    ]
    for row in rows:
        yield from _row(shown, row, line_of[row.offset], linted)


def _row(shown: str, row: Row, line: int, linted: Linted) -> Iterator[_Placed]:
    example = example_of_row(row.value, line=line)
    linted.findings += [Finding(shown, line, "error", fault.what, fault.next) for fault in example.faults]
    if not example.faults:
        yield _Placed(example_id(example, None), shown, example, lines=False)


def _line_numbers(file: Path, offsets: list[int]) -> dict[int, int]:
    """The line (from 1) on which each byte of a file stands."""
    found: dict[int, int] = {}
    waiting = sorted(set(offsets), reverse=True)
    line, passed = 1, 0
    for chunk in decompressed(file):
        at = 0
        while waiting and waiting[-1] < passed + len(chunk):
            offset = waiting.pop()
            line += chunk.count(b"\n", at, offset - passed)
            at = offset - passed
            found[offset] = line
        line += chunk.count(b"\n", at)
        passed += len(chunk)
    return found


def _count(linted: Linted, example: Example) -> None:
    linted.examples += 1
    linted.prompts_alone += example.response is None
    linted.dialogues += bool(example.history)
    linted.domains[example.facts.get("domain", GENERAL)] += 1


def _looked_over(placed: _Placed) -> Iterator[Finding]:
    """What one example's texts show."""
    example = placed.example
    for turn in example.turns:
        if turn.text in PLACEHOLDERS:
            what = f"the {turn.role}'s turn is as `curate lint --new` wrote it"
            yield Finding(placed.file, turn.line, "error", what, "write your own text")
        for at, level, what, mend in _of_text(turn):
            line = turn.line + turn.text.count("\n", 0, at) if placed.lines else turn.line
            yield Finding(placed.file, line, level, f"{what} in the {turn.role}'s turn", mend)
    prompt, response = example.prompt, example.response
    if _UNFINISHED.search(prompt.text):
        last = prompt.line + (prompt.text.count("\n") if placed.lines else 0)
        what = f"the prompt ends in {prompt.text[-1]!r}, as if something were to follow"
        yield Finding(placed.file, last, "note", what, "give what is asked about")
    if response is not None:
        opening = next((what for pattern, what in _OPENINGS if pattern.match(response.text)), None)
        if opening:
            yield Finding(
                placed.file, response.line, "note", f"the answer's opening {opening}", "begin with the matter"
            )
    chars = sum(len(turn.text) for turn in example.turns)
    if chars > MOST_TOKENS * _CHARS_A_TOKEN:
        about = f"{chars:,} characters are about {chars // _CHARS_A_TOKEN:,} tokens"
        yield Finding(
            placed.file,
            example.turns[0].line,
            "note",
            f"{about}, at {_CHARS_A_TOKEN} characters each",
            f"LIMA trains on {MOST_TOKENS:,} at most; what goes beyond may be cut off",
        )


def _of_text(turn: Turn) -> Iterator[tuple[int, Level, str, str]]:
    """What a text shows: where in it, how grave, what, and how to mend it. One finding of a kind."""
    text = turn.text
    if found := _UNMEANT.search(text):
        yield found.start(), "error", _called(found[0]), "take it out: nobody sees it, and a model learns it"
    if not is_normalized("NFC", text):
        pairs = enumerate(zip(text, normalize("NFC", text), strict=False))
        yield (
            next((at for at, (here, there) in pairs if here != there), 0),
            "note",
            "an accent that is a character of its own",
            "normalise the text to NFC",
        )
    if found := _TRAILING.search(text):
        count = len(_TRAILING.findall(text))
        yield (
            found.start(),
            "note",
            f"{count:,} lines that end in spaces" if count > 1 else "a line that ends in spaces",
            ("take them away, unless they are to break a line"),
        )
    if text[:1].isspace():
        yield 0, "note", "a first line that begins with spaces", "take them away, unless it is code"
    tab, fence = _outside_code(text)
    if tab is not None:
        yield tab, "note", "a tab outside of code", "write spaces"
    if fence is not None:
        yield fence, "note", "a code block that is not closed", "close it with the marks that opened it"


def _called(character: str) -> str:
    kind = "a control character" if category(character) == "Cc" else name(character).lower()
    return f"{kind} (U+{ord(character):04X})"


def _outside_code(text: str) -> tuple[int | None, int | None]:
    """Where the first tab outside of code blocks is, and where a block opens that is never closed."""
    tab = opened = None
    marks, at = "", 0
    for line in text.split("\n"):
        fence = _FENCE.fullmatch(line)
        if fence and not marks:
            marks, opened = fence[1], at
        elif fence and fence[1].startswith(marks) and not fence[2].strip():
            marks, opened = "", None
        elif not marks and tab is None and "\t" in line and not line.startswith(("\t", "    ")):
            tab = at + line.index("\t")
        at += len(line) + 1
    return tab, opened


def _twice(placed: list[_Placed]) -> Iterator[Finding]:
    """Ids and prompts that another example of the set has."""
    ids: dict[str, str] = {}
    asked: dict[tuple[tuple[str, str], ...], str] = {}
    for each in placed:
        example, line = each.example, each.example.prompt.line
        here = f"{each.file}:{line}"
        turns = (*(turn for turn in example.turns if turn.role == "system"), *example.history, example.prompt)
        question = tuple((turn.role, " ".join(turn.text.casefold().split())) for turn in turns)
        first = asked.setdefault(question, here)
        if first != here:
            yield Finding(each.file, line, "error", f"the prompt of {first} once more", "keep one of them")
        if each.id is not None and (first := ids.setdefault(each.id, here)) != here:
            what = f"the id {each.id!r} is that of {first} too"
            yield Finding(each.file, line, "error", what, 'give each its own, with id = "…"')


def _undeclared(placed: list[_Placed]) -> Iterator[Finding]:
    """One finding a fact that examples do not state, at the first of them."""
    for key, what in (("license", "under which licence they are"), ("author", "who wrote them")):
        silent = [each for each in placed if key not in each.example.facts]
        if silent:
            count = f"{len(silent):,} of {len(placed):,} examples do not say {what}"
            yield Finding(
                silent[0].file, 1, "note", count, f'give each {key} = "…", or say it for all in the pipeline'
            )
