"""The page of a run that has everything: what stands in it, how large it grows, and what it asks of a browser."""

import json
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from itertools import pairwise

import pytest
from lxml import html

from curate.report.charts_style import VARIABLES
from curate.report.numbers import numbers
from curate.report.page import MAX_BYTES, page
from tests.report.conftest import make, rows
from tests.report.invented import METRICS, groups_shown, invented, with_histograms

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NASTY = "</svg></title><script>alert(1)</script> \x00\u202e{{ 7 * 7 }} " + "w" * 500
# Run by a browser in a frame: how wide the page is, what it asked for, and charts whose letters leave the picture.
MEASURE = """
addEventListener("load", () => {
    const leaves = svg => {
        const frame = svg.getBoundingClientRect();
        return frame.width && [...svg.querySelectorAll("text")].some(text => {
            const own = text.getBoundingClientRect();
            return own.left < frame.left - 3 || own.right > frame.right + 3;
        });
    };
    const charts = [...document.querySelectorAll("svg.chart")];
    const out = charts.filter(leaves).map(svg => svg.textContent.slice(0, 60));
    const wide = document.documentElement.scrollWidth;
    const asked = performance.getEntriesByType("resource").length;
    parent.postMessage(JSON.stringify({wide, room: innerWidth, out, asked}), "*");
});
"""
NEW = set(invented(3))


def whole(points=300):
    made = numbers(*make(rows())) | invented(points)
    with_histograms(made["rules"])
    made["dedup"] |= {
        "groups_shown": groups_shown(),
        "passes": [{"use": "minhash", "on": "response", "note": ""} | {"comparisons": 9, "dropped": 1}],
    }
    made["contamination"] |= {"passes": [{"use": "ngrams", "on": "prompt", "against": ["test.jsonl"]}]}
    made["made_by"] |= {"platform": "Linux x86_64", "pipeline_digest": "ab" * 32}
    return made


@pytest.fixture(scope="module")
def given():
    return whole()


@pytest.fixture(scope="module")
def made(given):
    return page(given)


@pytest.fixture(scope="module")
def tree(made):
    return html.document_fromstring(made)


def words(node):
    return " ".join(" ".join(node.itertext()).split())


def test_every_section_is_there_and_named_in_the_list_of_contents(tree):
    sections = [section.get("id") for section in tree.iter("section")]
    assert sections == [link.get("href")[1:] for link in tree.xpath("//nav/a")]
    assert sections == [
        "changes",
        "intake",
        "rules",
        "ledger",
        "contamination",
        "duplicates",
        "selection",
        "controls",
        "licences",
        "lengths",
        "topics",
        "map",
        "hygiene",
        "examples",
        "decisions",
        "made-by",
    ]


def test_headings_are_nested_and_ids_are_unique(tree):
    levels = [int(heading.tag[1]) for heading in tree.xpath("//h1 | //h2 | //h3 | //h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - sooner <= 1 for sooner, later in pairwise(levels))
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    named = {id for names in tree.xpath("//@aria-labelledby") for id in names.split()}
    assert named <= set(ids)


def test_every_figure_has_a_title_a_description_and_a_table_with_the_same(tree):
    figures = tree.find_class("figure")
    assert len(figures) >= 10
    for figure in figures:
        (svg,) = figure.iter("svg")
        title, desc = (svg.find(name) for name in ("title", "desc"))
        assert title.text
        assert desc.text
        assert svg.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        assert figure.xpath(".//details//table//td")
    for svg in tree.xpath("//svg[not(@aria-hidden)]"):
        assert svg.get("role") == "img"
        assert svg.findtext("title")
    strips = tree.xpath("//div[@class='metric']//svg")
    assert len(strips) == len(METRICS)
    assert all(svg.findtext("desc") for svg in strips)


def test_every_picture_is_also_told_without_colour(tree):
    controls = words(tree.get_element_by_id("controls"))
    assert "It is more diverse than 19 of 20 random draws." in controls
    assert "All 20 random draws are worse." in controls
    assert "It is higher than all 20 random draws." in controls
    assert "Length is a confounder." in controls
    assert "hollow" in words(tree.get_element_by_id("lengths"))
    legend = tree.find_class("legend")[0]
    assert "the longest responses" in words(legend)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("changes", "52,002 1,000 −98%"),
        ("changes", "40% 9.4% −30.4 points"),
        ("changes", "Kept responses are 7.6 times as long"),
        ("licences", "The strictest terms in train are those of CC-BY-NC-4.0 : no commercial use"),
        ("licences", "cannot be shared as one work"),
        ("licences", "CC-BY-NC-4.0 (399), not stated (1)"),
        ("lengths", "412 1,980 5,120 41 4.6%"),
        ("lengths", "42 of 1,000 (4.2%) are longer than the 2,048 tokens"),
        ("topics", "“write” opens 15% of the 871 instructions in which a verb was found (87% of 1,000)"),
        ("topics", "22 domains; the largest, domain 0, holds 15%. Entropy 2.81 nats; evenness 0.909"),
        ("map", "300 of 52,002 records as points"),
        ("controls", "rank correlation of length and choice 0.82"),
        ("hygiene", "email_address An address of e-mail in of . 3 0.3%"),
        ("examples", "rejected: too_short"),
        ("decisions", "12 accept a record, 5 reject one and 2 edit one. 1 name records that were not met"),
        ("made-by", "Linux x86_64"),
        ("duplicates", "8 more groups"),
    ],
)
def test_what_the_numbers_say_is_said(tree, section, said):
    assert said in words(tree.get_element_by_id(section))


def test_every_value_of_a_metric_stands_in_its_table(given, tree):
    table = tree.get_element_by_id("controls").xpath(".//table[starts-with(caption, 'Diversity')]")[0]
    cells = {cell.text_content() for cell in table.iter("td")}
    for metric in given["controls"]["metrics"]:
        if metric["kind"] == "diversity":
            assert {f"{number:,.4g}" for number in metric["values"].values() if number is not None} <= cells
            assert f"{metric['percentile']:g}" in cells


def test_what_differs_between_duplicates_is_marked(tree):
    first = tree.find_class("pair")[0]
    assert [mark.text.strip() for mark in first.iter("mark")][:3] == ["Explain", ".", "sunlight"]


def test_a_section_without_numbers_is_not_shown(given):
    small = {key: value for key, value in given.items() if key not in NEW}
    assert page(small) == page(small | dict.fromkeys(NEW))
    tree = html.document_fromstring(page({"name": "none", "summary": {"outcome": "Nothing."}}))
    assert not list(tree.iter("section"))


def test_the_same_numbers_give_the_same_page(given, made):
    assert page(json.loads(json.dumps(given))) == made


def test_without_altair_tables_stand_where_charts_would(given, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    tree = html.document_fromstring(page(given))
    assert "Tables stand where charts would be." in words(tree.find("body"))
    strips = tree.xpath("//div[@class='metric']//svg")  # which need no Altair
    assert tree.find_class("chart") == strips
    twins = tree.xpath("//details[@class='twin']")
    assert twins
    assert all(twin.get("open") is not None for twin in twins)


def test_no_text_anywhere_can_leave_its_place(given):
    tree = html.document_fromstring(page(nasty(given) | {"ledger": given["ledger"]}))
    assert not tree.xpath("//script | //img | //iframe | //link | //svg//*[local-name()='foreignObject']")
    assert len(tree.xpath("//style")) == 1
    made = html.tostring(tree, encoding="unicode")
    assert not {"\x00", "\u202e"} & set(made)
    assert "{{ 7 * 7 }}" in made


def nasty(value, key=""):
    """The same numbers with every text hostile, but those by which the page tells things apart."""
    if key in {"kind", "sense", "role", "name", "state", "unit", "by", "split", "names", "step"}:
        return value
    if isinstance(value, str):
        return NASTY
    if isinstance(value, dict):
        return {key: nasty(each, key) for key, each in value.items()}
    return [nasty(each, key) for each in value] if isinstance(value, list) else value


def test_the_page_asks_for_nothing_from_elsewhere(made, tree):
    assert not tree.xpath("//*[@src] | //*[@srcset] | //link | //object | //embed | //form | //*[@action]")
    assert all(link.get("href").startswith(("#", "https://example.org/")) for link in tree.iter("a"))
    assert not tree.xpath("//*[not(self::a)]/@href")
    assert not re.search(r"url\(|@import|@font-face", made)


def extreme(given):
    text = {"text": "🍞" * 400, "match": None, "cut_before": True, "cut_after": True, "chars": 9_000}
    long = "x" * 20_000
    rule = given["rules"][0] | {"summary": long}
    rule["examples"] = [rule["examples"][0] | {"prompt": text, "response": text}] * 3
    rule["sources"] = [row | {"source": f"{long}{n}"} for n, row in enumerate(rule["sources"] * 20)]
    chat = given["examples"]["kept"][0] | {"turns": [{"role": "user", "text": text}] * 50}
    group = given["dedup"]["groups_shown"][0]
    metric = given["controls"]["metrics"][0]
    licence = given["licensing"]["by_source"][0] | {"source": long}
    return given | {
        "rules": [rule] * 150,
        "alerts": [long] * 500,
        "domains": [given["domains"][0] | {"domain": long}] * 20_000,
        "examples": {"kept": [chat] * 20, "dropped": [chat] * 20},
        "dedup": given["dedup"] | {"groups_shown": [group] * 500},
        "controls": given["controls"] | {"metrics": [metric] * 60},
        "licensing": given["licensing"] | {"by_source": [licence] * 1_000},
        "made_by": given["made_by"] | {"inputs": given["made_by"]["inputs"] * 20_000},
    }


def test_the_page_stays_under_three_megabytes_however_much_there_is(given):
    made = page(extreme(given))
    assert len(made.encode()) <= MAX_BYTES == 3_000_000
    assert "This page shows less than there is" in made


def test_examples_go_before_points_and_points_before_rows(given):
    text = {"text": "word " * 4_000, "match": None, "cut_before": False, "cut_after": False, "chars": 20_000}
    chat = given["examples"]["kept"][0] | {"turns": [{"role": "user", "text": text}]}
    made = page(given | {"examples": {"kept": [chat] * 200, "dropped": [chat] * 200}})
    assert "more" in made
    whole_map = re.findall(r"of 300 points", made)
    assert whole_map
    tree = html.document_fromstring(made)
    assert len(tree.find_class("chats")[0].findall("article")) == 2


def colours(scheme):
    """The variables of a scheme by name, as red, green and blue."""
    style = files("curate.report").joinpath("report_style.html").read_text("utf-8")
    light, dark = re.findall(r":root \{([^}]*)\}", style)[:2]
    of = dict(re.findall(r"(--\w+):(#\w+)", {"light": light, "dark": dark}[scheme]))
    return {name: full(colour) for name, colour in of.items()}


def full(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * each for each in colour[1:])
    return tuple(int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))


def contrast(one, other):
    """The contrast ratio of WCAG 2.2, section 1.4.3."""

    def luminance(colour):
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in colour]
        return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_can_be_read_on_every_ground(scheme):
    of = colours(scheme)
    for letters in ("--ink", "--soft", "--accent", "--rust", "--blue"):
        for ground in ("--page", "--panel", "--wash"):
            assert contrast(of[letters], of[ground]) >= 4.5, (letters, ground)
    for ground in ("--rail", "--tint"):
        assert contrast(of["--ink"], of[ground]) >= 4.5


def test_charts_are_made_in_the_colours_of_the_light_page():
    of = colours("light")
    assert all(of[name] == full(colour) for colour, name in VARIABLES.items())


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_a_word_or_a_request_and_nothing_is_wider_than_it(made, tmp_path, width):
    # The page runs no script; the one that measures it is added here, and with it the leave to run.
    watched = made.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';").replace(
        "</head>", f"<script>{MEASURE}</script></head>"
    )
    (tmp_path / "page.html").write_text(watched, "utf-8")
    frame = f'<iframe src="page.html" style="width:{width}px; height:2000px; border:0"></iframe>'
    listen = '<script>addEventListener("message", m => document.documentElement.setAttribute("data-said", m.data))'
    file = tmp_path / "frame.html"  # a window is at least 500 pixels wide, a frame may be narrower
    file.write_text(f"<!doctype html><title>frame</title>{listen}</script>{frame}", "utf-8")
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--proxy-server=127.0.0.1:9", "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--window-size=1400,2100", "--virtual-time-budget=5000", "--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    said = json.loads(html.document_fromstring(done.stdout).get("data-said"))
    assert said["asked"] == 0
    assert said["out"] == []
    assert said["wide"] <= said["room"] <= width
