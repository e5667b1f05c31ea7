import re
import sys
from itertools import pairwise

import pytest
from lxml import etree

from curate.errors import PluginError
from curate.report import charts
from curate.report.charts_round import _pieces
from curate.report.charts_style import VARIABLES, WIDTH
from curate.report.words import _width, visible
from tests.report.invented import invented

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

NASTY = "</text><script>alert(1)</script> & \x00\u202e " + "x" * 300
BINS = [
    {"from": None, "below": 10, "records": 4},
    {"from": 10, "below": 20, "records": 9},
    {"from": 20, "below": 30, "records": 1},
    {"from": 30, "below": None, "records": 2},
]


@pytest.fixture(scope="module")
def numbers():
    return invented(600)


def every_chart(numbers):
    controls = numbers["controls"]
    return {
        "histogram": charts.histogram(BINS, limit=20, rejects="below", unit="characters"),
        "bars": charts.bars(numbers["categories"]["rows"], label="category"),
        "funnel": charts.funnel({"records": 9, "steps": [{"step": "excluded", "removed": 4, "left": 5}]}),
        "sunburst": charts.sunburst(numbers["verbs"]),
        "strip": charts.strip(controls["metrics"][0], controls["sets"]),
        "overlap": charts.overlap(controls["overlap"], {"longest": "the longest responses"}),
        "map": charts.embedding_map(numbers["map"]),
        "state": charts.embedding_map(numbers["map"], state="kept"),
    }


def drawn(chart, id="a", title="A title", desc="A description"):
    text = charts.svg(chart, title, desc, id=id)
    return text, etree.fromstring(text)


def letters(root):
    """The texts that stand in a picture."""
    return [each.text or "" for each in root.iter("text")]


SAID = {
    "histogram": {"10", "20", "30", "characters", "records", "limit 20"},
    "bars": {"domain 0", "domain 1"},
    "funnel": {"records", "excluded", "9", "5"},
    "sunburst": {"write", "create", "describe"},
    "strip": {"0.4", "0.5"},
    "overlap": {"selection", "random", "longest", "responses"},
    "map": {"kept", "duplicate", "rejected", "not drawn"},
    "state": set(),
}


def test_every_chart_says_what_it_shows_in_the_colours_of_the_page(numbers):
    for name, chart in every_chart(numbers).items():
        text, root = drawn(chart, id=name)
        assert (root.get("role"), root.get("aria-labelledby")) == ("img", f"{name}-title {name}-desc")
        assert [(each.tag, each.get("id")) for each in root[:2]] == [
            ("title", f"{name}-title"),
            ("desc", f"{name}-desc"),
        ]
        used = set(re.findall(r"var\((--\w+)\)", text))
        assert used <= set(VARIABLES.values())
        if name != "map":  # the map of all states is for notebooks, which have colours of their own
            assert not re.search(r"#[0-9a-f]{3,8}\b", text), name
        assert set(letters(root)) >= SAID[name], name
        assert [each for each in root.iter("path") if each.get("d")], name


def test_the_charts_of_the_page_fit_a_phone(numbers):
    for name, chart in every_chart(numbers).items():
        if name != "map":
            _, root = drawn(chart)
            assert float(root.get("width")) <= WIDTH, name


def test_the_same_numbers_give_the_same_bytes(numbers):
    first, again = ({name: drawn(chart)[0] for name, chart in every_chart(numbers).items()} for _ in range(2))
    assert first == again


def test_no_text_of_a_chart_can_leave_its_place():
    rows = [{"category": NASTY, "records": 3}, {"category": "\u202eturned", "records": 1}]
    text, root = drawn(charts.bars(rows, label="category"), title=NASTY, desc=NASTY)
    assert "<script" not in text
    assert not {"\x00", "\u202e"} & set(text)
    assert max(len(each.text or "") for each in root.iter("text")) <= 21
    verbs = {"verbs": [{"verb": NASTY, "records": 3, "nouns": [{"noun": NASTY, "records": 2}]}]}
    assert "<script" not in drawn(charts.sunburst(verbs))[0]
    drawn_map = {"points": [[0, 0, 0, 0], [1, 1, 1, 0]], "states": [NASTY, 'a"b,c'], "sources": [NASTY]}
    assert "<script" not in drawn(charts.embedding_map(drawn_map))[0]


def test_bars_on_the_rejected_side_of_the_limit_are_hollow():
    for rejects, limit, hollow in (("below", 20, 2), ("above", 20, 2), ("above", 30, 1), ("below", 10, 1)):
        text, root = drawn(charts.histogram(BINS, limit=limit, rejects=rejects))
        bars = [each for each in root.iter("path") if each.get("stroke-dasharray")]
        assert len(bars) == hollow, (rejects, limit)
        assert f"limit {limit}" in text


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧" * 60, "長い分野の名前" * 30, "WIDE" * 30, "a" + "\u0301" * 300, "\ufffe\x1b", ""]
)
def test_any_script_can_be_drawn_and_leaves_room_for_the_bar(text):
    states = {"points": [[0, 0, 0, 0], [1, 1, 1, 0]], "states": [text, "kept"], "sources": [text]}
    verbs = {"verbs": [{"verb": text, "records": 3, "nouns": [{"noun": text, "records": 2}]}]}
    pair = {"names": [text, "b"], "shared": [[2, 1], [1, 2]], "expected": [[1.0, 1.0], [1.0, 1.0]]}
    for chart, others, names in (
        (charts.bars([{"category": text, "records": 3}], label="category"), ["3"], 1),
        (charts.embedding_map(states), ["kept", "state"], 1),
        (charts.sunburst(verbs), [], 2 if text else 0),
        (charts.overlap(pair), ["1", "1.0×", "2", "2", "b"], 1),
    ):
        said = letters(drawn(chart)[1])
        named = [each.rstrip("…") for each in said if each not in others]
        assert sorted(each for each in said if each in others) == others
        assert len(named) == names
        assert all(visible(text).startswith(each) and bool(each) == bool(text) for each in named)
    _, root = drawn(charts.bars([{"category": text, "records": 3}], label="category"))
    (bar,) = (each.get("d") for each in root.iter("path") if each.get("d"))
    assert float(re.match(r"M([\d.]+)", bar)[1]) >= 132 >= sum(map(_width, letters(root)[0])) * 132 / 21


@pytest.mark.parametrize("limit", [-5, 15, 99])
def test_a_limit_lies_within_the_picture_wherever_it_is(limit):
    _, root = drawn(charts.histogram(BINS, limit=limit, rejects="below"))
    assert all(
        0 <= float(x) <= WIDTH for x in re.findall(r"translate\((-?[\d.]+),0\)", etree.tostring(root).decode())
    )


def test_a_limit_that_no_bin_parts_at_is_said_to_lie_beyond_and_rejects_all_or_nothing():
    for limit, rejects, hollow in ((99, "above", 0), (99, "below", 3), (5, "above", 3), (5, "below", 0)):
        text, root = drawn(charts.histogram(BINS, limit=limit, rejects=rejects))
        assert ("lies beyond →" in text, "lies below" in text) == (limit == 99, limit == 5)
        assert not [line for line in root.iter("line") if line.get("stroke-width") == "1.5"]
        assert len([each for each in root.iter("path") if each.get("stroke-dasharray")]) >= hollow


def test_marks_of_sets_with_one_value_do_not_cover_one_another():
    values = {"selection": 0.5, "random": 0.1, "longest": 0.5, "pool": 0.5}
    sets = [{"name": name, "title": name} for name in values]
    _, root = drawn(charts.strip({"values": values, "band": {"low": 0.0, "median": 0.1, "high": 0.2}}, sets))
    moved = [each.get("transform") for each in root.iter("path") if "translate" in each.get("transform", "")]
    assert len(set(moved)) == len(moved) == len(values)


def test_bins_are_said_in_words():
    spans = [charts.span(each) for each in [*BINS, {"from": 3, "below": 4}, {"from": 0.5, "below": 1}]]
    assert spans == ["below 10", "10 to 19", "20 to 29", "30 and more", "3", "0.5 to below 1"]


def test_thousands_of_points_are_a_few_kilobytes_and_none_is_lost():
    many = invented(5_000)["map"]
    own = sum(many["states"][point[2]] == "kept" for point in many["points"])
    text, root = drawn(charts.embedding_map(many, state="kept"))
    assert len(text) < 80_000
    dots = [each.get("d").count("h0") for each in root.iter("path")]
    assert dots == [5_000 - own, own]


def test_the_rings_close_and_only_pieces_with_room_are_named(numbers):
    pieces = list(_pieces(numbers["verbs"]["verbs"]))
    for inner in {piece["inner"] for piece in pieces}:
        ring = sorted((piece["start"], piece["end"]) for piece in pieces if piece["inner"] == inner)
        assert ring[0][0] == 0
        assert ring[-1][1] == pytest.approx(6.283185, abs=1e-5)
        assert all(end == pytest.approx(start) for (_, end), (start, _) in pairwise(ring))
    for piece in pieces:
        room = (piece["end"] - piece["start"]) * (piece["inner"] + piece["outer"]) / 2
        assert not piece["label"] or room >= 11


def test_sets_that_coincide_and_sets_that_share_nothing_can_be_drawn(numbers):
    same = {"values": {"selection": 0.0, "random": 0.0, "pool": None}, "band": None}
    _, root = drawn(charts.strip(same, numbers["controls"]["sets"]))
    own, other = (re.findall(r"[\d.]+", each.get("transform")) for each in root.iter("path"))
    assert own[0] == other[0]  # of one value
    assert own[1] != other[1]  # and beside one another
    assert "0.00" in letters(root)
    nothing = {"names": ["a", "b"], "shared": [[0, 0], [0, 0]], "expected": [[0.0, 0.0], [0.0, 0.0]]}
    said = letters(drawn(charts.overlap(nothing))[1])
    assert [each for each in said if each] == [
        "a",
        "b",
        "0",
        "0",
        "0",
    ]  # and no factor, where chance gives nothing


def test_marks_of_sets_differ_in_shape_and_not_only_in_colour():
    look = charts.marks(["selection", "random", "longest", "pool", "k_center", "deita"])
    shapes = [(shape, filled) for shape, _, filled, _ in look.values()]
    assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize("module", ["altair", "vl_convert"])
def test_what_draws_and_is_missing_is_named_with_the_line_that_installs_it(monkeypatch, module):
    chart = charts.histogram(BINS) if module == "vl_convert" else None
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PluginError, match="not installed") as caught:
        charts.svg(chart or charts.histogram(BINS), "a", "b", id="c")
    assert "pip install 'curate-sft[report]'" in caught.value.next
