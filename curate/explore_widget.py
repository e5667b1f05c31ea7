"""Records in Jupyter: the page that `curate.explore` answers, with something to filter, search and decide by.

Only shows and asks. Without a live kernel, as on a page made of an executed notebook, the first page of records is
there as plain HTML.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any, Final

from curate.amend import EDITABLE
from curate.chat import LEFT
from curate.errors import CurateError, PluginError
from curate.explore import ORDERS, Explorer, Page, Query
from curate.review import Reviewer
from curate.shown import Shown

_ANY: Final = "any"
_PLAIN: Final = "curate-plain"
# The outputs of one cell: in JupyterLab, Notebook and pages made of notebooks, and in Visual Studio Code.
_AREAS: Final = (".jp-OutputArea", ".jp-Cell-outputArea", ".output", ".output_container", ".cell_container")
_CHARS: Final = 400  # of a text on a page, before it has to be opened
_CHOSEN: Final = ("state", "source", "domain", "reason", "rule")


def ipywidgets() -> Any:
    """The package ipywidgets. Raises `PluginError` with the line that installs it when it is missing."""
    try:
        import ipywidgets
    except ImportError:
        raise PluginError(
            "this needs ipywidgets, which is not installed",
            where="run.explore(), run.tune()",
            next="pip install 'curate-sft[notebook]'; run.find() and run.rule() need none",
        ) from None
    return ipywidgets


def browser(explorer: Explorer, query: Query, *, size: int, reviewer: Reviewer | None = None) -> Any:
    """A widget that shows the records which fit a query, page by page, and lets the query be changed.

    With a reviewer, each record can be accepted, rejected and edited.
    """
    return with_plain(_Browser(explorer, query, size, reviewer))


def with_plain(shell: Any) -> Any:
    """The widget `box` of a shell, which shows `shell.plain()` where no kernel is alive."""
    box = shell.box

    def show() -> None:
        from IPython import display

        publish: Any = display.publish_display_data
        for output in outputs(shell):
            publish(output)

    box._ipython_display_ = show
    box.shell = shell
    return box


def outputs(shell: Any) -> list[dict[str, Any]]:
    """What is displayed of a shell: its live view; and plain HTML, which hides beside a view that is alive.

    There are two outputs, because of each a page made of an executed notebook takes the first kind that it knows,
    and a live view is one that it knows and cannot show.
    """
    live = dict(shell.box._repr_mimebundle_() or {}) | {"text/plain": ""}
    hidden = ", ".join(f"{area}:has(.widget-vbox) .{_PLAIN}" for area in _AREAS)
    style = f"<style>{hidden} {{ display: none }}</style>"
    return [live, {"text/html": f"{style}<div class='{_PLAIN}'>{shell.plain()}</div>", "text/plain": ""}]


class _Browser:
    """The state of one browser: what is asked for, and the page that is shown."""

    def __init__(self, explorer: Explorer, query: Query, size: int, reviewer: Reviewer | None) -> None:
        self.widgets = ipywidgets()
        self.explorer, self.query, self.size, self.reviewer = explorer, query, size, reviewer
        self.page: Page = explorer.page(query, size=size)
        self.chosen = {name: self._choice(name) for name in _CHOSEN if explorer.choices[name]}
        self.order = self.widgets.Dropdown(description="order", options=ORDERS, value=query.order)
        self.text = self._line("text", query.text)
        self.scores = {name: self._line(name.replace("_", " "), _shown(getattr(query, name))) for name in _SCORES}
        self.by = self._line("by", reviewer.by if reviewer else "")
        self.said, self.records = self.widgets.HTML(), self.widgets.VBox()
        self.back, self.on = (self.widgets.Button(description=name) for name in ("previous", "next"))
        self.back.on_click(lambda _: self._turn(-1))
        self.on.on_click(lambda _: self._turn(1))
        for each in (*self.chosen.values(), self.order, self.text, *self.scores.values()):
            each.observe(self._asked, names="value")
        self.box = self._box()
        self._show()

    def plain(self) -> str:
        """The page as plain HTML."""
        return self.page._repr_html_()

    def _box(self) -> Any:
        asked = [*self.chosen.values(), self.order, self.text, *self.scores.values()]
        asked += [self.by] if self.reviewer else []
        wrapped = self.widgets.Layout(flex_flow="row wrap")
        turning = self.widgets.HBox([self.back, self.on, self.said])
        return self.widgets.VBox([self.widgets.Box(asked, layout=wrapped), turning, self.records])

    def _choice(self, name: str) -> Any:
        value = getattr(self.query, name) or ""
        listed = dict.fromkeys([*self.explorer.choices[name], *([value] if value else [])])
        # Not None for any, which would show an empty box.
        options = [(_ANY, ""), *((each, each) for each in listed)]
        return self.widgets.Dropdown(description=name, options=options, value=value)

    def _line(self, name: str, value: str) -> Any:
        return self.widgets.Text(description=name, value=value, continuous_update=False)

    def _asked(self, _: object) -> None:
        try:
            asked: dict[str, Any] = {name: each.value or None for name, each in self.chosen.items()}
            asked |= {name: _number(name, each.value) for name, each in self.scores.items()}
            query = replace(self.query, **asked, text=self.text.value, order=self.order.value)
            self.page = self.explorer.page(query, size=self.size)
        except CurateError as error:
            self.said.value = f"<span role='alert'>{escape(str(error))}</span>"
            return
        self.query = query
        self._show()

    def _turn(self, step: int) -> None:
        self.page = self.explorer.page(self.query, self.page.number + step, size=self.size)
        self._show()

    def _show(self) -> None:
        self.said.value = f"<span style='{LEFT}'>{escape(self.page.said)}</span>"
        self.back.disabled = self.page.number <= 1
        self.on.disabled = self.page.number >= self.page.pages
        old, self.records.children = self.records.children, [self._record(each) for each in self.page.records]
        for each in old:
            each.close()

    def _record(self, shown: Shown) -> Any:
        html = self.widgets.HTML(shown.html(chars=_CHARS, rule=self.query.rule) + "<hr>")
        if self.reviewer is None:
            return html
        return self.widgets.VBox([html, _Desk(self.widgets, shown, self._reviewer).box])

    def _reviewer(self) -> Reviewer:
        assert self.reviewer is not None
        return replace(self.reviewer, by=self.by.value)


class _Desk:
    """What is decided about one record: buttons, and where to write why and another text."""

    def __init__(self, widgets: Any, shown: Shown, reviewer: Callable[[], Reviewer]) -> None:
        self.shown, self.reviewer = shown, reviewer
        self.why = widgets.Text(placeholder="why", layout=widgets.Layout(width="22em"))
        self.field = widgets.Dropdown(options=EDITABLE, value="response", layout=widgets.Layout(width="8em"))
        self.other = widgets.Textarea(rows=8, layout=widgets.Layout(width="98%"))
        self.said = widgets.HTML(_standing(reviewer(), shown.id))
        self.editing = widgets.VBox([self.field, self.other], layout=widgets.Layout(display="none"))
        self.buttons = {
            name: widgets.Button(description=name) for name in ("accept", "reject", "edit", "withdraw")
        }
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: self._decide(name))
        self.field.observe(self._fill, names="value")
        self.box = widgets.VBox([widgets.HBox([*self.buttons.values(), self.why, self.said]), self.editing])
        self.box.desk = self

    def _fill(self, _: object = None) -> None:
        self.other.value = self.shown.record[self.field.value] or ""

    def _decide(self, name: str) -> None:
        if name == "edit" and self.editing.layout.display == "none":
            self._fill()
            self.editing.layout.display = ""
            self.said.value = "Change the text, say why, and press edit again."
            return
        try:
            reviewer = self.reviewer()
            if name == "edit":
                reviewer.edit(self.shown.id, self.field.value, self.other.value or None, self.why.value)
                self.editing.layout.display = "none"
            else:
                getattr(reviewer, name)(self.shown.id, self.why.value)
            self.said.value = _standing(reviewer, self.shown.id)
        except CurateError as error:
            self.said.value = f"<span role='alert'>{escape(error.what)}</span>"


_SCORES: Final = ("min_score", "max_score")


def _standing(reviewer: Reviewer, id: str) -> str:
    said = [
        f"{each.decision}{f' of the {each.field}' if each.field else ''} by {each.by}: {each.why}"
        for each in reviewer.decisions.of(id)
    ]
    return escape("; ".join(said))


def _shown(score: float | None) -> str:
    return "" if score is None else f"{score:g}"


def _number(name: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise CurateError(f"{name.replace('_', ' ')} is {text!r}, which is no number") from None
