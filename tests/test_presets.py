"""The shipped pipelines: they load as they are copied, and every number in them says where it comes from."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path
from xml.sax.saxutils import quoteattr

import polars as pl
import pytest
from click.testing import CliRunner

import curate
from curate.cli.init_command import command as init
from curate.runs import prepare
from curate.testing.layouts import packed
from tests.walk import prose

PRESETS = sorted(
    file.name.removesuffix(".toml")
    for file in files("curate.presets").iterdir()
    if file.name.endswith(".toml") and "[[source]]" in file.read_text("utf-8")
)
GROUPS = tomllib.loads(files("curate.presets").joinpath("site_groups.toml").read_text("utf-8"))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_loads_where_init_puts_it(preset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = CliRunner().invoke(init, [preset])
    assert written.exit_code == 0, written.output
    for source in tomllib.loads((tmp_path / f"{preset}.toml").read_text("utf-8"))["source"]:
        files_beside = source.get("categories", []) if source["use"] == "wikihow" else []
        for file in map(Path, files_beside):  # one brings them, as one brings the dumps
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    if 'use = "semantic"' in re.sub(r"(?m)^#.*", "", (tmp_path / f"{preset}.toml").read_text("utf-8")):
        pytest.importorskip("torch", reason='needs pip install "curate-sft[embed,offline]"')
    assert prepare(tmp_path / f"{preset}.toml").name == preset


@pytest.mark.parametrize("preset", PRESETS)
def test_every_number_in_a_preset_has_a_comment(preset):
    lines = files("curate.presets").joinpath(f"{preset}.toml").read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        value = re.sub(r'"[^"]*"', "", line.partition("#")[0])
        if re.search(r"=.*\d", value):
            # On the line itself, or above the lines that it stands with.
            first = number
            while "=" in lines[first].partition("#")[0]:
                first -= 1
            assert "#" in line or lines[first].startswith("#"), f"line {number + 1} has no source: {line}"


def test_quotas_of_the_presets_add_up_to_what_their_names_say():
    sizes = {}
    for preset in PRESETS:
        pipeline = tomllib.loads(files("curate.presets").joinpath(f"{preset}.toml").read_text("utf-8"))
        quotas = pipeline["select"]["quota"]
        sizes[preset] = sum(quota.get("take", 0) for quota in quotas if quota["split"] == "train")
    assert sizes["alpaca-1k"] == 1000
    assert sizes["se-lima"] == 400
    assert sizes["lima-1k"] == 1000


def test_each_site_is_in_one_group():
    sites = [site for group in GROUPS.values() for site in group]
    assert len(sites) == len(set(sites))
    assert set(GROUPS) == {"stem", "other", "drop"}


def test_sites_are_named_as_the_source_names_them():
    for group in GROUPS.values():
        for site in group:
            assert re.fullmatch(r"[a-z0-9]+(\.stackoverflow)?", site), site


@pytest.mark.parametrize(
    ("site", "group"),
    [("physics", "stem"), ("stackoverflow", "stem"), ("cooking", "other"), ("meta", "drop"), ("rus", "drop")],
)
def test_well_known_sites_are_where_one_expects_them(site, group):
    assert site in GROUPS[group]


# LIMA's Table 1 (arXiv 2305.11206), its 13 and 30 examples of safety (§2.2), and what its quotas are called here.
TABLE_1 = {
    "train": {
        "stem": 200,
        "other": 200,
        "wikihow": 200,
        "stories": 150,
        "tasks": 50,
        "authored": 187,
        "safety": 13,
    },
    "dev": {"dev-authored": 50},
    "test": {"test-askreddit": 70, "test-authored": 200, "test-safety": 30},
}
DIALOGUES = {"comments": 20, "authored-dialogues": 10}
LIMA = files("curate.presets").joinpath("lima-1k.toml").read_text("utf-8")
# The passes that need what not everybody has stay comments.
WITH_DIALOGUES = "".join(
    part if part.startswith("# [[dedup]]") else re.sub(r"(?m)^# (?=\[|[a-z_]+ += )", "", part)
    for part in re.split(r"(?m)^(?=# \[\[|\[\[|$)", LIMA)
)
SCALE = 50


def test_limas_mix_is_that_of_its_table_1():
    quotas = tomllib.loads(LIMA)["select"]["quota"]
    found = {split: {q["name"]: q["take"] for q in quotas if q["split"] == split} for split in TABLE_1}
    assert found == TABLE_1
    assert {split: sum(takes.values()) for split, takes in found.items()} == {
        "train": 1000,
        "dev": 50,
        "test": 300,
    }


def test_limas_dialogues_are_thirty_more_by_choice():
    quotas = tomllib.loads(WITH_DIALOGUES)["select"]["quota"]
    assert {q["name"]: q["take"] for q in quotas[-2:]} == DIALOGUES
    assert sum(q["take"] for q in quotas if q["split"] == "train") == 1030


def test_each_source_of_limas_mix_is_drawn_from_and_speaks_in_the_first_person_but_for_one():
    pipeline = tomllib.loads(WITH_DIALOGUES)
    names = {source.get("name", source["use"]): source for source in pipeline["source"]}
    assert {quota["from"] for quota in pipeline["select"]["quota"]} == set(names)
    assert [name for name, source in names.items() if "first_person" in source.get("filters", {})] == ["se"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A few rows for each source of the mix, at the very paths that the preset names."""
    folder = tmp_path_factory.mktemp("world")
    groups = files("curate.presets").joinpath("site_groups.toml").read_text("utf-8")
    (folder / "site_groups.toml").write_text(groups, "utf-8")
    for name in ("dumps", "wikihow", "reddit", "natural-instructions/tasks", "authored"):
        (folder / name).mkdir(parents=True)
    for number, site in enumerate(("physics", "math", "cooking", "travel")):
        _site(folder, site, 1000 * number)
    _articles(folder / "wikihow")
    _subreddits(folder)
    for number in range(3):
        task = {
            "Categories": ["Summarization"],
            "Source": ["ours"],
            "URL": [],
            "Input_language": ["English"],
            "Output_language": ["English"],
            "Instruction_language": ["English"],
            "Domains": ["News"],
            "Definition": [f"Sum up the text about {prose(number, 3)}"],
            "Positive Examples": [],
            "Negative Examples": [],
            "Instances": [
                {"id": f"task{number}-{at}", "input": prose(10 * number + at, 40), "output": [prose(at + 400, 12)]}
                for at in range(3)
            ],
        }
        file = folder / "natural-instructions" / "tasks" / f"task{number:03}_ours_summarization.json"
        file.write_text(json.dumps(task), "utf-8")
    _authored(folder / "authored")
    return folder


def _site(folder, site, first):
    posts, comments = [], []
    for number in range(first + 10, first + 100, 10):
        when = {"CreationDate": "2019-01-02T03:04:05.678", "ContentLicense": "CC BY-SA 4.0"}
        question = {"Id": number, "PostTypeId": 1, "Score": number % 7, "OwnerUserId": 1, **when}
        question |= {"Title": f"How does {prose(number, 3)} work?", "Body": f"<p>{prose(number, 30)}</p>"}
        answer = {"Id": number + 1, "PostTypeId": 2, "ParentId": number, "OwnerUserId": 2, **when}
        answer |= {"Score": 5 + number % 90, "Body": f"<p>{prose(number + 1, 300)}</p>"}
        posts += [question, answer]
        for turn in range(4):  # asker and answerer in turn, under the answer
            said = {"Id": 10 * number + turn, "PostId": number + 1, "Score": 0, "UserId": 1 + turn % 2}
            said |= {"Text": prose(number + turn, 12), "CreationDate": f"2019-01-03T0{turn}:04:05.678"}
            comments.append(said)
    (folder / site).mkdir()
    for name, rows in {"Posts": posts, "Comments": comments}.items():
        lines = [" ".join(f"{key}={quoteattr(str(value))}" for key, value in row.items()) for row in rows]
        table = "\n".join([f"<{name.lower()}>", *(f"  <row {line} />" for line in lines), f"</{name.lower()}>"])
        (folder / site / f"{name}.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{table}\n', "utf-8")
    packed(folder / site, "7z", folder / "dumps" / f"{site}.stackexchange.com.7z")


def _articles(folder):
    titles = [f"Win {prose(at, 3)}" for at in range(12)]
    tables = {
        "wikihowAll": [
            ["headline", "title", "text"],
            *([prose(at, 8), titles[at], prose(at + 700, 200)] for at in range(12)),
        ],
        "category_title_link": [
            ["Category", "Title", "Link"],
            *([f"{at % 4}-Trips" if at < 9 else "Games", titles[at], ""] for at in range(12)),
        ],
        "category_tree_en": [
            ["topic url", "topic name", "father topics", "topic description"],
            *(["", name, "['root']", ""] for name in ("Travel", "Games")),
            *(["", f"{at} Trips", "['root', 'Travel']", ""] for at in range(4)),
        ],
    }
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as table:
            csv.writer(table).writerows(rows)


def _subreddits(folder):
    submissions, comments, asked = [], [], []
    for number in range(6):
        post = {"created_utc": 1400000000 + number, "is_self": True, "stickied": False, "over_18": False}
        post |= {"score": 100 * number, "num_comments": 1, "selftext": "", "author": f"asker{number}"}
        story = {"subreddit": "WritingPrompts", "id": f"w{number}", "title": f"[WP] {prose(number, 10)}"}
        submissions.append(post | story | {"permalink": f"/r/WritingPrompts/comments/w{number}/a/"})
        answer = {"id": f"c{number}", "link_id": f"t3_w{number}", "parent_id": f"t3_w{number}", "score": number}
        answer |= {"created_utc": 1400000900, "author": f"writer{number}", "subreddit": "WritingPrompts"}
        comments.append(answer | {"body": "I said so. " + prose(number + 40, 150)})
        question = {"subreddit": "AskReddit", "id": f"q{number}", "title": f"What is {prose(number + 60, 8)}?"}
        asked.append(post | question | {"permalink": f"/r/AskReddit/comments/q{number}/a/"})
    named = {"WritingPrompts_submissions": submissions, "WritingPrompts_comments": comments}
    for name, rows in (named | {"AskReddit_submissions": asked}).items():
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        packed(folder / name, "zst", folder / "reddit" / f"{name}.zst")


def _authored(folder):
    for part, count in {"train": 12, "test": 8, "dialogues": 2}.items():
        (folder / part).mkdir()
        for number in range(count):
            asked = f"=== user ===\n{part} {number}: {prose(number, 9)}\n"
            said = f"=== assistant ===\n{prose(100 * len(part) + number, 30)}\n"
            text = {"train": asked + said, "test": asked, "dialogues": asked + said + asked + said}[part]
            domain = 'domain = "safety"\n' if number % 4 == 0 and part != "dialogues" else ""
            (folder / part / f"{number}.md").write_text(f"+++\n{domain}+++\n{text}", "utf-8")


def scaled(pipeline):
    """The pipeline with a fiftieth of each quota, at least one."""
    return re.sub(r"(?m)^take = (\d+)", lambda found: f"take = {max(1, int(found[1]) // SCALE)}", pipeline)


@pytest.fixture(scope="module")
def drawn(world):
    """The preset's run on the small world, and which quota drew what."""
    (world / "lima-1k.toml").write_text(scaled(LIMA), "utf-8")
    run = curate.run(world / "lima-1k.toml", runs=world / "runs", workers=1)
    picks = run.table("picks").collect()
    return run, run.records.collect().join(picks.drop_nulls("split"), on="id")


def test_limas_mix_is_drawn_from_end_to_end(drawn):
    run, rows = drawn
    expected = {name: max(1, take // SCALE) for takes in TABLE_1.values() for name, take in takes.items()}
    assert Counter(rows["quota"]) == expected, [each["sentence"] for each in run.manifest["facts"]["shortages"]]
    assert run.manifest["facts"]["shortages"] == []
    assert run.verify() == []


def test_limas_mix_keeps_its_sources_apart(drawn):
    _, rows = drawn
    shares = {quota: frame for (quota,), frame in rows.partition_by("quota", as_dict=True).items()}
    assert set(shares["stem"]["domain"]) <= {"physics", "math"}
    assert set(shares["other"]["domain"]) <= {"cooking", "travel"}
    assert Counter(shares["wikihow"]["domain"]) == {"Travel": 2, "Games": 2}, (
        "categories alike, whatever their size"
    )
    assert shares["stories"]["response"].str.starts_with("I said so.").all(), (
        "first person is a fault in one source"
    )
    writers = [
        work["author"] for works in shares["stories"]["works"] for work in works if work["part"] == "response"
    ]
    assert len(set(writers)) == len(writers) == 3
    assert shares["test-askreddit"]["response"].null_count() == 1
    assert set(shares["safety"]["domain"]) == set(shares["test-safety"]["domain"]) == {"safety"}
    assert set(shares["authored"]["domain"]) == {"general"}
    assert rows.filter(split="train")["response"].null_count() == 0


def test_limas_mix_runs_with_its_dialogues(world, drawn):
    del drawn  # what it has read is not read again
    named = scaled(WITH_DIALOGUES).replace('name = "lima-1k"', 'name = "with-dialogues"')
    (world / "dialogues.toml").write_text(named, "utf-8")
    run = curate.run(world / "dialogues.toml", runs=world / "runs", workers=1)
    picks = run.table("picks").collect().drop_nulls("split")
    dialogues = run.records.collect().join(picks.filter(pl.col("quota").is_in(list(DIALOGUES))), on="id")
    assert dialogues.height == len(DIALOGUES)
    assert run.manifest["facts"]["shortages"] == []
    assert (dialogues["history"].list.len() > 0).all()


def test_limas_mix_runs_without_a_source_that_one_does_not_have(world):
    blocks = re.split(r"(?m)^(?=\[\[)", scaled(LIMA))
    rest = [block for block in blocks if 'name = "askreddit"' not in block and 'from = "askreddit"' not in block]
    assert len(rest) == len(blocks) - 2
    (world / "rest.toml").write_text("".join(rest), "utf-8")
    assert {quota.source for quota in prepare(world / "rest.toml").quotas} >= {"se", "authored-test"}
