"""Who is named, in the lines and on the page, whatever people write into their names."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import polars as pl
import pytest

from curate.attribution import NO_WORKS, attribute, license_url
from curate.attribution.page import MAX_BYTES
from curate.record import records
from curate.tables import AMENDMENTS

WORK = {
    "part": "prompt",
    "title": "Why does bread rise?",
    "author": "A. Baker",
    "author_url": "https://example.org/users/1",
    "url": "https://example.org/q/1",
    "license": "CC-BY-SA-4.0",
    "license_basis": "declared",
    "modified": datetime(2019, 5, 1, 12, tzinfo=UTC),
}
ANSWER = WORK | {
    "part": "response",
    "author": "B. Cook",
    "url": "https://example.org/a/2",
    "license": "CC-BY-SA-3.0",
}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202egnirts\u202c \u2066isolated",
    "line\none\r\ntwo\u2028three\x00four",
    "&amp; 'quoted' `code` </li></ol>",
    "שלום עולם",
    "x" * 100_000,
)


def frame(*rows, split="train", source="forum"):
    made = [{"id": f"forum:{number}", "prompt": "p", "source": source, **row} for number, row in enumerate(rows)]
    return records(made).with_columns(pl.lit(split).alias("split"))


def named(folder, *frames, **given):
    lines, page = attribute(iter(frames), folder, **given)
    rows = [json.loads(line) for line in lines.read_text("utf-8").split("\n")[:-1]]
    return rows, page.read_text("utf-8")


class Reader(HTMLParser):
    """The tags of a page, its links, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links, self.attributes, self.text = set(), [], set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data):
        self.text += data


def test_a_row_names_title_author_source_licence_and_changes(tmp_path):
    amended = [{"id": "forum:0", "field": "response", "before": "a", "after": "b", "by": "email_address"}]
    amendments = pl.DataFrame([amended[0] | {"why": "masked"}], schema=AMENDMENTS).lazy()
    (row,), page = named(tmp_path, frame({"works": [WORK, ANSWER]}), amendments=amendments, name="bread")
    assert row["works"][0] == {
        **{name: WORK[name] for name in ("part", "title", "author", "author_url", "url", "license")},
        "license_url": "https://creativecommons.org/licenses/by-sa/4.0/",
        "basis": "declared",
        "modified": "2019-05-01",
    }
    assert (row["id"], row["split"], row["source"], row["license"]) == (
        "forum:0",
        "train",
        "forum",
        "CC-BY-SA-4.0",
    )
    assert row["changes"] == ["response: masked (email_address)"]
    assert row["note"] is None
    shown = Reader(page)
    assert {work["url"] for work in row["works"]} <= set(shown.links)
    assert {"https://example.org/users/1", "https://creativecommons.org/licenses/by-sa/3.0/"} <= set(shown.links)
    for said in (
        "Attribution: bread",
        "Why does bread rise?",
        "A. Baker",
        "B. Cook",
        "CC BY-SA 4.0",
        "2019-05-01",
    ):
        assert said in shown.text
    assert "Changed: response: masked (email_address)" in shown.text
    assert shown.text.count("Why does bread rise?") == 1


def test_a_record_without_works_says_so_in_both(tmp_path):
    rows, page = named(tmp_path, frame({}, {"works": [WORK]}))
    assert [row["note"] for row in rows] == [NO_WORKS, None]
    assert rows[0]["works"] == []
    assert f"{NO_WORKS.removesuffix('.')}. forum:0" in Reader(page).text


def test_a_work_without_author_or_licence_is_named_as_such(tmp_path):
    (row,), page = named(tmp_path, frame({"works": [{"part": "prompt and response"}]}))
    assert row["works"][0]["license"] == "LicenseRef-unknown"
    assert row["works"][0]["license_url"] is None
    assert "an author whom the source does not name" in page
    assert "no licence known" in page


def test_rows_follow_the_set_split_by_split_and_every_row_has_the_same_keys(tmp_path):
    first, second = frame({"works": [WORK]}, {}, {}), frame({"works": [ANSWER]}, split="test")
    rows, _ = named(tmp_path, first, first.clear(), second)
    assert [(row["id"], row["split"]) for row in rows] == [
        ("forum:0", "train"),
        ("forum:1", "train"),
        ("forum:2", "train"),
        ("forum:0", "test"),
    ]
    assert len({tuple(row) for row in rows}) == 1


def test_the_same_records_give_the_same_bytes(tmp_path):
    made = [attribute(iter([frame({"works": [WORK, ANSWER]}, {})]), tmp_path / name) for name in ("a", "b")]
    assert [file.read_bytes() for file in made[0]] == [file.read_bytes() for file in made[1]]


def test_an_empty_set_names_nobody(tmp_path):
    rows, page = named(tmp_path)
    assert rows == []
    assert "The set is empty" in page


@pytest.mark.parametrize("field", ["title", "author", "author_url", "url", "part", "license"])
def test_no_text_of_others_gets_out_of_its_place_on_the_page(tmp_path, field):
    rows = [{"works": [WORK | {field: text}]} for text in HOSTILE]
    told, page = named(tmp_path, frame(*rows, source="<b>forum</b>\u202e"), name="<i>set</i>")
    assert [row["works"][0][field] for row in told] == list(HOSTILE)
    shown = Reader(page)
    assert not shown.tags & {"script", "img", "b", "i"}
    assert not [name for name in shown.attributes if name.startswith("on")]
    allowed = re.compile(r"https://(example\.org|creativecommons\.org)/|ATTRIBUTION\.jsonl$")
    assert [link for link in shown.links if not allowed.match(link)] == []
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", page)
    assert len(page) < 60_000


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//x", "ftp://x/y"]
)
def test_an_address_that_is_not_of_the_web_is_no_link(tmp_path, url):
    _, page = named(tmp_path, frame({"works": [WORK | {"url": url, "author_url": url}]}))
    assert url not in Reader(page).links


def test_records_that_differ_in_their_ids_alone_are_one_entry(tmp_path):
    plain = {"part": "prompt and response", "license": "CC-BY-NC-4.0"}
    rows, page = named(tmp_path, frame(*[{"works": [plain]}] * 5000))
    assert len(rows) == 5000
    assert page.count("<li>") == 1
    assert "5,000 records, the first of them" in page


def test_a_large_set_has_a_small_page_that_points_to_all_the_rest(tmp_path):
    rows = [{"works": [WORK | {"title": f"{n} {'t' * 150}"}, ANSWER | {"author": f"a{n}"}]} for n in range(6000)]
    few = [{"works": [WORK | {"license": "CC-BY-4.0", "title": "The only one"}]}]
    told, page = named(tmp_path, frame(*rows, *few))
    assert len(told) == 6001
    assert 1_000_000 < len(page.encode()) <= MAX_BYTES
    assert "The only one" in page
    told_of = re.search(r"Here are ([\d,]+) of them.*?all ([\d,]+)", page).groups()
    shown, whole = (int(number.replace(",", "")) for number in told_of)
    assert 0 < shown < whole == 6001
    assert page.count("<li>") == shown
    assert "more in <a href='ATTRIBUTION.jsonl'>" in page


def test_a_licence_of_its_own_for_each_record_does_not_fill_the_page(tmp_path):
    rows = [{"works": [WORK | {"license": f"{n} {'<' * 5000}"}]} for n in range(400)]
    told, page = named(tmp_path, frame(*rows))
    assert len(told) == 400
    assert "200 records under further licences" in page
    assert len(page.encode()) <= MAX_BYTES


def test_a_dialogue_of_many_works_is_cut_on_the_page_alone(tmp_path):
    works = [WORK | {"title": f"t{n}"} for n in range(50)]
    (row,), page = named(tmp_path, frame({"works": works}))
    assert len(row["works"]) == 50
    assert "and 42 works more" in page


def test_the_page_loads_nothing_and_runs_nothing(tmp_path):
    _, page = named(tmp_path, frame({"works": [WORK]}))
    shown = Reader(page)
    assert not shown.tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import", page)


def test_an_expression_leads_to_each_of_its_licences(tmp_path):
    license = "CC-BY-SA-4.0 AND (MIT OR Foo)"
    assert license_url(license).split() == [
        "https://creativecommons.org/licenses/by-sa/4.0/",
        "https://opensource.org/license/mit",
    ]
    _, page = named(tmp_path, frame({"works": [WORK | {"license": license}]}))
    assert "CC BY-SA 4.0 and (MIT or Foo)" in Reader(page).text


def test_an_attribution_that_fails_half_way_leaves_no_lines(tmp_path):
    def broken():
        yield frame({"works": [WORK]})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        attribute(broken(), tmp_path)
    assert list(tmp_path.iterdir()) == []
