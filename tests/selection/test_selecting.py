"""Orders on vectors and splits of what is alike, in whole runs; an embedding is the angle a text ends with."""

import json
from importlib.util import find_spec

import polars as pl
import pytest

import curate
from curate.errors import PipelineError, PluginError
from curate.runs import prepare

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason='needs pip install "curate-sft[embed]"')

PIPELINE = """
name = "s"
[[source]]
use = "jsonl"
path = "rows.jsonl"
license = "CC0-1.0"
"""


@pytest.fixture
def prepared(tmp_path):
    def prepare(pipeline, angles=(0, 3, 40, 41, 90, 170)):
        rows = [{"id": f"{angle}", "prompt": f"turn by {angle}", "response": f"r {angle}"} for angle in angles]
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "s.toml").write_text(PIPELINE + pipeline)
        return tmp_path / "s.toml"

    return prepare


@pytest.fixture
def chosen(prepared, embedded, tmp_path):  # noqa: ARG001 - the embedding is put in place
    def run(pipeline, **given):
        return curate.run(prepared(pipeline, **given), runs=tmp_path / "runs")

    return run


def ids(run, split="train"):
    return [id.removeprefix("jsonl:") for id in run.split(split)["id"]]


def test_k_center_in_a_pipeline_takes_what_is_apart(chosen):
    quota = '[[select.quota]]\nfrom = "jsonl"\ntake = {}\nprefer = "k_center"\n'
    three, four = (ids(chosen(quota.format(take))) for take in (3, 4))
    assert four[:3] == three
    near = [{"0", "3"}, {"40", "41"}]
    assert all(len(pair & set(four)) == 1 for pair in near)


def test_an_order_is_named_with_its_parameters_in_plan_manifest_and_report(chosen):
    prefer = '{ use = "score_first", by = "longest", max_cosine = 0.9, on = "prompt" }'
    run = chosen(f'[[select.quota]]\nfrom = "jsonl"\nprefer = {prefer}\n')
    assert sorted(ids(run)) == ["0", "170", "40", "90"] or len(ids(run)) == 4
    plain = run.manifest["pipeline"]["quotas"][0]["prefer"]
    assert plain == {"use": "score_first", "by": "longest", "max_cosine": 0.9, "on": "prompt"}
    (quota,) = run.numbers["selection"]["quotas"]
    assert quota["prefer"] == "score_first (by = longest, max_cosine = 0.9, on = prompt)"
    whys = run.ledger.filter(state="not drawn").collect()["detail"].unique().to_list()
    assert whys == ["cosine above 0.9 to one before it"]


def test_vectors_are_of_the_text_that_is_asked_for_and_made_once(chosen, embedded):
    prefer = '[[select.quota]]\nfrom = "jsonl"\ntake = 2\nprefer = {{ use = "k_center", on = "{}" }}\n'
    chosen(prefer.format("response"))
    assert sorted(set(embedded)) == sorted(f"r {angle}" for angle in (0, 3, 40, 41, 90, 170))
    assert len(embedded) == 6
    embedded.clear()
    chosen(prefer.format("response").replace("take = 2", "take = 4"))
    assert embedded == []


def test_controls_compare_by_the_vectors_that_the_pipeline_makes(chosen):
    run = chosen(
        '[[select.quota]]\nfrom = "jsonl"\ntake = 3\nprefer = "k_center"\n', angles=tuple(range(0, 178, 3))
    )
    found = run.numbers["controls"]
    assert [each["name"] for each in found["sets"]] == ["selection", "random", "longest", "clusters"]
    distance = next(each for each in found["metrics"] if each["name"] == "nearest_distance")
    assert distance["model"] == "embedding of message"
    assert distance["percentile"] == 100
    assert len(run.numbers["map"]["points"]) == 60


def test_without_vectors_none_are_made_for_the_report(chosen, embedded):
    run = chosen('[[select.quota]]\nfrom = "jsonl"\ntake = 3\n')
    assert embedded == []
    assert run.numbers["map"] is None
    assert {each["name"] for each in run.numbers["controls"]["sets"]} == {"selection", "random", "longest"}


def test_the_report_may_ask_for_vectors(chosen, embedded):
    run = chosen('[select]\nquota = [{ from = "jsonl", take = 3 }]\n[report]\nembedding = "prompt"\n')
    assert sorted(set(embedded)) == sorted(f"turn by {angle}" for angle in (0, 3, 40, 41, 90, 170))
    assert run.numbers["map"]["model"] == "embedding of prompt"


APART = """
[[dedup]]
use = "semantic"
on = "prompt"
threshold = 0.999
floor = 0.9
keep = ["native_order"]
[select]
apart = {}
quota = [
    {{ from = "jsonl", split = "test", take = 1, prefer = "native" }},
    {{ from = "jsonl" }},
]
"""


@needs_torch
def test_near_duplicates_that_were_stored_stay_on_one_side(chosen):
    run = chosen(APART.format(0.95))
    assert ids(run, "test") == ["0"]
    assert sorted(ids(run)) == ["170", "40", "90"] or "3" not in ids(run)
    detail = run.ledger.filter(id="jsonl:3").collect()["detail"].item()
    assert "what it is like is in test" in detail


@needs_torch
def test_without_apart_only_listed_pairs_keep_together(chosen):
    assert "3" in ids(chosen(APART.format(0.95).replace("apart = 0.95\n", "")))


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("[select]\napart = 0.8\n", "near-duplicates of similarity 0.8 are not looked for"),
        (APART.format(0.5), "near-duplicates of similarity 0.5 are not looked for"),
        (
            '[[select.quota]]\nfrom = "jsonl"\nprefer = { use = "k_center", on = "nothing" }\n',
            "have no text 'nothing'",
        ),
        ('[report]\nembedding = "nothing"\n', "have no text 'nothing'"),
        ('[[select.quota]]\nfrom = "jsonl"\nprefer = { max_cosine = 0.9 }\n', "the order is not named"),
        ('[[select.quota]]\nfrom = "jsonl"\nprefer = { use = "random", k = 3 }\n', "there is no key 'k' here"),
        (
            '[[select.quota]]\nfrom = "jsonl"\nprefer = { use = "score_first", max_cosine = 2 }\n',
            "'max_cosine' is",
        ),
        ('[report]\ntokenizer = "none.json"\n', "there is no file or folder 'none.json'"),
        ('[licence]\nalso = ["Foo"]\n', "`also` says nothing without a policy"),
        ('[licence]\npolcy = "commercial"\n', "`polcy` says nothing without a policy"),
        ('[licence]\npolicy = "comercial"\n', "no policy on licences is called 'comercial'"),
        (
            '[source.filters]\nlicense_forbids = false\n[licence]\npolicy = "commercial"\n',
            "this one has a rule 'license_forbids' of its own",
        ),
        ('[[select.quota]]\nname = "a thread is in test"\nfrom = "jsonl"\n', "cannot be a name"),
    ],
)
def test_what_cannot_be_meant_stops_before_anything_is_read(prepared, pipeline, said):
    with pytest.raises(PipelineError, match=said):
        prepare(prepared(pipeline))


def test_an_unknown_order_is_answered_with_the_nearest_and_the_line(prepared):
    with pytest.raises(PluginError, match="did you mean 'k_center'") as raised:
        prepare(prepared('[[select.quota]]\nfrom = "jsonl"\nprefer = "k_centre"\n'))
    assert "line 9, key select.quota[0].prefer" in str(raised.value)


def test_a_policy_on_licences_is_a_rule_of_every_source(prepared, tmp_path):
    run = curate.run(prepared('[licence]\npolicy = "commercial"\n'), runs=tmp_path / "runs")
    assert len(run.split()) == 6
    file = tmp_path / "s.toml"
    file.write_text(file.read_text().replace("CC0-1.0", "CC-BY-NC-4.0"))
    run = curate.run(file, runs=tmp_path / "runs")
    assert run.ledger.select(pl.col("detail").unique()).collect().item() == "license_forbids"
    assert run.manifest["pipeline"]["licence"] == {"policy": "commercial"}
