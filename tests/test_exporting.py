"""All forms of a set together: refused before writing, counted, and described by a card that its readers read."""

import json

import pytest

import curate
from curate import registry
from curate.errors import CurateError, PipelineError
from curate.export.card import card, configs, size_category
from curate.export.card_marks import code, prose
from curate.export.checks import finding
from curate.exporting import check, export, languages_of, write_cards
from curate.pipeline import Call
from curate.record import records
from tests.export.conftest import DIALOGUE, PLAIN, QUESTION, TOOLS

FORMS = ("messages", "prompt_completion", "sharegpt", "llama_factory", "axolotl", "openai", "hugging_face")


def asked(folder, *forms):
    plugins = [registry.get("exports", form) for form in forms]
    resolved = [registry.resolved(registry.parameters(plugin)()) for plugin in plugins]
    return [
        (Call(form, plugin, given), folder / form)
        for form, plugin, given in zip(forms, plugins, resolved, strict=True)
    ]


def frames(**rows):
    return lambda split: iter([records(rows.get(split, []))])


def written(asked, frames, folder, *, name, strict=False):
    """Look a set over and write it."""
    sound = check([call for call, _ in asked], frames, strict=strict)
    return export(asked, frames, folder, name=name, sound=sound)


def many(count):
    return [{**PLAIN, "id": f"a:{n}", "prompt": f"Name prime number {n}."} for n in range(10, 10 + count)]


def test_every_form_is_written_counted_and_digested(tmp_path):
    rows = {"train": many(12), "dev": [PLAIN], "test": [QUESTION]}
    done = written(asked(tmp_path, *FORMS), frames(**rows), tmp_path, name="small")
    data = {each["file"]: each["rows"] for each in done.files if each["split"] and ".ids." not in each["file"]}
    assert data["messages/train.jsonl"] == data["hugging_face/data/train-00000-of-00001.parquet"] == 12
    assert data["messages/test.jsonl"] == 1
    assert "openai/test.jsonl" not in data
    beside = {each["file"] for each in done.files if each["split"] is None}
    assert {f"{form}/LOADING.md" for form in FORMS} <= beside
    assert {each["rows"] for each in done.files if each["split"] is None} == {None}
    assert all((tmp_path / each["file"]).stat().st_size == each["bytes"] for each in done.files)
    assert sorted(each["file"] for each in done.files) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_rows_of_a_split_are_those_of_all_its_files_and_of_one_form(tmp_path, monkeypatch):
    told = []
    for form in ("hugging_face", "messages", "prompt_completion"):
        plugin = registry.get("exports", form)
        monkeypatch.setitem(vars(plugin), "finish", lambda _, written: told.append(dict(written.rows)) or [])
    rows = many(7)

    def split_in_frames(split):
        return (records(rows[at : at + 3]) for at in range(0, 7, 3)) if split == "train" else iter([records([])])

    written(asked(tmp_path, "hugging_face", "messages", "prompt_completion"), split_in_frames, tmp_path, name="s")
    assert len(list((tmp_path / "hugging_face" / "data").glob("train-*.parquet"))) == 3
    assert told == [{"train": 7}] * 3


def test_the_same_set_gives_the_same_bytes(tmp_path):
    rows = {"train": many(3), "dev": [DIALOGUE]}
    one, two = (
        written(asked(tmp_path / name, *FORMS), frames(**rows), tmp_path / name, name="small")
        for name in ("a", "b")
    )
    assert one == two


@pytest.mark.parametrize(
    ("form", "row", "said"),
    [
        ("alpaca", DIALOGUE, "a system message: 1 of them, such as a:3"),
        ("alpaca", TOOLS, "earlier turns: 1 of them, such as a:5"),
        ("sharegpt", TOOLS, "turns of tools"),
        ("openai", TOOLS, "turns of tools"),
        ("prompt_completion", QUESTION, "no response"),
    ],
)
def test_what_a_form_has_no_place_for_is_refused_before_anything_is_written(tmp_path, form, row, said):
    with pytest.raises(CurateError, match=rf"`{form}` has no place for records with {said}"):
        written(asked(tmp_path, "messages", form), frames(train=[PLAIN, row]), tmp_path, name="small")
    assert list(tmp_path.iterdir()) == []


def test_prompts_without_a_response_are_left_out_where_they_have_no_place_and_counted(tmp_path):
    done = written(
        asked(tmp_path, "messages", "axolotl"), frames(train=[PLAIN], test=[QUESTION]), tmp_path, name="s"
    )
    (note,) = done.findings
    assert (note["kind"], note["severity"], note["rows"], note["examples"]) == ("left_out", "note", 1, ["a:4"])
    assert note["sentence"].startswith(
        "In test, 1 prompt has no response; forms that need one are without them: `axolotl`"
    )
    assert (tmp_path / "messages" / "test.jsonl").exists()
    assert not (tmp_path / "axolotl" / "test.jsonl").exists()


def test_a_reader_that_asks_for_more_rows_is_named(tmp_path):
    done = written(asked(tmp_path, "openai"), frames(train=many(9)), tmp_path, name="small")
    assert [each["sentence"] for each in done.findings] == [
        "`openai`: its reader asks for 10 rows at least, and train has 9."
    ]
    assert written(asked(tmp_path, "openai"), frames(train=many(10)), tmp_path, name="small").findings == []
    with pytest.raises(PipelineError, match="asks for 10 rows at least"):
        written(asked(tmp_path, "openai"), frames(train=many(9)), tmp_path, name="small", strict=True)


def test_strict_makes_a_warning_an_error_and_leaves_notes(tmp_path):
    marked = {**PLAIN, "response": "Four.<|im_end|>"}
    calls = asked(tmp_path, "messages")
    with pytest.raises(PipelineError, match=r"(?s)faults, and the pipeline is strict.*<\|im_end\|> in 1.*next:"):
        written(calls, frames(train=[marked]), tmp_path, name="small", strict=True)
    assert list(tmp_path.iterdir()) == []
    (finding,) = written(calls, frames(train=[marked]), tmp_path, name="small").findings
    assert finding["severity"] == "warning"
    long = {**PLAIN, "response": "x" * 5_000}
    (finding,) = written(calls, frames(train=[long]), tmp_path, name="small", strict=True).findings
    assert finding["kind"] == "long"


def test_languages_are_those_that_are_kept_or_declared():
    def source(name, language, *keep):
        rules = [{"use": "wrong_language", "keep": each, "lifted": False} for each in keep]
        return {"name": name, "language": language, "rules": rules}

    pipeline = {"sources": [source("a", None, ["en", "de"]), source("b", "fr"), source("c", None)]}
    assert languages_of(pipeline, "abc") == ["de", "en", "fr"]
    assert languages_of(pipeline, "bc") == ["fr"]
    assert languages_of(pipeline, "c") == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (52_002, "10K<n<100K"),
        (10**6, "1M<n<10M"),
        (10**14, "n>1T"),
    ],
)
def test_sizes_are_named_as_on_the_hub(rows, said):
    assert size_category(rows) == said


PIPELINE = """
name = "cards"

[[source]]
use = "jsonl"
name = "mine"
path = "rows.jsonl"
license = "CC-BY-SA-4.0"
language = "en"

[filters]
too_short = { min_chars = 4 }

[[dedup]]
use = "exact"
on = "response"

[[select.quota]]
from = "mine"
split = "dev"
take = 2

[[select.quota]]
from = "mine"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of a small pipeline."""
    folder = tmp_path_factory.mktemp("cards")
    rows = [{"id": str(n), "prompt": f"What is {n}?", "response": f"A number | {n} <b>."} for n in range(20)]
    rows.append({"id": "short", "prompt": "And 20?", "response": "No."})
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    (folder / "cards.toml").write_text(PIPELINE, "utf-8")
    return curate.run(folder / "cards.toml", runs=folder / "runs")


@pytest.fixture
def carded(run, tmp_path):
    """The run's set in some forms with its cards: the folder, what was written, and the names of the cards."""
    calls = asked(tmp_path, "messages", "prompt_completion", "axolotl", "hugging_face")
    done = written(calls, lambda split: iter([run.split(split)]), tmp_path, name=run.name)
    names = write_cards(tmp_path, run.numbers, run.manifest["pipeline"], done, beside=["ATTRIBUTION.jsonl"])
    return tmp_path, done, names


def test_the_hub_understands_the_card(carded):
    hub = pytest.importorskip("huggingface_hub")
    folder, _, names = carded
    assert names == ["README.md", "hugging_face/README.md"]
    data = hub.DatasetCard.load(folder / "README.md").data.to_dict()
    assert isinstance(hub.DatasetCardData(**data), hub.DatasetCardData)
    assert (data["language"], data["license"], data["size_categories"]) == (["en"], "cc-by-sa-4.0", ["n<1K"])
    assert (data["pretty_name"], data["task_categories"]) == ("cards", ["text-generation"])
    assert data["source_datasets"] == ["extended|other-mine"]
    # axolotl's rows are those of messages; the folder for the hub has a card of its own
    assert [each["config_name"] for each in data["configs"]] == ["messages", "prompt_completion"]
    inner = hub.DatasetCard.load(folder / "hugging_face" / "README.md").data.to_dict()
    assert [each["config_name"] for each in inner["configs"]] == ["chat", "prompt_completion", "metadata"]


@pytest.mark.filterwarnings("ignore")
def test_datasets_loads_by_the_card_what_was_written(carded, monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    folder, _, _ = carded
    for where in (folder, folder / "hugging_face"):
        data = datasets.load_dataset(str(where), cache_dir=str(tmp_path / "cache"))
        assert {split: len(rows) for split, rows in data.items()} == {"train": 18, "validation": 2}


def test_the_card_says_what_was_done_with_counts(carded):
    folder, _, _ = carded
    said = (folder / "README.md").read_text("utf-8")
    for line in (
        "| `too_short` | Text with fewer than `min_chars` characters. | 21 | 1 |",
        "| `exact` | response | each other | 0 |",
        "| mine-train | train | mine |  | random | all | 18 |",
        "| CC-BY-SA-4.0 | 18 | 2 | 0 | 20 |",
        "| rejected by rules on text | 1 | 20 |",
        "`ATTRIBUTION.jsonl` names the author",
        "`curate run cards.toml` with seed 13",
        "| `axolotl` | `axolotl/` |",
    ):
        assert line in said, line
    assert str(folder) not in said


def test_the_card_shows_the_set_beside_chance_where_that_was_measured(run):
    metric = {"title": "Compression", "unit": "", "values": {"selection": 0.5, "longest": 0.25}}
    controls = {
        "split": "train",
        "draws": 20,
        "pool": 1000,
        "length": {"sentence": "It is longer."},
        "metrics": [
            {**metric, "band": {"low": 0.4, "median": 0.45, "high": 0.6}},
            {**metric, "title": "Verbs", "unit": "bits", "band": {"low": 0.1, "median": 0.2, "high": 0.4}},
            {**metric, "title": "Unknown", "band": None},
        ],
    }
    said = card({**run.numbers, "controls": controls}, [])
    assert "Beside 20 random sets of the same size from the same 1,000 records" in said
    assert "outside the middle nine tenths of the draws in 1 of 2 metrics" in said
    assert "| Verbs (bits) | 0.5 | 0.2 (0.1 to 0.4) | 0.25 |" in said
    assert "Compression" not in said
    assert "It is longer." in said
    assert "random sets" not in card({**run.numbers, "controls": {**controls, "draws": 0}}, [])


def test_nothing_in_a_card_is_html_or_breaks_a_table(run):
    alerts = ["<script>alert(1)</script>", "two\nlines"]
    said = card({**run.numbers, "name": "a <b> | c", "alerts": alerts}, [])
    assert "<script>" not in said
    assert "- two lines" in said
    assert "# a &lt;b> &#124; c" in said


NASTY = (
    "![p](https://evil.example/t.png)",
    "[a](https://evil.example)",
    "a`![p](https://evil.example/t.png)",
    "``![p](https://evil.example/t.png)`",
    "a|b`|![p](https://evil.example/t.png)|`",
    "\\`a` \\| ![p](https://evil.example/t.png) \\",
    "a\n\n![p](https://evil.example/t.png)\n\n# b",
    "<img src=https://evil.example/t.png>&#33;&lbrack;",
    "![p][r]\n\n[r]: https://evil.example/t.png",
    "<https://evil.example> **b** _c_ ~~d~~",
)


@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_that_comes_from_data_is_markup_in_a_card(run, nasty):
    markdown_it = pytest.importorskip("markdown_it")
    given = run.numbers
    rule = {**given["rules"][0], "name": nasty, "summary": nasty}
    inputs = [{**given["made_by"]["inputs"][0], "input": nasty, "source": nasty}]
    numbers = {
        **given,
        "name": nasty,
        "rules": [rule],
        "alerts": [nasty, f"said of `a`, {nasty} and `b`"],
        "made_by": {**given["made_by"], "command": f"curate run {nasty}", "inputs": inputs},
        "domains": [{**row, "source": nasty} for row in given["domains"]],
        "licenses": [{**row, "license": nasty} for row in given["licenses"]],
        "licensing": {"conflicts": [nasty]},
    }
    findings = [finding("roles", "warning", 1, [nasty], "user and assistant do not take turns in 1 record")]
    files = [{"file": f"{nasty}/train.jsonl", "form": "messages", "split": "train", "rows": 1}]
    said = card(numbers, files, languages=[nasty], findings=findings).split("---\n", 2)[2]
    tokens = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(said)
    flat = [each for token in tokens for each in (token, *(token.children or ()))]
    kinds = {each.type for each in flat}
    assert not kinds & {"image", "link_open", "html_inline", "html_block", "strong_open", "em_open", "s_open"}
    assert [each.tag for each in flat if each.type == "heading_open"].count("h1") == 1
    inline = [token for token in tokens if token.type == "inline"]
    assert any("evil.example" in token.content for token in inline)
    assert not [
        token.content
        for token in inline
        if "](http" in token.content and "code_inline" not in {each.type for each in token.children}
    ]


@pytest.mark.parametrize("nasty", NASTY)
def test_what_a_card_quotes_reads_as_it_stands(nasty):
    markdown_it = pytest.importorskip("markdown_it")
    read = markdown_it.MarkdownIt("commonmark", {"html": True})
    line = " ".join(nasty.split())
    for made in (code(nasty), prose(nasty.replace("`", "'"))):
        (token,) = [each for each in read.parse(f"x {made}") if each.type == "inline"]
        text = "".join(each.content for each in token.children)
        assert text.replace("'", "`") == f"x {line}"


def test_a_split_without_rows_is_no_configuration():
    files = [
        {"file": "train.jsonl", "form": "messages", "split": "train", "rows": 0},
        {"file": "train.ids.jsonl", "form": "messages", "split": "train", "rows": 0},
        {"file": "dev.jsonl", "form": "messages", "split": "dev", "rows": 2},
        {"file": "LOADING.md", "form": "messages", "split": None, "rows": None},
    ]
    assert configs(files) == {"messages": {"validation": "dev.jsonl"}}
    assert configs([]) == {}


def test_the_sources_on_the_hub_are_named_as_there(run):
    url = "https://huggingface.co/datasets/tatsu-lab/alpaca/resolve/main/data.parquet"
    inputs = [{**given, "origin": {"url": url}} for given in run.numbers["made_by"]["inputs"]]
    said = card({**run.numbers, "made_by": {**run.numbers["made_by"], "inputs": inputs}}, [])
    assert "source_datasets:\n  - tatsu-lab/alpaca\n" in said


@pytest.mark.real
def test_the_52k_are_written_in_every_form(real_data, tmp_path):
    rows = json.loads((real_data / "self_instruct" / "alpaca_data.json").read_text("utf-8"))
    frame = records(
        {"id": f"a:{n}", "prompt": row["instruction"], "context": row["input"], "response": row["output"]}
        for n, row in enumerate(rows)
        if row["output"].strip()
    )
    done = written(
        asked(tmp_path, *FORMS, "alpaca"),
        lambda split: iter([frame] if split == "train" else [frame[:0]]),
        tmp_path,
        name="alpaca",
    )
    data = [each for each in done.files if each["split"] == "train"]
    assert {each["rows"] for each in data} == {len(frame)}
    assert {each["kind"] for each in done.findings} <= {"long", "template_markers", "control_characters"}


def test_a_run_vouches_for_every_form_and_a_form_that_is_dropped_leaves_nothing(tmp_path):
    rows = [{"id": str(n), "prompt": f"What is {n}?", "response": f"A number, {n}."} for n in range(5)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    exports = ('use = "messages"', 'use = "hugging_face"\nforms = ["chat", "alpaca"]', 'use = "llama_factory"')
    file = tmp_path / "cards.toml"
    file.write_text(PIPELINE + "".join(f"\n[[export]]\n{export}\n" for export in exports), "utf-8")
    run = curate.run(file, runs=tmp_path / "runs")
    assert run.verify() == []
    formats = run.path / "formats"
    assert (formats / "hugging_face" / "alpaca" / "train-00000-of-00001.parquet").exists()
    assert (formats / "hugging_face" / "README.md").read_text("utf-8").startswith("---\npretty_name: cards\n")
    named = {each["file"]: each["rows"] for each in run.manifest["facts"]["exports"]}
    assert named["formats/llama_factory/dataset_info.json"] is None
    assert named["formats/llama_factory/train.jsonl"] == 3
    file.write_text(PIPELINE, "utf-8")
    assert curate.run(file, runs=tmp_path / "runs").verify() == []
    assert [path for path in formats.rglob("*") if path.is_file()] == []
