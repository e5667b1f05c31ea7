"""A chart as an SVG that a page can hold: small, named, described, and in the page's own colours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from curate.errors import PluginError
from curate.report.charts_style import VARIABLES
from curate.report.words import visible

_SVG: Final = "{http://www.w3.org/2000/svg}"
_NUMBER: Final = re.compile(r"-?\d+\.\d+")
_MOVED: Final = re.compile(r"translate\((-?[\d.e-]+),(-?[\d.e-]+)\)")
# A circle as Vega writes it: two arcs around the origin.
_CIRCLE: Final = re.compile(r"M([\d.]+),0A\1,\1,0,1,1,-\1,0A\1,\1,0,1,1,\1,0$")
_KEPT: Final = ("width", "height", "viewBox")
_DROPPED: Final = ("class", "role", "aria-roledescription", "aria-hidden", "pointer-events", "font-family")
_PLAIN: Final = {"opacity": "1", "stroke-opacity": "1", "fill-opacity": "1", "text-anchor": "start"}


def svg(chart: Any, title: str, desc: str, *, id: str) -> str:
    """The chart as SVG with a title and a description that are read out; its ids begin with `id`.

    Colours are the page's variables, so that they follow light and dark. Raises `PluginError` when vl-convert is
    not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise PluginError(
            "charts need vl-convert, which is not installed",
            where="curate.report.charts",
            next="pip install 'curate-sft[report]'",
        ) from None
    drawn = vl_convert.vegalite_to_svg(_clean(chart.to_dict(validate=False)))
    return _page_ready(drawn, title, desc, id)


def _clean(spec: Any) -> Any:
    """The chart with its texts made visible: vl-convert ends the whole process at a character that XML forbids."""
    if isinstance(spec, str):
        return visible(spec)
    if isinstance(spec, dict):
        return {key: _clean(value) for key, value in spec.items()}
    return [_clean(value) for value in spec] if isinstance(spec, list) else spec


def _page_ready(drawn: str, title: str, desc: str, id: str) -> str:
    found = etree.fromstring(drawn.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    root = etree.Element("svg", {key: str(found.get(key)) for key in _KEPT})
    root.attrib.update({"class": "chart", "role": "img", "aria-labelledby": f"{id}-title {id}-desc"})
    for name, text in (("title", title), ("desc", desc)):
        etree.SubElement(root, name, id=f"{id}-{name}").text = visible(text)
    for child in found:
        if not (child.tag == f"{_SVG}rect" and child.get("fill")):  # the ground, which is the page
            root.extend(_lean(child))
    return str(etree.tostring(root, encoding="unicode"))


def _lean(node: Any) -> Iterator[Any]:
    """The node without what a page does not need: frames that are not seen, groups that group nothing."""
    name = etree.QName(node).localname
    if name == "path" and (not node.get("d") or _unseen(node)):
        return
    made = etree.Element(name, _attributes(node))
    made.text = node.text
    for child in node:
        made.extend(_lean(child))
    if name != "g":
        yield made
        return
    _merge(made)
    if not len(made):
        return
    if made.attrib:
        yield made
    else:
        yield from list(made)


def _unseen(node: Any) -> bool:
    frame = node.get("class") in ("background", "foreground")
    return frame and (node.get("display") == "none" or not (node.get("fill") or node.get("stroke")))


def _attributes(node: Any) -> dict[str, str]:
    kept = {}
    for key, text in node.attrib.items():
        if key in _DROPPED or _PLAIN.get(key) == text or (key == "transform" and text == "translate(0,0)"):
            continue
        if key in ("fill", "stroke") and text.lower() in VARIABLES:
            kept[key] = f"var({VARIABLES[text.lower()]})"
        else:
            kept[key] = _NUMBER.sub(lambda found: f"{round(float(found[0]), 1):g}", text)
    return kept


def _merge(group: Any) -> None:
    """Make one path of neighbouring circles that look alike: thousands of points are then a few kilobytes.

    A dot is a line of no length with round ends.
    """
    last: tuple[Any, tuple[str | None, ...]] | None = None
    places: list[str] = []
    for child in list(group):
        look = tuple(map(child.get, ("d", "fill", "opacity", "fill-opacity")))
        moved = _MOVED.match(child.get("transform", ""))
        if moved and last is not None and look == last[1] and not child.get("stroke"):
            places.append(f"M{moved[1]} {moved[2]}h0")
            group.remove(child)
            continue
        _join(last, places)
        last, places = None, []
        dot = _CIRCLE.match(look[0] or "") if child.tag == "path" and moved else None
        if dot and moved and look[1] and not child.get("stroke"):
            last, places = (child, look), [f"M{moved[1]} {moved[2]}h0"]
    _join(last, places)


def _join(first: tuple[Any, tuple[str | None, ...]] | None, places: list[str]) -> None:
    """Make of the first of several circles a path through the places of all."""
    if first is None or len(places) < 2:
        return
    path, (circle, fill, *_) = first
    radius = float(_CIRCLE.match(circle or "")[1])  # type: ignore[index]
    for key in ("transform", "stroke-width"):
        path.attrib.pop(key, None)
    drawn = {"d": "".join(places), "fill": "none", "stroke": str(fill), "stroke-linecap": "round"}
    path.attrib.update(drawn | {"stroke-width": f"{2 * radius:g}"})
