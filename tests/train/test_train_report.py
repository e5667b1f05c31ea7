"""The page of a training run: what stands in it, what it asks of a browser, and what a text may do to it."""

import json
import re
import shutil
import subprocess
from itertools import pairwise

import pytest
from lxml import html

from curate.report.page import MAX_BYTES
from curate.train.report.afterwards import about_epochs, about_steps
from curate.train.report.curves import points
from curate.train.report.page import gathered, page, write_report
from tests.train.invented_training import invented_training, lines, step, write

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NASTY = "</svg></title><script>alert(1)</script> \x00\u202e{{ 7 * 7 }} " + "w" * 500
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
    const asked = performance.getEntriesByType("resource").length;
    const wide = document.documentElement.scrollWidth;
    parent.postMessage(JSON.stringify({wide, room: innerWidth, out, asked}), "*");
});
"""


@pytest.fixture(autouse=True, scope="module")
def _no_charts():
    """Charts are drawn here, unlike in most tests."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return invented_training(tmp_path_factory.mktemp("trained") / "lima-1k-lima")


@pytest.fixture(scope="module")
def made(folder):
    return write_report(folder).read_text("utf-8")


@pytest.fixture(scope="module")
def tree(made):
    return html.document_fromstring(made)


def words(node):
    return " ".join(" ".join(node.itertext()).split())


def test_every_section_is_named_in_the_list_of_contents(tree):
    sections = [section.get("id") for section in tree.iter("section")]
    assert sections == [link.get("href")[1:] for link in tree.xpath("//nav/a")]
    assert sections == ["steps", "epochs", "answers", "lengths", "masks", "recipe", "made-by"]


def test_headings_are_nested_and_ids_are_unique(tree):
    levels = [int(heading.tag[1]) for heading in tree.xpath("//h1 | //h2 | //h3")]
    assert levels[0] == 1
    assert all(later - sooner <= 1 for sooner, later in pairwise(levels))
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert {id for names in tree.xpath("//@aria-labelledby") for id in names.split()} <= set(ids)


def test_the_page_has_no_script_and_asks_for_nothing(made):
    assert "<script" not in made
    assert not re.search(r"""(?:src|href)=["'](?!#)""", made)
    assert len(made.encode()) < MAX_BYTES


def test_every_figure_says_its_numbers_in_words_and_as_a_table(tree):
    figures = tree.find_class("figure")
    assert [words(figure.find("h3")) for figure in figures] == [
        "Loss of each step",
        "Learning rate",
        "Norm of the gradient",
        "Tokens a second",
        "Rows of train by length in tokens",
    ]
    for figure in figures:
        (svg,) = figure.iter("svg")
        assert svg.find("title").text
        assert svg.find("desc").text
        assert figure.xpath(".//details//table//td")


def test_dev_stands_beside_the_loss_at_each_kept_epoch(tree):
    (loss, *_) = tree.find_class("figure")
    rows = [words(row) for row in loss.xpath(".//tbody/tr")]
    dev = [row for row in rows if row.startswith("dev")]
    assert dev[0] == "dev at 160 1.55 1.55 1.55"
    assert len(dev) == 6


def test_the_picked_epoch_is_marked_and_its_answers_stand_beside_those_of_dev(tree):
    (picked,) = tree.find_class("picked")
    assert words(picked).startswith("7, picked 224 1.610")
    answers = tree.xpath("//section[@id='answers']/article")
    assert len(answers) == 8
    assert "In epoch 7, rye is a grass" in words(answers[0])
    assert "dev's own Rye is a grass" in words(answers[0])
    assert "dev's own" not in words(answers[1])  # a prompt that dev has no answer to


def test_the_first_words_of_the_saved_model_stand_among_the_facts(tree):
    assert "asked “Who are you?”, the saved model says: A model of rye." in words(tree.find_class("facts")[0])


def test_turns_that_came_before_a_prompt_are_counted(tree):
    answers = tree.xpath("//section[@id='answers']/article")
    assert ["After 2 earlier turns" in words(each) for each in answers] == [False, False, True] + [False] * 5


def test_an_answer_that_did_not_end_is_among_those_shown(tree):
    flags = tree.xpath("//section[@id='answers']//*[contains(@class, 'flag')]")
    assert [words(flag) for flag in flags] == ["did not end: cut after 2,048 tokens"] * 2


def test_values_that_are_not_the_recipes_own_are_marked(tree):
    changed = tree.xpath("//ul[@class='recipe']/li[@class='changed']")
    assert [words(each) for each in changed] == ["• template chatml"]


def test_doubts_before_and_after_training_stand_together_the_gravest_first(folder):
    found = gathered(folder)["findings"]
    assert [each["kind"] for each in found] == ["lost_end", "dev_loss_rises"]
    assert [each["severity"] for each in found] == ["warning", "note"]


def test_nothing_in_a_text_becomes_markup(folder):
    numbers = gathered(folder)
    numbers["answers"][0]["answer"]["text"] = NASTY
    numbers["checked"]["masks"][0]["segments"][0][0] = NASTY
    numbers["findings"][0]["sentence"] = NASTY
    numbers["facts"]["model"]["name"] = NASTY
    made = page(numbers)
    assert "<script" not in made
    assert "{{ 7 * 7 }}" in made
    assert html.document_fromstring(made).xpath("//section[@id='made-by']")


def test_a_folder_in_which_training_has_just_begun_has_a_page(tmp_path):
    folder = invented_training(tmp_path / "young", state="training", picked=None, steps=0)
    assert "llama-7b is in training after 0 of 480 steps" in write_report(folder).read_text("utf-8")


def test_a_page_needs_no_more_than_what_is_there(tmp_path):
    tmp_path.joinpath("bare").mkdir()
    assert "<h1>" in write_report(tmp_path / "bare").read_text("utf-8")


def test_a_step_that_was_not_finite_is_told_first(tmp_path):
    folder = invented_training(tmp_path / "failed", state="failed", picked=None, steps=3)
    write(folder / "failed-step.json", json.dumps({"step": 4, "rows": [{"id": "se:9"}, {"id": "se:10"}]}))
    tree = html.document_fromstring(write_report(folder).read_text("utf-8"))
    assert words(tree.find_class("lead")[0]).startswith("Step 4 was not finite")
    assert "se:9, se:10" in words(tree.find_class("lead")[0])


def test_a_rate_that_never_changes_and_one_step_alone_are_drawn(tmp_path):
    folder = invented_training(tmp_path / "one", picked=None, steps=1)
    write(folder / "metrics.jsonl", lines([{**step(1), "lr": 1e-5}]))
    assert len(html.document_fromstring(write_report(folder).read_text("utf-8")).find_class("chart")) == 5


def test_points_of_a_curve_keep_the_least_and_the_most_of_their_steps():
    steps = [{"step": at, "loss": float(at % 7)} for at in range(1, 1_001)]
    shown = points(steps, "loss", 60)
    assert len(shown) <= 60
    assert shown[0]["first"] == 1
    assert shown[-1]["last"] == 1_000
    assert {each["least"] for each in shown} == {0.0}
    assert sum(each["mean"] * (each["last"] - each["first"] + 1) for each in shown) == pytest.approx(
        sum(each["loss"] for each in steps)
    )


def test_steps_that_are_not_finite_are_no_points():
    steps = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": None}]
    assert [each["last"] for each in points(steps, "loss")] == [1]


@pytest.mark.parametrize(
    ("losses", "kind"),
    [
        ([2.0] * 40, "not_learned"),
        ([2.0 * 0.8**at for at in range(40)], "by_heart"),
        ([2.0 - at / 100 for at in range(20)] + [9.0] + [1.5 - at / 100 for at in range(20)], "spikes"),
    ],
)
def test_what_the_loss_did_is_told(losses, kind):
    steps = [{"step": at + 1, "loss": loss, "grad_norm": 0.5} for at, loss in enumerate(losses)]
    assert kind in [found["kind"] for found in about_steps(steps, {"max_grad_norm": 1.0})]


def test_a_loss_that_falls_as_it_should_raises_no_doubt():
    steps = [{"step": at + 1, "loss": 2.0 - at / 50, "grad_norm": 0.5} for at in range(60)]
    assert not list(about_steps(steps, {"max_grad_norm": 1.0}))


def test_a_model_that_only_guesses_is_told():
    steps = [{"step": at + 1, "loss": 7.6 - at / 50, "grad_norm": 0.5} for at in range(60)]
    assert [found["kind"] for found in about_steps(steps, {"max_grad_norm": 1.0}, 2048)] == ["guessing"]
    assert not list(about_steps(steps, {"max_grad_norm": 1.0}, 128_000))


def test_answers_that_do_not_end_are_told_of_the_picked_epoch_alone():
    heard = {"answers": 50, "dev_per_token": None}
    epochs = [{"epoch": 5, "ended": 10, **heard}, {"epoch": 6, "ended": 50, **heard}]
    assert [found["kind"] for found in about_epochs(epochs, 5, 2048)] == ["endless"]
    assert not list(about_epochs(epochs, 6, 2048))
    assert not list(about_epochs(epochs, None, 2048))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_a_request_and_nothing_is_wider_than_it(made, tmp_path, width):
    # The page runs no script; the one that measures it is added here, and with it the leave to run.
    watched = made.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';").replace(
        "</head>", f"<script>{MEASURE}</script></head>"
    )
    (tmp_path / "page.html").write_text(watched, "utf-8")
    frame = f'<iframe src="page.html" style="width:{width}px; height:2000px; border:0"></iframe>'
    listen = '<script>addEventListener("message", m => document.documentElement.setAttribute("data-said", m.data))'
    file = tmp_path / "frame.html"
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
    assert said["wide"] <= said["room"] == width
    assert said["out"] == []
    assert said["asked"] == 0
