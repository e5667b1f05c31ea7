r"""The form in which people write examples of their own: one Markdown file each, or one JSON object a line.

    +++
    id = "walk-before-breakfast"
    author = "A. Writer"
    license = "CC-BY-4.0"
    +++

    === user ===

    Is it healthier to walk before breakfast?

    === assistant ===

    # A heading of the answer's own

What stands between the lines `+++` is TOML and may be left out; `KEYS` are its keys. A turn begins at a line
`=== role ===` and ends before the next one, blank lines at its ends apart. No Markdown is written so, which
cannot be said of headings; a line of a text that does look so, also in code, is written `\=== so ===`.

Turns are the user's and the assistant's in turn, after a system message if there is one. More than two make a
dialogue. An example that ends with the user is a prompt alone, for a test set.

As JSON, the same keys stand beside `messages`, a list of `{"role", "content"}`, or beside `prompt`, `response` and
`system`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import cycle
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple
from unicodedata import normalize

from curate.errors import nearest
from curate.lines import MisfitError, as_text, kind_of
from curate.toml_lines import key_lines

KEYS: Final = {
    "id": "a name of its own, without spaces",
    "domain": 'what quotas go by, such as "safety"; `general` where it is not said',
    "author": "who wrote it",
    "license": "under which licence, as an SPDX id",
    "created": "when, as a date such as 2026-01-31",
    "note": "a remark for other writers",
}
ROLES: Final = ("system", "user", "assistant")
GENERAL: Final = "general"  # the domain of an example that names none

# What a new example says in its turns, until somebody writes it.
PLACEHOLDERS: Final = (
    "What the user asks. Any Markdown may stand here.",
    (
        "What the assistant answers. For a dialogue, go on with another turn of the user; for a prompt of a test"
        "\nset, leave this turn out."
    ),
)
TEMPLATE: Final = f"""\
+++
id = "{{id}}"
# domain = "safety"            # "general" where it is not said; quotas go by it
author = ""                     # who wrote it
license = "CC-BY-4.0"           # under which licence, as an SPDX id
created = {{created}}
+++

=== user ===

{PLACEHOLDERS[0]}

=== assistant ===

{PLACEHOLDERS[1]}
"""

_MOST_BYTES: Final = (
    2**20
)  # of a file; a thousand times what LIMA's authors wrote on average (Table 1: 374 tokens)
_FENCE: Final = "+++"
_LONGEST_MARK: Final = 60  # characters of a line that may be a mark
_MARK: Final = re.compile(r"===[ \t]*([^=\s](?:[^=]*[^=\s])?)[ \t]*===[ \t]*")
_BLANK_LINES: Final = re.compile(r"\A(?:[^\S\n]*+\n)++")
_ESCAPED: Final = re.compile(r"\\+===")
_LINE_OF: Final = re.compile(r" \(at line (\d+), column \d+\)")
_BESIDE: Final = ("messages", "prompt", "response", "system")


class Fault(NamedTuple):
    """Why a text is no example: the line (from 1) where it shows, what is wrong, and what to do."""

    line: int
    what: str
    next: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}; {self.next}"


class Turn(NamedTuple):
    """What one of them says, and the line on which that begins."""

    role: str
    text: str
    line: int


@dataclass(frozen=True)
class Example:
    """One example as it is written. What has faults is none, whatever else it holds."""

    facts: Mapping[str, Any]
    turns: tuple[Turn, ...]
    faults: tuple[Fault, ...]

    @property
    def system(self) -> str | None:
        """The system message."""
        return next((turn.text for turn in self.turns if turn.role == "system"), None)

    @property
    def said(self) -> tuple[Turn, ...]:
        """The turns of the user and the assistant."""
        return tuple(turn for turn in self.turns if turn.role != "system")

    @property
    def asks(self) -> int:
        """Which of `said` is the prompt: the last turn of the user."""
        return len(self.said) - (2 if self.said[-1].role == "assistant" else 1)

    @property
    def prompt(self) -> Turn:
        """The last thing the user asks."""
        return self.said[self.asks]

    @property
    def response(self) -> Turn | None:
        """What the assistant answers to it."""
        return self.said[-1] if self.said[-1].role == "assistant" else None

    @property
    def history(self) -> tuple[Turn, ...]:
        """What was said before the prompt."""
        return self.said[: self.asks]


def example_files(path: Path) -> Iterator[tuple[str, Path]]:
    """The files that hold one example each, with their names: one file, or all below a folder, in order of names.

    A name begins with that of the folder, so that two folders may hold files of the same name. Files that are
    hidden are none of the folder's.
    """
    whole = path.absolute()
    if not whole.is_dir():
        yield _portable(f"{whole.parent.name}/{whole.name}"), path
        return
    below = ((file.relative_to(path), file) for file in path.rglob("*") if file.is_file())
    shown = [(_portable(f"{whole.name}/{name.as_posix()}"), file) for name, file in below if not _hidden(name)]
    yield from sorted(shown)


def no_example(file: Path) -> str | None:
    """Why a file of a folder is not meant to be an example; None where it is."""
    if file.suffix.lower() != ".md":
        return "not a Markdown file"
    return "a README" if file.stem.lower() == "readme" else None


def example_id(example: Example, name: str | None) -> str | None:
    """The id that an example gives, or else the name of its file."""
    given: str | None = example.facts.get("id")
    return given or (None if name is None else str(PurePosixPath(name).with_suffix("")))


def example_of_file(file: Path) -> Example:
    """The example in a Markdown file. What cannot be read as text is a fault of it."""
    with file.open("rb") as opened:
        content = opened.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        return _none(f"the file has more than {_MOST_BYTES:,} bytes", "write one example a file", 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _none(f"invalid UTF-8 at byte {error.start}", "save the file as UTF-8", line)
    if "\0" in text:
        return _none("a NUL character", "take it out", text.count("\n", 0, text.index("\0")) + 1)
    return example_of_text(text)


def example_of_text(text: str) -> Example:
    """The example in the text of a Markdown file, whatever its line ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    facts, first, faults = _front_matter(lines)
    turns: list[Turn] = []
    marked = list(_marked(lines, first))
    for role, number, body in marked:
        if role is None:
            before = next((at for at, line in enumerate(body, number) if line.strip()), None)
            if before is not None and len(marked) > 1:
                faults.append(Fault(before, "text before the first turn", _above(body, before - number)))
        elif role in ROLES:
            turns.append(_turn(role, number, body))
        else:
            what = f"no role is called {role!r}"
            faults.append(
                Fault(number, what, f"{nearest(role, ROLES)} In a text, such a line is written \\=== {role} ===")
            )
    if len(marked) == 1 and not faults:
        faults.append(Fault(first + 1, "no turn is marked", "put a line `=== user ===` above what the user asks"))
    faults += _empty(turns)
    if len(turns) == len(marked) - 1:  # with a turn that is not understood, the order of the others says nothing
        faults += _disorder(turns)
    return Example(facts, tuple(turns), tuple(sorted(faults)))


def example_of_row(row: Mapping[str, Any], *, line: int = 1) -> Example:
    """The example in a JSON object, which stands on this line of its file."""
    faults = [
        Fault(line, f"there is no key {key!r} here", nearest(key, (*KEYS, *_BESIDE)))
        for key in row
        if key not in KEYS and key not in _BESIDE
    ]
    facts = {key: row[key] for key in KEYS if row.get(key) is not None}
    if isinstance(facts.get("id"), int) and not isinstance(facts["id"], bool):
        facts["id"] = str(facts["id"])
    if isinstance(facts.get("created"), str):
        try:
            facts["created"] = datetime.fromisoformat(facts["created"])
        except ValueError:
            faults.append(_wrong(line, "created", facts.pop("created")))
    turns = []
    try:
        turns = [Turn(role, _trimmed(text), line) for role, text in _said(row)]
    except MisfitError as misfit:
        faults.append(Fault(line, str(misfit), "see `curate lint --help`"))
    else:
        faults += [*_empty(turns), *_disorder(turns)]
        if not turns:
            faults.append(Fault(line, "no turn is given", 'give "messages", or "prompt" and "response"'))
    return Example(_checked(facts, dict.fromkeys(facts, line), faults), tuple(turns), tuple(faults))


def _above(lines: list[str], at: int) -> str:
    """What to do about text above all marks, which may be front matter as other programs have it."""
    if lines[at].rstrip() == "---":
        return f'front matter is TOML between two lines `{_FENCE}`, such as author = "…"'
    return "put a line `=== user ===` above it"


def _none(what: str, next: str, line: int) -> Example:
    return Example({}, (), (Fault(line, what, next),))


def _hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)


def _portable(name: str) -> str:
    """The name as text, the same on systems that take accents apart and on those that do not."""
    return normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))


def _front_matter(lines: list[str]) -> tuple[dict[str, Any], int, list[Fault]]:
    """The facts, the place of the first line after them, and what is wrong with them."""
    if lines[0].rstrip() != _FENCE:
        return {}, 0, []
    end = next((at for at, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
    if end is None:
        return {}, len(lines), [Fault(1, "the front matter has no end", "close it with another line `+++`")]
    text = "\n".join(lines[1:end])
    try:
        facts = tomllib.loads(text)
        at = {path[0]: number + 1 for path, number in key_lines(text).items() if len(path) == 1}
    except tomllib.TOMLDecodeError as error:
        found = _LINE_OF.search(str(error))
        what = _LINE_OF.sub("", str(error)).removesuffix(" (at end of document)")
        line = int(found[1]) + 1 if found else end
        return {}, end + 1, [Fault(line, f"the front matter is not valid TOML: {what}", 'write key = "value"')]
    except RecursionError:
        return {}, end + 1, [Fault(2, "brackets within brackets, too many to follow", 'write key = "value"')]
    lines_of = {str(key): number for key, number in at.items()}
    faults = [
        Fault(lines_of.get(key, 2), f"there is no key {key!r} here", nearest(key, KEYS))
        for key in facts
        if key not in KEYS
    ]
    known = {key: facts[key] for key in facts if key in KEYS}
    return _checked(known, lines_of, faults), end + 1, faults


def _checked(facts: dict[str, Any], lines: Mapping[str, int], faults: list[Fault]) -> dict[str, Any]:
    """The facts of the right kind, without empty texts; what is wrong with the others is added to the faults."""
    kept: dict[str, Any] = {}
    for key, value in facts.items():
        if key == "created" and isinstance(value, date):
            try:
                kept[key] = _moment(value)
            except OverflowError:  # the year 0 or 10000, once it is told in UTC
                faults.append(_wrong(lines[key], key, value))
        elif key == "created" or not isinstance(value, str) or (key == "id" and re.search(r"\s", value)):
            faults.append(_wrong(lines[key], key, value))
        elif value.strip():
            kept[key] = value.strip()
    return kept


def _wrong(line: int, key: str, value: Any) -> Fault:
    shown = str(value) if isinstance(value, date | time) else kind_of(value)
    if isinstance(value, str | int | float):
        shown = repr(value)
    return Fault(line, f"{key!r} is {shown}", f"it is {KEYS[key]}")


def _moment(value: date) -> datetime:
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _marked(lines: list[str], first: int) -> Iterator[tuple[str | None, int, list[str]]]:
    """Each mark's name, the line it stands on (from 1), and the lines under it. What comes first has no mark."""
    name: str | None = None
    number, body = first + 1, list[str]()
    for at, line in enumerate(lines[first:], first + 1):
        mark = _MARK.fullmatch(line) if len(line) <= _LONGEST_MARK else None
        if mark:
            yield name, number, body
            name, number, body = mark[1], at, []
        else:
            body.append(line[1:] if _ESCAPED.match(line) else line)
    yield name, number, body


def _turn(role: str, mark: int, body: list[str]) -> Turn:
    begins = next((at for at, line in enumerate(body) if line.strip()), 0)
    text = _trimmed("\n".join(body))
    return Turn(role, text, mark + 1 + begins if text else mark)


def _trimmed(text: str) -> str:
    """Without blank lines at its ends; its first line may be indented."""
    return _BLANK_LINES.sub("", text.rstrip())


def _empty(turns: list[Turn]) -> Iterator[Fault]:
    for turn in turns:
        if not turn.text:
            yield Fault(turn.line, f"the {turn.role}'s turn is empty", "write it, or take its mark away")


def _disorder(turns: list[Turn]) -> Iterator[Fault]:
    said = [turn for turn in turns if turn.role != "system"]
    if turns and not said:
        yield Fault(turns[0].line, "nobody asks anything", "add a line `=== user ===` and what the user asks")
    for turn in turns[1:]:
        if turn.role == "system":
            yield Fault(turn.line, "a system message after another turn", "put one such message first")
    for turn, role in zip(said, cycle(("user", "assistant")), strict=False):
        if turn.role != role:
            first = "the first turn is the assistant's"
            what = first if turn is said[0] else f"two turns of the {turn.role} in a row"
            yield Fault(turn.line, what, "turns are the user's and the assistant's in turn, the user's first")
            return


def _said(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "messages" not in row:
        for role, key in (("system", "system"), ("user", "prompt"), ("assistant", "response")):
            if row.get(key) is not None:
                yield role, as_text(row[key], repr(key))
        return
    beside = [key for key in _BESIDE[1:] if key in row]
    if beside:
        raise MisfitError(f"'messages' and {beside[0]!r} in one object")
    if not isinstance(row["messages"], list):
        raise MisfitError(f"'messages' is {kind_of(row['messages'])}, not a list")
    for number, message in enumerate(row["messages"]):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise MisfitError(f'message {number} is not {{"role", "content"}}')
        if message["role"] not in ROLES:
            raise MisfitError(f"message {number} is by {message['role']!r}, not {', '.join(ROLES)}")
        yield message["role"], as_text(message["content"], f"the content of message {number}")
