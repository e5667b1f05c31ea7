"""The numbers of a run as one page that needs nothing else: no script, no font, no connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from curate.errors import PluginError
from curate.report import words
from curate.report.charts_figures import Figures, figures
from curate.report.charts_style import VARIABLES
from curate.report.words import bytes_of, count, percent, said, value, visible, web

__all__ = ["MAX_BYTES", "bytes_of", "count", "page", "percent", "said", "strip", "value", "visible", "web"]

MAX_BYTES: Final = 3_000_000
_KEYS: Final = 60  # no part of the numbers has as many names of its own; more are data

_OPTIONAL: Final = (
    *("alerts", "amendments", "balances", "before_after", "categories", "contamination", "controls"),
    *(
        "decisions",
        "dedup",
        "domains",
        "examples",
        "exclusions",
        "export_findings",
        "funnel",
        "hygiene",
        "intake",
        "ledger",
    ),
    *("lengths", "licenses", "licensing", "made_by", "map", "rules", "selection", "tokens", "unreadable", "verbs"),
)


@dataclass(frozen=True)
class Show:
    """How much of what could be without end a page shows."""

    quotes: int = 3  # examples of each kind to a rule
    chats: int = 20
    groups: int = 12
    points: int = 5_000
    rows: int = 100  # of a table
    domains: int = 50
    letters: int = 1_500  # of any text; what is quoted is far shorter, names and alerts seldom are not
    items: int | None = None  # of any list; None for all of it
    said: str = ""


# All that there is, or less where the page would grow too large: examples go first, then points, then rows.
_LESS: Final = (
    Show(),
    Show(1, 8, 6, said="fewer examples"),
    Show(0, 4, 3, 2_000, said="few examples, and fewer points"),
    Show(0, 0, 2, 1_000, 40, 20, 1_000, 500, said="no examples, fewer points and rows, and shortened texts"),
    Show(0, 0, 1, 500, 20, 10, 200, 40, said="no examples, few points and rows, and shortened texts"),
    Show(0, 0, 0, 0, 8, 8, 80, 8, said="the first lines of each part"),
)


def page(numbers: Mapping[str, Any]) -> str:
    """The report as an HTML page of at most three megabytes.

    `numbers` are those of `curate.report.numbers`; a section whose numbers are missing is not shown. Without
    Altair and vl-convert tables stand where charts would. Raises `PluginError` when jinja2 is not installed.
    """
    template = environment().get_template("report.html")
    every = dict.fromkeys(_OPTIONAL) | dict(numbers)
    # Charts are bounded as they are and cost most of a page's time: only the map is drawn again, with less.
    drawn = figures(_cut(every, _LESS[0]))
    for show in _LESS:
        given = _cut(every, show)
        drawn.map_again(given, show.points)
        made = str(template.render(_context(given, show, drawn)))
        if len(made.encode()) <= MAX_BYTES:
            break
    return made


def environment() -> Any:
    """What templates of this folder are rendered with: every text escaped, and what hides in it made visible.

    Raises `PluginError` when jinja2 is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup, escape
    except ImportError:
        raise PluginError(
            "the report needs jinja2, which is not installed",
            where="curate.report.page",
            next="pip install 'curate-sft[report]'",
        ) from None

    def shown(value: Any) -> Any:
        return value if isinstance(value, Markup) or not isinstance(value, str) else visible(value)

    def code(text: str) -> Any:
        parts = (escape(visible(part)) for part in text.split("`"))
        return Markup("").join(Markup("<code>{}</code>").format(p) if n % 2 else p for n, p in enumerate(parts))

    folder = files("curate.report")
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    made.filters |= {
        "code": code,
        "ready": Markup,  # our own SVG, whose texts lxml has escaped
        "capitalized": words.capitalized,
        "count": count,
        "figure": words.figure,
        "measured": words.measured,
        "percent": percent,
        "said": said,
        "value": value,
        "web": web,
    }
    made.globals |= {
        "apart": words.apart,
        "bytes_of": bytes_of,
        "chance": words.chance,
        "change": words.change,
        "strip": strip,
    }
    return made


def _context(numbers: Mapping[str, Any], show: Show, figures: Figures) -> dict[str, Any]:
    from curate.report.charts import marks

    contents = [(anchor, title) for anchor, title, present in _sections(numbers) if present]
    controls = numbers["controls"] or {}
    return {
        **numbers,
        "show": show,
        "cut": show.said,
        "figures": figures,
        "contents": contents,
        "shown": {anchor for anchor, _ in contents},
        "reasons": words.reasons(numbers),
        "found_beyond": words.beyond(controls.get("metrics") or []),
        "titles": words.titles(controls),
        "marks": marks(words.titles(controls)),
        "colours": VARIABLES,
    }


def _sections(numbers: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """The parts of the page in order: anchor, title in the list of contents, and whether it is there."""
    n = numbers
    kept = bool(n["summary"].get("kept"))
    hygiene, examples = n["hygiene"] or {}, n["examples"] or {}
    yield "changes", "Before and after", bool(n["before_after"] and n["before_after"]["rows"])
    yield "intake", "Intake", bool(n["intake"])
    yield "rules", "Rules", n["rules"] is not None
    yield "ledger", "Ledger", bool(n["ledger"])
    yield "contamination", "Contamination", bool(n["contamination"] and n["contamination"]["passes"])
    yield "duplicates", "Duplicates", n["dedup"] is not None
    yield "selection", "Selection", n["selection"] is not None
    yield "controls", "Beside chance", bool(n["controls"] and n["controls"]["metrics"])
    yield "licences", "Licences", bool(n["licensing"] or (n["licenses"] and kept))
    yield "lengths", "Lengths", bool((n["lengths"] and kept) or n["tokens"])
    topics = [(n[key] or {}).get(rows) for key, rows in (("verbs", "verbs"), ("categories", "rows"))]
    domains = any(row["kept"] for row in n["domains"] or [])
    yield "topics", "Topics", domains or any(topics)
    yield "map", "Map", bool(n["map"] and n["map"]["points"])
    yield "hygiene", "Personal data", bool(hygiene.get("n") and hygiene.get("rows"))
    yield "examples", "Rows", bool(examples.get("kept") or examples.get("dropped"))
    yield "decisions", "Decisions", bool(n["decisions"])
    yield "made-by", "Made by", bool(n["made_by"])


def _cut(values: Any, show: Show) -> Any:
    """The values with long texts cut and long lists shortened; points are counted apart."""
    if isinstance(values, str):
        return values if len(values) <= show.letters else values[: show.letters - 1] + "…"
    if isinstance(values, Mapping):
        names = list(values)[:_KEYS]
        return {key: values[key] if key == "points" else _cut(values[key], show) for key in names}
    if isinstance(values, list | tuple):
        return [_cut(each, show) for each in values[: show.items]]
    return values


def strip(rule: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the quantiles and limits of a rule lie on a line from 0 to 1000; None if they cannot be drawn."""
    spread = rule["evidence"]
    limits = {row["limit"] for row in rule["sources"] if isinstance(row["limit"], int | float)}
    if not spread or not limits or spread.get("p5") is None:
        return None
    low, high = min(spread["p5"], *limits), max(spread["p95"], *limits)
    if high <= low:
        return None
    scale = 960 / (high - low)
    places = {key: round(20 + (spread[key] - low) * scale, 1) for key in ("p5", "p25", "median", "p75", "p95")}
    return places | {"limits": sorted(round(20 + (limit - low) * scale, 1) for limit in limits)}
