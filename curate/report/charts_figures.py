"""Every figure of the page: a chart, a sentence that says what to see, and the same numbers as a table.

Where Altair or vl-convert is missing a figure has no chart, and the page shows its table instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from curate.errors import PluginError
from curate.report import charts
from curate.report.strips import strip
from curate.report.words import count, figure, percent, short

Json = Mapping[str, Any]

HISTOGRAMS: Final = 24  # of rules; the others show their quantiles. A chart costs 0.05 s and 5 kB
STRIPS: Final = 80
_MAPPED: Final = ("kept", "not drawn", "duplicate", "rejected", "contaminated", "excluded")


@dataclass(frozen=True)
class Figure:
    """A chart with its title, description, caption and table twin; `svg` is None where no chart could be drawn."""

    id: str
    title: str
    desc: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    svg: str | None = None
    more: int = 0  # rows that only report.json has


@dataclass
class Figures:
    """The figures of a page by section, and whether charts could be drawn."""

    lengths: list[Figure] = field(default_factory=list)
    tokens: Figure | None = None
    verbs: Figure | None = None
    categories: Figure | None = None
    overlap: Figure | None = None
    rules: dict[str, list[Figure]] = field(default_factory=dict)
    strips: dict[str, str | None] = field(default_factory=dict)
    map: list[Figure] = field(default_factory=list)
    missing: str = ""
    points: int = -1  # that the map has room for

    def map_again(self, numbers: Json, points: int) -> None:
        """Draw the map with at most `points` points, unless it has been."""
        if points != self.points:
            self.points, self.map = points, []
            _map(self, numbers, points)

    def drawn(self, chart: Callable[[], Any], title: str, desc: str, id: str) -> str | None:
        """The chart as SVG; None, and the reason kept, where what draws it is not installed."""
        if self.missing:
            return None
        try:
            return charts.svg(chart(), title, desc, id=id)
        except PluginError as error:
            self.missing = str(error)
            return None


def figures(numbers: Json) -> Figures:
    """All figures that the numbers give, but the map."""
    made = Figures()
    for section in (_lengths, _tokens, _verbs, _categories, _rules, _controls):
        section(made, numbers)
    return made


def _lengths(made: Figures, numbers: Json) -> None:
    lengths = numbers.get("lengths") or {}
    for name in ("response", "prompt"):
        bins = (lengths.get(name) or {}).get("bins") or []
        whole = sum(each["records"] for each in bins)
        if whole:
            most = max(bins, key=lambda each: each["records"])
            title = f"Kept {name}s by length in characters"
            caption = (
                f"Most frequent are {name}s of {charts.span(most)} characters, "
                f"{percent(most['records'], whole)} of {whole:,}. Bars are drawn equally "
                "wide, and the numbers below them say what each spans."
            )
            made.lengths.append(_histogram(made, f"length-{name}", title, caption, bins, unit="characters"))


def _tokens(made: Figures, numbers: Json) -> None:
    tokens = numbers.get("tokens") or {}
    bins = tokens.get("bins") or []
    if not sum(each["records"] for each in bins):
        return
    splits = [row for row in tokens["splits"] if row["split"] == "all"] or tokens["splits"]
    beyond, whole = (sum(row[key] for row in splits) for key in ("beyond", "n"))
    are = "None is" if not beyond else f"{count(beyond)} of {whole:,} ({percent(beyond, whole)}) are"
    caption = (
        f"{are} longer than the {tokens['limit']:,} tokens at which a trainer cuts{'' if beyond else ' them'}."
    )
    title = "Kept conversations by length in tokens"
    limit = {"limit": tokens["limit"], "rejects": "above", "what": "cut at"}
    made.tokens = _histogram(made, "length-tokens", title, caption, bins, unit="tokens", **limit)


def _histogram(made: Figures, id: str, title: str, caption: str, bins: Sequence[Json], **options: Any) -> Figure:
    limit = options.get("limit")
    desc = f"{len(bins)} bars; the highest is {max(each['records'] for each in bins):,} records."
    if limit is not None:
        desc += f" Marked is {options.get('what', 'limit')} {figure(limit)}; bars on its far side are hollow."
    drawn = made.drawn(lambda: charts.histogram(bins, **options), title, desc, id)
    rows = [[charts.span(each), each["records"]] for each in bins]
    head = [str(options.get("unit") or "Value").capitalize(), "Records"]
    return Figure(id, title, desc, caption, head, rows, drawn)


def _verbs(made: Figures, numbers: Json) -> None:
    verbs = numbers.get("verbs") or {}
    if not verbs.get("verbs"):
        return
    shown = verbs["verbs"][:20]
    first = shown[0]
    inside = sum(verb["records"] for verb in shown)
    title = "The verbs instructions begin with, and what they act on"
    caption = (
        f"“{short(first['verb'])}” opens {percent(first['records'], verbs['parsed'])} of the "
        f"{verbs['parsed']:,} instructions in which a verb was found ({percent(verbs['share'])} of "
        f"{verbs['rows']:,}). Shown are {len(shown)} of "
        f"{count(verbs.get('distinct_verbs') or verbs['distinct'])} verbs, "
        f"{percent(inside, verbs['parsed'])} of those rows. Inside: verbs; outside: their nouns."
    )
    desc = "Two rings: " + "; ".join(f"{short(each['verb'])} {each['records']:,}" for each in shown[:8]) + "."
    rows = [
        [
            short(each["verb"]),
            each["records"],
            ", ".join(f"{short(noun['noun'])} {noun['records']:,}" for noun in each["nouns"][:4]),
        ]
        for each in shown
    ]
    drawn = made.drawn(lambda: charts.sunburst(verbs), title, desc, "verb-nouns")
    made.verbs = Figure("verb-nouns", title, desc, caption, ["Verb", "Records", "Nouns"], rows, drawn)


def _categories(made: Figures, numbers: Json) -> None:
    found = numbers.get("categories") or {}
    rows = [
        {"category": "none" if row["category"] is None else row["category"], "records": row["records"]}
        for row in found.get("rows") or []
    ]
    if not rows:
        return
    by = found["by"]
    title = f"Kept records by {by}"
    largest = short(rows[0]["category"])
    others = found.get("others") or {}
    if others.get("categories"):
        rows.append({"category": f"{others['categories']:,} others", "records": others["records"]})
    caption = (
        f"{count(found['distinct'])} {by}s; the largest, {largest}, holds "
        f"{percent(rows[0]['records'], found['n'])}. Entropy {figure(found['entropy'])} nats"
        + (f", as much as {figure(found['effective'])} equal ones" if found.get("effective") else "")
        + f"; evenness {figure(found['evenness'])}, where 1 is as many of each."
    )
    desc = "Bars: " + "; ".join(f"{short(row['category'])} {row['records']:,}" for row in rows[:8]) + "."
    drawn = made.drawn(lambda: charts.bars(rows, label="category"), title, desc, "by-category")
    table = [
        [short(row["category"], 80), row["records"], percent(row["records"], found["n"])] for row in rows[:60]
    ]
    head = [by.capitalize(), "Records", "Share"]
    made.categories = Figure("by-category", title, desc, caption, head, table, drawn, max(0, len(rows) - 60))


def _rules(made: Figures, numbers: Json) -> None:
    room = HISTOGRAMS
    order = sorted(enumerate(numbers.get("rules") or []), key=lambda each: (-each[1]["hit"], each[0]))
    for place, rule in order:
        found = _alike([row for row in rule["sources"] if _filled(row.get("histogram"))])
        for number, (sources, histogram) in enumerate(found[:room]):
            room -= 1
            made.rules.setdefault(rule["name"], []).append(
                _rule(made, rule, sources, histogram, f"rule-{place}-{number}")
            )


def _filled(histogram: Json | None) -> bool:
    return bool(histogram and sum(each["records"] for each in histogram["bins"]))


def _alike(rows: Sequence[Json]) -> list[tuple[list[str], Json]]:
    """Histograms of sources with one limit and the same bins as one, the others apart."""
    if len(rows) < 2:
        return [([row["source"]], row["histogram"]) for row in rows]
    edges = [[(each["from"], each["below"]) for each in row["histogram"]["bins"]] for row in rows]
    if any(each != edges[0] for each in edges) or len({repr(row["histogram"].get("limit")) for row in rows}) > 1:
        return [([row["source"]], row["histogram"]) for row in rows]
    first = rows[0]["histogram"]
    bins = [
        each | {"records": sum(row["histogram"]["bins"][n]["records"] for row in rows)}
        for n, each in enumerate(first["bins"])
    ]
    return [([row["source"] for row in rows], {"bins": bins, "limit": first.get("limit")})]


def _rule(made: Figures, rule: Json, sources: Sequence[str], histogram: Json, id: str) -> Figure:
    limit, bins = histogram.get("limit"), histogram["bins"]
    of = short(sources[0]) if len(sources) == 1 else f"{len(sources)} sources"
    title = f"Evidence of {short(rule['name'])}, {of}"
    options: dict[str, Any] = {"unit": "evidence"}
    caption = f"How many records of {of} have which value."
    if isinstance(limit, int | float) and rule["sense"] in ("below", "above"):
        options |= {"limit": limit, "rejects": rule["sense"]}
        caption = (
            f"The rule rejects what lies {'left' if rule['sense'] == 'below' else 'right'} of the line at "
            f"{figure(limit)} (hollow bars), of {of}."
        )
    return _histogram(made, id, title, caption, bins, **options)


def _controls(made: Figures, numbers: Json) -> None:
    controls = numbers.get("controls") or {}
    sets = controls.get("sets") or []
    for place, metric in enumerate((controls.get("metrics") or [])[:STRIPS]):
        values = {name: number for name, number in metric["values"].items() if number is not None}
        band = metric.get("band")
        if len({*values.values(), *(band or {}).values()}) < 2:
            continue  # all are the same, and there is nothing to see
        said = "; ".join(f"{name} {figure(number)}" for name, number in values.items())
        if band:
            said += f"; random draws from {figure(band['low'])} to {figure(band['high'])}"
        title = f"{metric['title']}: each set on a line"
        made.strips[metric["name"]] = strip(metric, sets, title, said + ".", id=f"metric-{place}")
    agreement = controls.get("overlap") or {}
    names = agreement.get("names") or []
    if len(names) < 2:
        return
    titles = {each["name"]: each["title"] for each in sets}
    pairs = [
        (names[a], names[b], agreement["shared"][a][b], agreement["expected"][a][b])
        for a in range(len(names))
        for b in range(a)
    ]
    rows = [
        [short(titles.get(a, a)), short(titles.get(b, b)), shared, figure(chance), _times(shared, chance)]
        for a, b, shared, chance in pairs
    ]
    a, b, shared, chance = max(pairs, key=lambda pair: pair[2] / pair[3] if pair[3] else 0)
    caption = (
        f"Each cell: records two sets share, and how many times what chance would give. The nearest pair is "
        f"{short(titles.get(a, a))} and {short(titles.get(b, b))}: {count(shared)} shared, "
        f"{figure(chance)} by chance."
    )
    title = "Which selectors choose the same records"
    desc = "; ".join(f"{row[0]} and {row[1]} share {row[2]:,}, {row[4]} chance" for row in rows[:10]) + "."
    drawn = made.drawn(lambda: charts.overlap(agreement, titles), title, desc, "agreement")
    head = ["One", "Other", "Shared", "By chance", "Times chance"]
    made.overlap = Figure("agreement", title, desc, caption, head, rows, drawn)


def _times(shared: float, chance: float) -> str:
    return f"{shared / chance:.2g}×" if chance else "–"


def _map(made: Figures, numbers: Json, points: int) -> None:
    drawn = numbers.get("map") or {}
    every = drawn.get("points") or []
    if not every or not points:
        return
    if len(every) > points:  # evenly, so that each part of the list, however it is ordered, keeps its share
        every = [every[n * len(every) // points] for n in range(points)]
    shown = dict(drawn) | {"points": every}
    present = {drawn["states"][point[2]] for point in every}
    order = [state for state in _MAPPED if state in present] + sorted(present - set(_MAPPED))
    for number, state in enumerate(order[:6]):
        own = [point for point in every if drawn["states"][point[2]] == state]
        sources = [
            [short(source), sum(drawn["sources"][point[3]] == source for point in own)]
            for source in drawn["sources"][:40]
        ]
        title = f"{state.capitalize()}: {len(own):,} of {len(every):,} points"
        across, along = ([point[axis] for point in own] for axis in (0, 1))
        desc = (
            f"Dark points: {state}; pale points: all others. They lie from {figure(min(across))} to "
            f"{figure(max(across))} across and from {figure(min(along))} to {figure(max(along))} along."
        )
        svg = made.drawn(partial(charts.embedding_map, shown, state=state), title, desc, f"map-{number}")
        made.map.append(Figure(f"map-{number}", title, desc, title, ["Source", "Points"], sources, svg))
