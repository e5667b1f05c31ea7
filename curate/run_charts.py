"""The report's charts in a notebook: in colours that are legible on light and dark pages, with no background."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from curate.errors import CurateError, PluginError, nearest

Json = Mapping[str, Any]

# The charts, and what each needs to be in the numbers.
_PARTS: Final = {
    "funnel": ("funnel", "total"),
    "prompt_lengths": ("lengths", "prompt", "bins"),
    "response_lengths": ("lengths", "response", "bins"),
    "tokens": ("tokens", "bins"),
    "verbs": ("verbs", "verbs"),
    "categories": ("categories", "rows"),
    "map": ("map", "points"),
    "overlap": ("controls", "overlap"),
}

# Colours of the report's light page, and those that are legible on a dark one as well (3:1 on white and on #111).
_ANYWHERE: Final = {
    "--ink": "#808080",
    "--soft": "#808080",
    "--line": "#80808055",
    "--page": "#00000000",
    "--rail": "#80808033",
    "--accent": "#1d9482",
    "--tint": "#1d948233",
    "--wash": "#1d948222",
    "--rust": "#c8662b",
    "--blue": "#6080cf",
}
# The marks of sets, by shape and whether they are filled, as a line of text shows them.
_GLYPHS: Final = {("square", False): "□", ("circle", False): "○", ("circle", True): "●", ("diamond", True): "◆"}
_HEAD: Final = 22  # pixels of a title
_LOWER: Final = 14  # and of a line below it
_LINE: Final = 56  # letters in that
# The frontends draw what they know: JupyterLab knows either form by itself, without a network.
_SPECS: Final = {
    "application/vnd.vegalite.v6+json": "https://vega.github.io/schema/vega-lite/v6.json",
    "application/vnd.vegalite.v5+json": "https://vega.github.io/schema/vega-lite/v5.json",
}


@dataclass(frozen=True)
class Drawing:
    """An Altair `chart` that is shown without a network: interactive where Vega-Lite is known, else a picture."""

    chart: Any

    def svg(self) -> str:
        """The chart as SVG. Raises `PluginError` without vl-convert."""
        try:
            import vl_convert
        except ImportError:
            raise PluginError(
                "a picture of a chart needs vl-convert, which is not installed",
                next="pip install 'curate-sft[report]'",
            ) from None
        return str(vl_convert.vegalite_to_svg(self.chart.to_json()))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        spec = self.chart.to_dict()
        made: dict[str, Any] = {mime: spec | {"$schema": schema} for mime, schema in _SPECS.items()}
        try:
            made["image/svg+xml"] = self.svg()
        except PluginError as error:
            made["text/plain"] = str(error)
        return {"text/plain": repr(self)} | made


def charts(numbers: Json) -> list[str]:
    """The names of the charts that can be drawn of a run's numbers; the last are metrics beside their controls."""
    return [*(name for name, path in _PARTS.items() if _part(numbers, path)), *_metrics(numbers)]


def chart(numbers: Json, name: str) -> Drawing:
    """A chart of a run's numbers, in colours that are legible on light and dark pages.

    Raises `CurateError` for a name that no chart has, and for one that this run has no numbers for; `PluginError`
    without altair.
    """
    known = charts(numbers)
    if name not in known:
        raise CurateError(
            f"there is no chart {name!r}",
            where="" if name not in _PARTS else "the run's report has no numbers for it",
            next=nearest(name, known),
        )
    metric = _metrics(numbers).get(name)
    drawn = _drawn(name, numbers)
    if metric is None:
        return anywhere(drawn)
    return anywhere(drawn, title=_titled(metric), below=_legend(numbers["controls"]["sets"], metric))


def anywhere(chart: Any, *, title: str = "", below: Sequence[str] = ()) -> Drawing:
    """A chart of the report in colours that are legible on light and dark pages, with no background.

    A title, and lines below it, are what the page around a chart says elsewhere.
    """
    from curate.report.charts_style import VARIABLES, altair

    colours = {colour: _ANYWHERE[variable] for colour, variable in VARIABLES.items()}
    spec: dict[str, Any] = _recoloured(chart.to_dict(), colours)
    if title:
        soft = {"color": _ANYWHERE["--ink"], "subtitleColor": _ANYWHERE["--soft"]}
        sizes = {"fontSize": 12, "subtitleFontSize": 11, "anchor": "start", "offset": 8}
        spec["title"] = {"text": title, "subtitle": list(below), **soft, **sizes}
        spec["height"] += _HEAD + _LOWER * len(below)
    return Drawing(altair().Chart.from_dict(spec))


def _titled(metric: Json) -> str:
    unit = metric["unit"] or ""
    unit = f", {unit}" if unit and unit.lower() not in metric["title"].lower() else ""
    meaning = f" (higher: {metric['higher']})" if metric["higher"] else ""
    return f"{metric['title']}{unit}{meaning}"


def _legend(sets: Sequence[Json], metric: Json) -> list[str]:
    """Which mark is which set, in words: lines that are no wider than the chart."""
    from curate.report.charts_sets import marks

    look = marks([each["name"] for each in sets])
    shown = [each for each in sets if metric["values"].get(each["name"]) is not None]
    named = [
        f"{_GLYPHS.get((look[each['name']][0], look[each['name']][2]), '△')} {each['title']}" for each in shown
    ]
    named += ["▒ chance"] if metric["band"] else []
    lines = [""]
    for each in named:
        wider = f"{lines[-1]}   {each}".strip()
        lines = [*lines[:-1], wider] if len(wider) <= _LINE else [*lines, each]
    return lines


def _drawn(name: str, numbers: Json) -> Any:
    from curate.report import charts as drawn

    metrics = _metrics(numbers)
    if name in metrics:
        return drawn.strip(metrics[name], numbers["controls"]["sets"])
    part = _part(numbers, _PARTS[name])
    draw: Mapping[str, Callable[[], Any]] = {
        "funnel": lambda: drawn.funnel(part),
        "prompt_lengths": lambda: drawn.histogram(part, unit="characters"),
        "response_lengths": lambda: drawn.histogram(part, unit="characters"),
        "tokens": lambda: drawn.histogram(part, limit=numbers["tokens"]["limit"], rejects="above", unit="tokens"),
        "verbs": lambda: drawn.sunburst(numbers["verbs"]),
        "categories": lambda: drawn.bars(part, label="category"),
        "map": lambda: drawn.embedding_map(numbers["map"]),
        "overlap": lambda: drawn.overlap(
            part, {each["name"]: each["title"] for each in numbers["controls"]["sets"]}
        ),
    }
    return draw[name]()


def _part(numbers: Json, path: tuple[str, ...]) -> Any:
    """What lies in the numbers at a path of keys; None where there is no such thing."""
    part: Any = numbers
    for key in path:
        part = (part or {}).get(key)
    return part


def _metrics(numbers: Json) -> dict[str, Json]:
    metrics = _part(numbers, ("controls", "metrics")) or ()
    return {each["name"]: each for each in metrics if set(each["values"].values()) - {None}}


def _recoloured(value: Any, colours: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _recoloured(each, colours) for name, each in value.items()}
    if isinstance(value, list):
        return [_recoloured(each, colours) for each in value]
    return colours.get(value, value) if isinstance(value, str) else value
