import json
import sys

import pytest
from lxml import html

from curate.errors import PluginError
from curate.keys import canonical
from curate.report.numbers import numbers
from curate.report.page import MAX_BYTES, page, percent, value, web

NASTY = "<script>alert(1)</script> & \x00 \x1b[31m \u202eturned\u202c <img src=x onerror=alert(2)> </style>"


@pytest.fixture
def shown(job):
    """The page of the small job, or of the records given, and its tree."""

    def show(rows=None, change=None):
        tables, facts = job(rows)
        if change is not None:
            change(facts)
        made = page(numbers(tables, facts))
        return made, html.document_fromstring(made)

    return show


def test_the_page_leads_with_the_outcome_the_funnel_and_the_balances(shown):
    _, tree = shown()
    assert tree.findtext(".//h1") == "Of 18 records, 10 are kept: 8 to train on and 2 for test."
    first = tree.find_class("first")[0].text_content()
    assert "Rejected by rules on text" in first
    assert "The books balance" in first
    assert first.index("From record") < first.index("The books balance")


def test_the_page_loads_nothing_and_runs_nothing(shown):
    made, tree = shown()
    assert not tree.xpath(
        "//script | //link | //img | //iframe | //object | //*[@src] | //*[starts-with(name(@*), 'on')]"
    )
    assert "@import" not in made
    assert "url(" not in made
    policy = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_no_text_can_leave_its_place(shown, bread):
    for row in bread:
        row |= {"prompt": NASTY, "url": "javascript:alert(3)"}
    bread[0] |= {"response": NASTY, "domain": NASTY, "license": NASTY}
    bread[10] |= {"domain": NASTY, "license": NASTY}

    def change(facts):
        facts["name"] = facts["command"] = NASTY
        facts["alerts"] = [NASTY]
        facts["rules"][0]["summary"] = NASTY

    made, tree = shown(bread, change)
    assert not tree.xpath("//script | //img")
    assert not tree.xpath("//a[starts-with(@href, 'javascript')]")
    assert len(tree.xpath("//style")) == 1
    assert not {"\x00", "\x1b", "\u202e", "\u202c"} & set(made)
    assert "⟨U+0000⟩" in made
    assert "⟨U+202E⟩turned" in made
    assert "<script>alert(1)</script> & " in tree.text_content()


def test_every_table_has_a_caption_and_every_head_a_scope(shown):
    _, tree = shown()
    for table in tree.iter("table"):
        figure = next(table.iterancestors("figure"), None)
        assert table.find("caption") is not None or figure.find("figcaption") is not None
    assert tree.xpath("//th[not(@scope)]") == []
    assert tree.xpath("//svg[not(title)]") == []
    levels = [int(heading.tag[1]) for heading in tree.xpath("//h1 | //h2 | //h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in tree.xpath("//nav//@href")} <= set(ids)


def test_every_bar_stays_within_its_rail(shown):
    _, tree = shown()
    for bar in tree.xpath("//svg[@class='bar']"):
        assert all(0 <= float(box.get("x", 0)) + float(box.get("width")) <= 1000.1 for box in bar.iter("rect"))


def test_each_rule_opens_to_its_numbers_and_examples(shown):
    _, tree = shown()
    rules = {rule.find_class("name")[0].text: rule for rule in tree.find_class("rule")}
    assert list(rules) == ["too_short", "low_score", "first_person", "wrong_language"]
    # Once as an example, once among the records that the rule alone removes.
    assert [mark.text for mark in rules["first_person"].iter("mark")] == ["I think"] * 2
    assert "evidence not known against 10" in rules["low_score"].text_content()
    assert "found “I think”" in rules["first_person"].text_content()
    assert "The rule rejects what lies left of the line" in rules["too_short"].text_content()


def test_names_of_parameters_in_a_summary_are_set_as_code(shown):
    def change(facts):
        facts["rules"][0]["summary"] = "Fewer than `min_<b>chars` characters."

    _, tree = shown(change=change)
    what = tree.find_class("what")[0]
    assert what.text_content() == "Fewer than min_<b>chars characters."
    assert [code.text for code in what.iter("code")] == ["min_<b>chars"]


def test_quoted_texts_keep_their_lines_and_gain_none(shown, bread):
    bread[0] |= {"response": "def rest():\n    return 1"}
    _, tree = shown(bread)
    bubbles = [bubble.text_content() for bubble in tree.find_class("bubble")]
    assert "def rest():\n    return 1" in bubbles


def test_groups_of_many_sizes_are_summed_up(job):
    made = numbers(*job())
    made["dedup"]["groups"] = [{"size": 2, "groups": 7}, {"size": 12, "groups": 3}, {"size": 40, "groups": 1}]
    tree = html.document_fromstring(page(made))
    table = next(each for each in tree.iter("table") if (each.findtext("caption") or "").startswith("Groups"))
    cells = [[cell.text for cell in row][:2] for row in table.xpath("./tbody/tr")]
    assert cells == [["2", "7"], ["11 to 40", "4"]]


def test_the_page_can_be_made_again_from_report_json(job):
    made = numbers(*job())
    assert page(json.loads(canonical(made))) == page(made)


def test_the_page_of_an_empty_job_is_a_page(job):
    tables, facts = job([])
    assert "No record was read." in page(numbers(tables, facts))


def test_the_page_of_a_job_without_rules_quotas_and_passes_is_a_page(shown, bread):
    def change(facts):
        facts |= {"rules": [], "quotas": [], "dedup": [], "exports": []}

    made, _ = shown([row | {"end": ("kept", "train")} for row in bread[-3:]], change)
    assert "The pipeline has no rules." in made


def test_shortages_say_what_cost_what(shown):
    def change(facts):
        cost = {"rule": "too_short", "hit": 3, "alone": 2}
        facts["shortages"] = [
            {
                "quota": "q",
                "wanted": 9,
                "drawn": 1,
                "candidates": 4,
                "rules": [cost],
                "sentence": "q: 1 of 9 drawn",
            }
        ]

    _, tree = shown(change=change)
    selection = tree.get_element_by_id("selection")
    assert "Short: q, 1 of 9" in selection.text_content()
    costs = next(table for table in selection.iter("table") if "cost this quota" in table.findtext("caption"))
    assert [cell.text for cell in costs.xpath("./tbody/tr/*")][:3] == ["too_short", "3", "2"]


def test_the_page_stays_small_however_much_there_is(job):
    tables, facts = job()
    made = numbers(tables, facts)
    large = made["rules"][2]
    text = {"text": "🍞" * 400, "match": None, "cut_before": True, "cut_after": True, "chars": 9000}
    large["examples"] = [large["examples"][0] | {"prompt": text, "response": text}] * 3
    made["rules"] = [large] * 200
    made["intake"]["inputs"] = [made["intake"]["inputs"][0]] * 20_000
    made["domains"] = [made["domains"][0]] * 20_000
    made["made_by"]["inputs"] = [made["made_by"]["inputs"][0]] * 20_000
    made["alerts"] = ["Look."] * 5_000
    assert len(page(made).encode()) <= MAX_BYTES


def test_a_missing_jinja2_is_named_with_the_line_that_installs_it(job, monkeypatch):
    made = numbers(*job())
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(PluginError, match="jinja2") as caught:
        page(made)
    assert "pip install 'curate-sft[report]'" in caught.value.next


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0%"),
        (1, 100_000, "<0.1%"),
        (1, 200, "0.5%"),
        (99, 1000, "9.9%"),
        (9_999, 100_000, "10%"),
        (1, 3, "33%"),
        (99_999, 100_000, ">99%"),
        (5, 5, "100%"),
        (1, 0, "–"),
    ],
)
def test_percentages_have_as_many_digits_as_they_deserve(part, whole, shown):
    assert percent(part, whole) == shown


def test_values_read_as_words():
    assert [value(each) for each in (1200, 0.82615, "en", ["en", "fr"], None, True)] == [
        "1,200",
        "0.8262",
        "“en”",
        "en, fr",
        "not known",
        "true",
    ]


def test_only_addresses_of_the_web_become_links():
    assert web("https://example.org/a") == "https://example.org/a"
    assert [web(url) for url in ("javascript:alert(1)", "data:text/html,x", " https://x", "", None)] == [None] * 5


def test_what_a_rule_alone_removes_is_listed_and_said_to_be_unseen_by_later_stages(shown):
    _, tree = shown()
    rules = {rule.find_class("name")[0].text: rule for rule in tree.find_class("rule")}
    said = " ".join(rules["first_person"].text_content().split())
    assert "Removed by this rule alone 1 of 1, drawn by id." in said
    assert "rules on measures have not judged them" in said
    assert "forum:3" in said
    assert "rules on measures have not judged them" not in rules["wrong_language"].text_content()


def test_a_lifted_rule_is_shown_as_lifted_and_not_as_one_that_rejects_nothing(job):
    tables, facts = job()
    facts["rules"][2]["lifted"] = True
    made = page(numbers(tables, facts))
    assert "Lifted for this run: first_person." in made
    assert made.count("<small>lifted</small>") == 1
    assert "It finds something in 1 record." in made
