"""The linter of people's own examples: what it finds, where, how grave it is, and what it leaves alone."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from curate.cli import cli
from curate.errors import CurateError, SourceError
from curate.lint import MOST_TOKENS, lint

HEAD = '+++\nauthor = "A"\nlicense = "CC0-1.0"\n+++\n'  # four lines


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files below the current folder."""
    monkeypatch.chdir(tmp_path)

    def write_files(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, "utf-8")
        return tmp_path

    return write_files


@pytest.fixture
def found(write):
    """The findings about one example with these texts, as (line, level, what)."""

    def find(prompt="A question?", answer="An answer.", head=HEAD):
        folder = write({"a.md": f"{head}=== user ===\n{prompt}\n=== assistant ===\n{answer}\n"})
        linted = lint([folder / "a.md"])
        assert linted.examples == 1
        return [(finding.line, finding.level, finding.what) for finding in linted.findings]

    return find


def test_a_sound_example_has_no_findings(found):
    assert found("What is rye?\n\nIn one word: a\u00a0grass? \N{WOMAN}\u200d\N{PERSONAL COMPUTER}") == []


@pytest.mark.parametrize(
    ("prompt", "answer", "line", "level", "what"),
    [
        ("A\n\x08?", "b", 7, "error", "a control character (U+0008) in the user's turn"),
        ("a?", "b\n\nc\x1b[31m", 10, "error", "a control character (U+001B) in the assistant's turn"),
        ("a\u202eb?", "b", 6, "error", "right-to-left override (U+202E) in the user's turn"),
        ("a\ufffdb?", "b", 6, "error", "replacement character (U+FFFD) in the user's turn"),
        ("a?", "b\ufeff", 8, "error", "zero width no-break space (U+FEFF) in the assistant's turn"),
        ("a?", "b\ncafe\u0301", 9, "note", "an accent that is a character of its own in the assistant's turn"),
        ("a?", "b \nc", 8, "note", "a line that ends in spaces in the assistant's turn"),
        ("a?", "b\nc \nd\t\ne", 9, "note", "2 lines that end in spaces in the assistant's turn"),
        ("  a?", "b", 6, "note", "a first line that begins with spaces in the user's turn"),
        ("a?", "b\nc\td", 9, "note", "a tab outside of code in the assistant's turn"),
        ("a?", "b\n```\ncode", 9, "note", "a code block that is not closed in the assistant's turn"),
        ("Sum this up:\n\nIt rains,", "b", 8, "note", "the prompt ends in ',', as if something were to follow"),
        ("Sum this text up:", "b", 6, "note", "the prompt ends in ':', as if something were to follow"),
        ("a?", "As an AI language model, no.", 8, "note", "the answer's opening speaks of itself as an AI"),
        ("a?", "\n**I’d say** so.", 9, "note", "the answer's opening is in the first person"),
    ],
)
def test_a_finding_is_named_with_its_line(found, prompt, answer, line, level, what):
    assert (line, level, what) in found(prompt, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "```make\nall:\n\tcc a.c\n```",
        "~~~\n```\n\ta\tb\n~~~\nDone.",
        "````\n```\n````",
        "\tcode\tby indentation\n    a\tb",
        "I/O is slow. In Rome, as an AI might say, it is not.",
        "Caf\u00e9, na\u00efve, \u0e01\u0e33",
    ],
)
def test_what_is_meant_is_left_alone(found, answer):
    assert [finding for finding in found(answer="Here:\n\n" + answer) if finding[1] == "error"] == []
    assert [what for _, _, what in found(answer="Here:\n\n" + answer)] == []


def test_too_long_is_told_by_the_whole_conversation(found):
    most = MOST_TOKENS * 4
    assert found("a" * (most // 2), "b" * (most // 2)) == []
    [(line, level, what)] = found("a" * (most // 2), "b" * (most // 2 + 1))
    assert (line, level) == (6, "note")
    assert what == "8,193 characters are about 2,048 tokens, at 4 characters each"


def test_a_prompt_twice_in_the_set_is_an_error_whatever_its_case_and_spaces(write):
    folder = write(
        {
            "train/a.md": f"{HEAD}=== user ===\nWhat is rye?\n=== assistant ===\nA grass.\n",
            "test/b.md": f"{HEAD}=== user ===\nwhat  is\nRYE?\n",
            "test/c.md": f"{HEAD}=== system ===\nBe kind.\n=== user ===\nWhat is rye?\n",
        }
    )
    [finding] = lint([folder / "train", folder / "test"]).findings
    assert (finding.file, finding.line, finding.level) == (str(folder / "test/b.md"), 6, "error")
    assert finding.what == f"the prompt of {folder / 'train/a.md'}:6 once more"


def test_an_id_twice_in_the_set_is_an_error_also_where_it_comes_from_the_name(write):
    folder = write(
        {
            "one/mine/a.md": f"{HEAD}=== user ===\nOne?\n",
            "two/mine/a.md": f"{HEAD}=== user ===\nTwo?\n",
            "two/b.md": HEAD.replace("author", "id = 'x'\nauthor") + "=== user ===\nThree?\n",
            "rows.jsonl": '{"id": "x", "prompt": "Four?", "author": "A", "license": "MIT"}\n',
        }
    )
    linted = lint([folder / "one/mine", folder / "two/mine", folder / "two/b.md", folder / "rows.jsonl"])
    assert {finding.what.partition(" is that")[0] for finding in linted.findings} == {
        "the id 'mine/a'",
        "the id 'x'",
    }


def test_what_no_example_says_is_one_note_for_the_set(write):
    folder = write({f"{name}.md": f"=== user ===\n{name}?\n" for name in "abc"})
    linted = lint([folder])
    assert [(finding.level, finding.what) for finding in linted.findings] == [
        ("note", "3 of 3 examples do not say under which licence they are"),
        ("note", "3 of 3 examples do not say who wrote them"),
    ]


def test_faults_that_stand_in_the_way_of_reading_are_errors_each_with_its_line(write):
    folder = write({"a.md": "+++\nlicence = 'MIT'\n+++\n=== user ===\n\n", "b.md": "no mark\n"})
    linted = lint([folder])
    assert [(finding.line, finding.level, finding.what) for finding in linted.findings] == [
        (2, "error", "there is no key 'licence' here"),
        (4, "error", "the user's turn is empty"),
        (1, "error", "no turn is marked"),
    ]
    assert (linted.examples, linted.errors) == (0, 3)


def test_rows_are_found_by_their_lines(write):
    good = {"author": "A", "license": "MIT"}
    lines = [
        json.dumps(good | {"prompt": "One?\n\nIt goes on\x07"}),
        "",
        "{broken",
        json.dumps(good | {"response": "b"}),
    ]
    folder = write({"rows.jsonl": "\n".join(lines) + "\n"})
    assert [
        (finding.line, finding.what.partition(" at byte")[0]) for finding in lint([folder / "rows.jsonl"]).findings
    ] == [
        (1, "a control character (U+0007) in the user's turn"),
        (3, "invalid JSON"),
        (4, "the first turn is the assistant's"),
    ]


def test_rows_of_an_array_are_found_by_their_lines_too(write):
    rows = [{"prompt": f"{number}?", "author": "A", "license": "MIT"} for number in range(3)]
    rows[2]["output"] = "x"
    folder = write({"rows.json": json.dumps(rows, indent=1)})
    [finding] = lint([folder / "rows.json"]).findings
    assert (folder / "rows.json").read_text().split("\n")[finding.line - 1].strip() == "{"
    assert finding.line == 12


def test_what_lies_among_the_examples_and_is_not_read_is_said_but_for_a_readme(write):
    folder = write({"a.md": f"{HEAD}=== user ===\na?\n", "README.md": "About.", "b.jsonl": "{}", ".hidden": ""})
    [finding] = lint([folder]).findings
    assert (finding.file, finding.level) == (str(folder / "b.jsonl"), "note")


def test_a_file_that_is_given_twice_is_looked_at_once(write):
    folder = write({"a.md": f"{HEAD}=== user ===\na?\n"})
    assert lint([folder, folder / "a.md"]).findings == []


def test_what_is_there_is_counted(write):
    dialogue = "=== user ===\na\n=== assistant ===\nb\n=== user ===\nc\n=== assistant ===\nd\n"
    safety = HEAD.replace("author", 'domain = "safety"\nauthor')
    folder = write(
        {"a.md": HEAD + dialogue, "b.md": safety + "=== user ===\nb?\n", "c.md": HEAD + "=== user ===\nc?"}
    )
    linted = lint([folder])
    assert (linted.examples, linted.dialogues, linted.prompts_alone) == (3, 1, 2)
    assert linted.domains == {"general": 2, "safety": 1}


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("nothing", "no such file"),
        ("empty", "there are no examples"),
        ("empty/notes.txt", "Markdown files, or JSON lines"),
    ],
)
def test_nothing_to_look_at_is_an_error(write, path, what):
    folder = write({"empty/README.md": "About.", "empty/notes.txt": "a"})
    with pytest.raises(SourceError, match=what):
        lint([folder / path])


def run(*arguments):
    return CliRunner().invoke(cli, ["lint", *map(str, arguments)])


def test_the_command_fails_for_errors_and_not_for_notes(write):
    write({"notes/a.md": "=== user ===\na?\n", "errors/a.md": "a?\n"})
    noted, failed = run("notes"), run("errors")
    assert (noted.exit_code, failed.exit_code) == (0, 1)
    assert noted.output.splitlines()[-1] == (
        "examples: 1 (1 general), dialogues: 0, prompts alone: 1; errors: 0, notes: 2"
    )
    assert failed.output.startswith("errors/a.md:1: error: no turn is marked; put a line `=== user ===`")


def test_a_new_example_waits_for_its_own_words_and_is_never_written_over(write):
    write({})
    assert run("--new", "mine/my first.md").exit_code == 0
    assert [line.partition(":")[2].partition(";")[0] for line in run("mine").output.splitlines()[:-1]] == [
        "1: note: 1 of 1 examples do not say who wrote them",
        "11: error: the user's turn is as `curate lint --new` wrote it",
        "15: error: the assistant's turn is as `curate lint --new` wrote it",
    ]
    again = run("--new", "mine/my first.md")
    assert isinstance(again.exception, CurateError)
    assert "there already" in str(again.exception)


def test_the_command_without_a_path_says_what_to_give(write):
    write({})
    assert run().exit_code == 2
    assert "--new" in run().output


def test_a_new_example_is_a_markdown_file(write):
    write({})
    refused = run("--new", "mine/first.txt")
    assert isinstance(refused.exception, CurateError)
    assert refused.exception.next == "call it first.md"


def test_front_matter_of_other_programs_is_answered_with_ours(write):
    folder = write({"a.md": "---\nauthor: A\n---\n=== user ===\na?\n"})
    [finding] = lint([folder]).findings
    assert (finding.line, finding.what) == (1, "text before the first turn")
    assert "TOML between two lines `+++`" in finding.next
