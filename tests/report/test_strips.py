import pytest
from lxml import etree

from curate.report.strips import strip, ticks

SETS = [{"name": name, "title": f"the {name}"} for name in ("selection", "random", "longest", "pool")]


def drawn(metric, **more):
    return etree.fromstring(strip(metric, SETS, "T <1>", "D & d", id="m-1", **more))


def places(svg):
    """Where the marks lie across, in the order in which they are drawn."""
    return [float(each.get("transform")[10:].split()[0]) for each in svg.findall("path") if each.get("transform")]


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 1, [0.5, 1.0]),
        (0.1, 0.9, [0.2, 0.4, 0.6, 0.8]),
        (-3, 42, [0, 20, 40]),
        (400, 900, [600, 800]),
        (2.598, 2.641, [2.6, 2.62, 2.64]),
    ],
)
def test_ticks_are_round_numbers_inside(low, high, found):
    assert ticks(low, high) == found


def test_marks_lie_where_their_values_are_and_the_selection_above_all():
    svg = drawn({"values": {"selection": 30, "random": 10, "longest": 40, "pool": None}, "band": None})
    random, longest, selection = places(svg)
    assert random < selection < longest
    assert (selection - random) / (longest - random) == pytest.approx(2 / 3, abs=0.01)


def test_marks_that_would_cover_each_other_move_apart_and_the_selection_stays_in_the_line():
    svg = drawn(
        {"values": {"selection": 5, "longest": 5, "random": 1}, "band": {"low": 1, "median": 2, "high": 3}}
    )
    marks = [each.get("transform") for each in svg.findall("path") if each.get("transform")]
    heights = [each.split()[1].split(")")[0] for each in marks]
    assert heights[-1] == heights[0] != heights[1]


def test_it_is_named_and_described_with_texts_escaped():
    svg = drawn({"values": {"selection": 1.0}, "band": {"low": 1.0, "median": 1.0, "high": 1.0}})
    assert svg.findtext("title") == "T <1>"
    assert svg.findtext("desc") == "D & d"
    assert svg.get("aria-labelledby") == "m-1-title m-1-desc"


def test_no_value_is_no_strip():
    assert strip({"values": {"selection": None}, "band": None}, SETS, "t", "d", id="m") == ""
