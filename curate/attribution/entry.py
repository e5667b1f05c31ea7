"""How a record and its works are named in a line of HTML: each text escaped, cut, and kept apart from others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any, Final

from curate.licenses import UNKNOWN
from curate.licenses.terms import folded, terms
from curate.report.page import visible, web

Json = Mapping[str, Any]

# What nobody writes, and somebody may put there to fill the page: characters of texts, and numbers of parts.
TITLE: Final = 200
NAME: Final = 80
_ADDRESS: Final = 500
_WORKS: Final = 8
_CHANGES: Final = 4

_CREATIVE_COMMONS: Final = re.compile(r"\ACC-([A-Z-]+)-([0-9.]+)\Z")


def entry(row: Json) -> str:
    """What is said of a record, without its id: its works, and what was changed."""
    works = row["works"]
    said = []
    before: str | None = None
    for work in works[:_WORKS]:
        said.append(_said(work, again=work["title"] == before))
        before = work["title"]
    if not works:
        said.append(f"<i>{text(row['note'].removesuffix('.'))}</i>")
    if len(works) > _WORKS:
        said.append(f"and {count(len(works) - _WORKS, 'work')} more")
    changes = [isolated(change, TITLE) for change in row["changes"][:_CHANGES]]
    if len(row["changes"]) > _CHANGES:
        changes.append(f"and {len(row['changes']) - _CHANGES:,} more")
    changed = f" <span class=soft>Changed: {', '.join(changes)}.</span>" if changes else ""
    return f"{'; '.join(said)}.{changed}"


def _said(work: Json, *, again: bool) -> str:
    """One work: its title if it is not the last one's, part, author, date and licence."""
    part = text(cut(work["part"] or "text", NAME))
    named = work["title"] and not again
    what = f"{linked(isolated(work['title'], TITLE), work['url'])}, {part}" if named else linked(part, work["url"])
    author = isolated(work["author"], NAME) if work["author"] else "an author whom the source does not name"
    date = f", {text(work['modified'])}" if work["modified"] else ""
    return f"{what} by {linked(author, work['author_url'])}{date}, {_license(work['license'])}"


@lru_cache(maxsize=1024)
def _license(license: str) -> str:
    """A licence with a link to its text; of an expression, each of its licences."""
    if license == UNKNOWN:
        return "no licence known"
    return folded(cut(license, NAME), _one_license, " and ".join, lambda some: f"({' or '.join(some)})")


def _one_license(id: str) -> str:
    return linked(text(license_name(id)), terms(id).url)


def license_name(id: str) -> str:
    """A licence's id, or the way in which Creative Commons writes its own: CC BY-SA 4.0."""
    return _CREATIVE_COMMONS.sub(r"CC \1 \2", id)


def linked(shown: str, url: str | None) -> str:
    """HTML with a link around it, where the address leads to the web and is no text of its own."""
    safe = web(url)
    return shown if safe is None or len(safe) > _ADDRESS else f'<a href="{text(safe)}">{shown}</a>'


def isolated(somebodys: str, most: int) -> str:
    """A text of somebody's, which may run from right to left, and may not turn what stands beside it."""
    return f"<bdi>{text(cut(somebodys, most))}</bdi>"


def cut(somebodys: str, most: int) -> str:
    """At most so many characters of a text, in one line."""
    line = " ".join(somebodys.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def text(plain: str) -> str:
    """HTML that shows a text, with a mark for each character that hides or turns others."""
    return escape(visible(plain))


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
