"""The widgets show what the plain classes answer, say what is wrong, and are readable where no kernel is alive."""

from __future__ import annotations

import sys

import pytest

import curate
from curate.decisions import read_decisions
from curate.errors import CurateError, PluginError
from curate.explore_widget import outputs
from tests.walk import lay_out

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("widgets")
    return curate.run(lay_out(folder, files="a"), runs=folder / "runs")


@pytest.fixture
def widgets():
    return pytest.importorskip("ipywidgets")


@pytest.mark.parametrize("shown", [lambda run: run.explore(), lambda run: run.tune("too_short")])
def test_without_ipywidgets_the_line_that_installs_it_is_told(shown, walked, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(PluginError) as caught:
        shown(walked)
    assert "pip install 'curate-sft[notebook]'" in str(caught.value)


def test_the_first_page_is_there_as_plain_html_beside_the_live_view(widgets, walked):
    box = walked.explore(state="kept", size=2)
    assert isinstance(box, widgets.VBox)
    live, plain = outputs(box.shell)
    assert VIEW in live
    assert "text/html" not in live
    assert walked.find(state="kept", size=2)._repr_html_() in plain["text/html"]
    assert walked.rule("too_short")._repr_html_() in outputs(walked.tune("too_short").shell)[1]["text/html"]


@pytest.mark.usefixtures("widgets")
def test_pages_are_turned_and_stop_at_both_ends(walked):
    shell = walked.explore(size=25).shell
    assert (shell.back.disabled, shell.on.disabled) == (True, False)
    seen = [each.id for each in shell.page.records]
    while not shell.on.disabled:
        shell.on.click()
        seen += [each.id for each in shell.page.records]
    assert seen == walked.explorer.index["id"].to_list()
    shell.back.click()
    assert shell.page.number == shell.page.pages - 1


@pytest.mark.usefixtures("widgets")
def test_what_is_chosen_is_what_is_shown(walked):
    shell = walked.explore(size=3).shell
    shell.chosen["state"].value = "rejected"
    shell.chosen["reason"].value = "first_person"
    shell.order.value = "score"
    shell.text.value = "MY ANSWER"
    shell.scores["max_score"].value = "14"
    asked = {
        "state": "rejected",
        "reason": "first_person",
        "order": "score",
        "text": "MY ANSWER",
        "max_score": 14.0,
    }
    assert shell.page == walked.find(size=3, **asked)
    assert shell.said.value.endswith(f"{shell.page.said}</span>")
    assert len(shell.records.children) == len(shell.page.records)


@pytest.mark.usefixtures("widgets")
def test_what_cannot_be_asked_is_said_and_the_page_stays(walked):
    shell = walked.explore(size=3).shell
    before = shell.page
    shell.scores["min_score"].value = "<b>much</b>"
    assert "no number" in shell.said.value
    assert "<b>" not in shell.said.value
    shell.scores["min_score"].value = ""
    shell.order.value = "cut"
    assert "which cut is not said" in shell.said.value
    assert shell.page == before
    shell.chosen["rule"].value = "too_short"
    assert shell.page.query.order == "cut"


@pytest.mark.usefixtures("widgets")
def test_records_are_decided_on_where_they_are_read(walked, tmp_path):
    file = tmp_path / "decisions.jsonl"
    shell = walked.explore(state="kept", size=2, decisions=file, by="Ada").shell
    first, second = (desk_of(each) for each in shell.records.children)
    first.buttons["reject"].click()
    assert "is empty" in first.said.value
    first.why.value = "an <b>advertisement</b>"
    first.buttons["reject"].click()
    assert first.said.value == "reject by Ada: an &lt;b&gt;advertisement&lt;/b&gt;"
    second.buttons["edit"].click()
    assert second.editing.layout.display == ""
    assert second.other.value == second.shown.record["response"]
    second.why.value = "a word"
    second.other.value += " more"
    second.buttons["edit"].click()
    shell.by.value = "Bo"
    second.buttons["accept"].click()
    found = read_decisions(file)
    assert [(each.id, each.decision, each.by) for each in found.standing] == [
        (first.shown.id, "reject", "Ada"),
        (second.shown.id, "accept", "Bo"),
        (second.shown.id, "edit", "Ada"),
    ]
    first.buttons["withdraw"].click()
    assert read_decisions(file).rejected == {}


@pytest.mark.usefixtures("widgets")
def test_a_slider_shows_what_the_rule_would_do_there(walked):
    shell = walked.tune("too_short").shell
    assert shell.limit.value == 100
    assert (shell.limit.min, shell.limit.max) == tuple(int(each) for each in walked.rule("too_short").span)
    shell.limit.value = 380
    assert shell.said.value == walked.rule("too_short").at(380)._repr_html_()


@pytest.mark.usefixtures("widgets")
def test_a_slider_draws_the_cut_or_says_what_draws_it(walked, monkeypatch):
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    shell = walked.tune("too_short").shell
    before = shell.chart.value
    assert before.startswith("<svg")
    shell.limit.value = 380
    assert "380" in shell.chart.value != before
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert "curate-sft[report]" in walked.tune("too_short").shell.chart.value


@pytest.mark.usefixtures("widgets")
def test_a_limit_between_whole_numbers_is_slid_in_steps_that_come_back_to_it(walked):
    from curate.tuning_widget import slider

    tuning = walked.rule("low_score")
    shell = slider(tuning).shell
    assert shell.limit.value == 2
    assert shell.limit.min <= 2 <= shell.limit.max


def test_charts_are_legible_on_any_page(walked):
    altair = pytest.importorskip("altair")
    names = walked.charts
    assert {"funnel", "response_lengths"} <= set(names)
    for name in names:
        drawn = walked.chart(name)
        assert isinstance(drawn.chart, altair.TopLevelMixin)
        spec = drawn.chart.to_json()
        assert "#fbfbf9" not in spec
        assert "#1c1e20" not in spec
    with pytest.raises(CurateError, match="there is no chart"):
        walked.chart("funel")


def desk_of(record):
    """What stands under a record: the object whose buttons are there."""
    return record.children[1].desk
