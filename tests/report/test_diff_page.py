"""The page of a difference: all that it says is in it, nothing is loaded, and no text leaves its place."""

from __future__ import annotations

import pytest

from curate.report.diff_page import MAX_BYTES, diff_page

html = pytest.importorskip("lxml.html")

NASTY = "<script>alert(1)</script> & \x00 \x1b[31m \u202eturned\u202c <img src=x onerror=alert(2)> </style>"


def excerpt(text):
    return {"text": text, "match": None, "cut_before": False, "cut_after": True, "chars": 4_000}


def number(name="response", *, shift=0.25, of="kept"):
    spread = {"n": 4, "min": 1, "p5": 1, "p25": 2, "median": 3, "p75": 3, "p95": 1_400, "max": 2.5, "missing": 1}
    bins = [{"from": 1, "below": 2, "a": 1, "b": 2}, {"from": 2, "below": None, "a": 3, "b": 2}]
    return {
        "name": name,
        "title": f"Length of {name}s",
        "unit": "characters",
        "of": of,
        "kind": "number",
        "measure": "Kolmogorov-Smirnov distance",
        "n_a": 4,
        "n_b": 4,
        "shift": shift,
        "by_chance": 0.6,
        "a": spread,
        "b": spread | {"median": 5},
        "at": {"value": 2, "a": 0.25, "b": 0.5} if shift else None,
        "bins": bins,
    }


def category(*names):
    rows = [{"category": name, "a": 3, "b": 1} for name in names]
    return {
        "name": "domain",
        "title": "Domains",
        "of": "kept",
        "kind": "category",
        "measure": "total variation distance",
        "n_a": 4,
        "n_b": 4,
        "shift": 0.5,
        "by_chance": None,
        "distinct": {"a": 40, "b": 41},
        "leading": {"a": {"category": "x", "share": 0.75}, "b": {"category": None, "share": 0.25}},
        "rows": [*rows, {"category": None, "a": 0, "b": 1}, {"category": None, "others": 9, "a": 1, "b": 2}],
    }


def row(text="A text.", **more):
    ends = {"state_a": "kept", "detail_a": "train", "state_b": "rejected", "detail_b": "too_short"}
    return {"id": "jsonl:1", **ends, "prompt": excerpt(text), "response": None, "apart": {}} | more


def apart(text):
    sides = {"a": [["The ", "same"], [text, "differs"], ["", "cut"]], "b": [["The ", "same"]], "said": ""}
    return {"response": sides}


@pytest.fixture
def of_runs():
    return {
        "kind": "runs",
        "a": "runs/one",
        "b": "runs/two",
        "settings": [
            {"setting": "code.curate.work", "a": "12ab", "b": "34cd"},
            {"setting": "seed", "a": "13", "b": ""},
            {"setting": "dedup.exact", "a": '{"use":"exact","on":"prompt"}', "b": ""},
        ],
        "counts": {
            "both": 10,
            "only_a": 1,
            "only_b": 0,
            "kept_a": 4,
            "kept_b": 5,
            "lost": 1,
            "gained": 2,
            "differing": 4,
            "other_text": 1,
        },
        "states": [
            {"state_a": "kept", "state_b": "rejected", "records": 1},
            {"state_a": "kept", "state_b": None, "records": 1_234},
            {"state_a": "kept", "state_b": "kept", "records": 7},
        ],
        "reasons": [
            {"reason": "too_short", "a": 1, "b": 2, "only_a": 0, "only_b": 1},
            {"reason": "quiet", "a": 5, "b": 5, "only_a": 0, "only_b": 0},
        ],
        "shifts": [
            category("x", "y"),
            number(),
            number("evidence:too_short", of="judged"),
            number("turn", shift=0),
        ],
        "lost": [row()],
        "gained": [row(), row()],
        "others": [row(apart=apart("other"))],
    }


@pytest.fixture
def of_files():
    return {
        "kind": "files",
        "a": "a.jsonl",
        "b": "b.jsonl",
        "ids_told": False,
        "not_compared": ["3 rows of B could not be read, and are not compared."],
        "counts": {
            "rows_a": 9,
            "rows_b": 8,
            "same": 5,
            "changed": 2,
            "lost": 2,
            "gained": 1,
            "unreadable_a": 0,
            "unreadable_b": 3,
        },
        "shifts": [number(of="all")],
        "changed": [{**row(apart=apart("new")), "end": "changed", "by": "prompt", "differs": "response"}],
        "lost": [{**row(), "end": "lost", "by": None, "differs": None}],
        "gained": [{**row(), "end": "gained", "by": None, "differs": None}],
    }


def tree(plain):
    return html.document_fromstring(diff_page(plain))


def said(element):
    return " ".join(element.text_content().split())


def test_the_page_of_runs_leads_with_what_was_lost_and_gained(of_runs):
    page = tree(of_runs)
    assert page.findtext(".//h1") == "From A to B: 1 row lost, 2 gained, 3 kept by both"
    text = said(page)
    for part in ("1 in A only.", "1 with another text.", "1,234", "not there", "A: kept (train)"):
        assert part in text
    assert "quiet" not in text


def test_settings_come_before_code_and_are_read_as_people_read_them(of_runs):
    rows = [said(each) for each in tree(of_runs).get_element_by_id("settings").xpath(".//tbody/tr")]
    assert rows[-1].startswith("code.curate.work")
    assert any('exact(on = "prompt")' in each for each in rows)


def test_every_shift_stands_in_order_with_what_chance_would_make_of_it(of_runs):
    section = tree(of_runs).get_element_by_id("shifts")
    shifts = [said(each) for each in section.xpath(".//details/summary")]
    assert [each.partition(" ")[0] for each in shifts] == ["Domains", "Length", "Length"]
    assert "50%" in shifts[0]
    assert "median 3 → 5" in shifts[1]
    assert "60% by chance" in shifts[1]
    assert "of all judged" in shifts[2]
    text = said(section)
    assert "The gap is widest at 2 characters: 25% of A and 50% of B are there or below." in text
    assert "9 others" in text
    assert "not stated" in text
    assert text.endswith("The same on both sides: Length of turns.")


def test_each_bar_says_in_words_what_it_shows(of_runs):
    page = tree(of_runs)
    bars = page.xpath("//*[local-name()='svg'][@role='img']")
    assert bars
    assert all(said(bar) for bar in bars)
    assert any("25% of A, 50% of B" in said(bar) for bar in bars)
    for table in page.xpath("//table"):
        assert table.xpath("./caption")
        assert table.xpath("./thead//th[@scope='col']")


def test_the_page_of_files_tells_rows_of_either_and_of_both(of_files):
    page = tree(of_files)
    assert page.findtext(".//h1") == "5 rows the same in both, 2 changed; 2 only in A, 1 only in B"
    text = said(page)
    for part in ("3 rows of B could not be read", "ids were not gone by", "same prompt, another response"):
        assert part in text
    assert not page.xpath("//*[@id='settings'] | //*[@id='states']")
    assert [each.text_content() for each in page.xpath("//del")] == ["new"]


def test_what_is_the_same_on_both_sides_is_said_in_one_sentence(of_files):
    same = of_files | {"shifts": [number(shift=0)]}
    assert "Everything is the same on both sides: Length of responses." in said(tree(same))


def test_a_side_without_rows_has_no_shift(of_files):
    nothing = dict.fromkeys(("min", "p5", "p25", "median", "p75", "p95", "max")) | {"n": 0, "missing": 0}
    empty = number() | {"shift": None, "by_chance": None, "b": nothing, "n_b": 0, "at": None}
    none = category() | {"shift": None, "n_a": 0, "n_b": 0, "rows": [], "leading": {"a": None, "b": None}}
    text = said(tree(of_files | {"shifts": [empty, none]}))
    assert "median 3 → none" in text


def test_the_page_loads_nothing_and_runs_nothing(of_runs):
    made = diff_page(of_runs)
    page = html.document_fromstring(made)
    assert not page.xpath(
        "//script | //link | //img | //iframe | //object | //*[@src] | //*[starts-with(name(@*), 'on')]"
    )
    assert "@import" not in made
    assert "url(" not in made
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_no_text_can_leave_its_place(of_runs, of_files):
    nasty = {"id": NASTY, "prompt": excerpt(NASTY), "apart": apart(NASTY), "detail_a": NASTY}
    of_runs |= {"a": NASTY, "lost": [row(**nasty)], "shifts": [category(NASTY) | {"title": NASTY}]}
    of_runs["settings"] = [{"setting": NASTY, "a": NASTY, "b": NASTY}]
    of_files |= {"a": NASTY, "lost": [{**row(**nasty), "end": "lost", "by": None, "differs": None}]}
    for plain in (of_runs, of_files):
        made = diff_page(plain)
        assert not html.document_fromstring(made).xpath("//script | //img")
        assert "<script" not in made
        assert not {"\x00", "\x1b", "\u202e"} & set(made)


def test_a_page_grows_no_larger_than_three_megabytes(of_files):
    many = of_files | {
        "changed": of_files["changed"] * 500,
        "lost": [of_files["lost"][0] | {"prompt": excerpt("x" * 9_000)}] * 500,
    }
    made = diff_page(many)
    assert len(made.encode()) <= MAX_BYTES == 3_000_000
    assert said(html.document_fromstring(made)).count("A text.") >= 20
