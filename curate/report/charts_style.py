"""What all charts share: their width, letters and colours, and Altair itself, imported when one is drawn."""

from __future__ import annotations

from typing import Any, Final

from curate.errors import PluginError

# CSS pixels: what a phone of 390 leaves between the margins, so that letters are read there at the size they
# are set in, and larger on a wider page.
WIDTH: Final = 340
LETTERS: Final = 11
FONT: Final = "Liberation Sans"  # vl-convert brings it, so text is measured alike everywhere; as wide as Arial

# The colours of the light page, each with the variable that stands for it where the page may be dark.
INK: Final = "#1c1e20"
SOFT: Final = "#5d6368"
LINE: Final = "#e3e3dd"
PAGE: Final = "#fbfbf9"
RAIL: Final = "#ecece7"
ACCENT: Final = "#0b6b5d"
TINT: Final = "#d5e9e4"
WASH: Final = "#f1f6f4"
RUST: Final = "#a3460c"
BLUE: Final = "#3454a4"
VARIABLES: Final = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    PAGE: "--page",
    RAIL: "--rail",
    ACCENT: "--accent",
    TINT: "--tint",
    WASH: "--wash",
    RUST: "--rust",
    BLUE: "--blue",
}


def altair() -> Any:
    """Altair, or the line that installs it.

    Raises `PluginError` when it is missing.
    """
    try:
        import altair as alt
    except ImportError:
        raise PluginError(
            "charts need altair, which is not installed",
            where="curate.report.charts",
            next="pip install 'curate-sft[report]'",
        ) from None
    return alt


def data(rows: list[dict[str, Any]]) -> Any:
    """Rows as the data of a chart, written into it."""
    return altair().InlineData(values=rows)


def styled(chart: Any, height: float, *, width: float = WIDTH, padding: float = 2) -> Any:
    """A chart in this size, its axes and labels included, with our letters and colours."""
    alt = altair()
    return (
        chart.properties(
            width=width,
            height=height,
            padding=padding,
            background=PAGE,
            autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        )
        .configure(font=FONT, aria=False)
        .configure_view(stroke=None)
        .configure_text(fontSize=LETTERS, color=INK)
        # Where Vega cuts a text it may halve a sign of two parts, at which vl-convert fails: we cut texts.
        .configure_legend(labelLimit=0, titleLimit=0)
        .configure_axis(
            labelLimit=0,
            titleLimit=0,
            labelFontSize=LETTERS,
            titleFontSize=LETTERS,
            titleFontWeight="normal",
            labelColor=SOFT,
            titleColor=SOFT,
            gridColor=LINE,
            domainColor=LINE,
            tickColor=LINE,
            tickSize=3,
        )
    )
