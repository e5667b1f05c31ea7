"""A rule's limit on a slider: what it would reject there, at once, from what a run has stored.

Only shows; `curate.tuning` counts. Without a live kernel some limits are there as a plain table.
"""

from __future__ import annotations

from html import escape
from typing import Any, Final

from curate.chat import LEFT
from curate.errors import PluginError
from curate.explore_widget import ipywidgets, with_plain
from curate.tuning import Tuning

_STEPS: Final = 200  # of a slider that need not stop at whole numbers


def slider(tuning: Tuning) -> Any:
    """A widget with a slider for the rule's limit: counts by source, a histogram with the cut, rows beside it."""
    return with_plain(_Slider(tuning))


class _Slider:
    def __init__(self, tuning: Tuning) -> None:
        widgets = ipywidgets()
        self.tuning = tuning
        low, high = tuning.span
        whole = not tuning.evidence["value"].dtype.is_float() or all(
            each.is_integer() for each in (low, high, *tuning.limits.values())
        )
        start = next(iter(tuning.limits.values()))
        made = {"description": tuning.name, "continuous_update": False, "layout": widgets.Layout(width="40em")}
        made |= {"style": {"description_width": "initial"}}
        if whole:
            self.limit = widgets.IntSlider(
                value=int(start), min=int(low), max=max(int(high), int(low) + 1), **made
            )
        else:
            step = (high - low) / _STEPS or 1.0
            # The first step is the run's own limit, so that the slider can come back to it.
            self.limit = widgets.FloatSlider(value=start, min=start - step * round((start - low) / step), max=high)
            for name, value in {"step": step, "readout_format": ".4g", **made}.items():
                setattr(self.limit, name, value)
        self.said, self.chart = widgets.HTML(), widgets.HTML()
        self.limit.observe(lambda _: self._show(), names="value")
        self.box = widgets.VBox([self.limit, self.chart, self.said])
        self._show()

    def plain(self) -> str:
        return self.tuning._repr_html_()

    def _show(self) -> None:
        at = self.tuning.at(self.limit.value)
        self.said.value = at._repr_html_()
        self.chart.value = _drawn(self.tuning, self.limit.value)


def _drawn(tuning: Tuning, limit: float) -> str:
    """The histogram as SVG, which needs no script; without the packages that draw it, a line that names them."""
    try:
        made = tuning.chart(limit)
        return "" if made is None else made.svg()
    except PluginError as error:
        return f"<p style='{LEFT}'>{escape(str(error))}</p>"
