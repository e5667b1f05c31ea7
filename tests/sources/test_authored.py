"""Examples that people wrote: what is read of a file, and what is said of one that is none."""

import json
from pathlib import Path

import pytest
from curate.sources.authored import authored
from hypothesis import given
from hypothesis import strategies as st

from curate.authoring import TEMPLATE, example_of_row, example_of_text
from curate.errors import SourceError
from curate.lint import lint
from curate.testing import read_all


@pytest.fixture
def read(tmp_path):
    """All records of files by name, in a folder called `mine`, and the counts."""
    count = 0

    def read_folder(files, **parameters):
        nonlocal count
        count += 1
        folder = tmp_path / "mine"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_all(authored, folder, tmp_path / f"scratch-{count}", **parameters)

    return read_folder


def asked(prompt="A question?", answer="An answer."):
    return f"=== user ===\n{prompt}\n=== assistant ===\n{answer}\n"


def faults(text):
    return [(fault.line, fault.what) for fault in example_of_text(text).faults]


def test_files_come_in_the_order_of_their_names_whatever_the_disk_says(read):
    records, _ = read({name: asked(name) for name in ("b.md", "a/z.md", "c.md", "a.md")})
    assert records["prompt"].to_list() == ["a.md", "a/z.md", "b.md", "c.md"]
    assert records["id"].to_list() == [
        "authored:mine/a",
        "authored:mine/a/z",
        "authored:mine/b",
        "authored:mine/c",
    ]
    assert records["position"].to_list() == [0, 1, 2, 3]


def test_a_file_by_itself_has_the_id_that_it_has_in_its_folder(read, tmp_path):
    records, _ = read({"walk.md": asked()})
    alone, _ = read_all(authored, tmp_path / "mine" / "walk.md", tmp_path / "alone")
    assert alone["id"].to_list() == records["id"].to_list() == ["authored:mine/walk"]


def test_two_folders_with_files_of_one_name_do_not_share_ids(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "walk.md").write_text(asked(), "utf-8")
    ids = [read_all(authored, tmp_path / name, tmp_path / f"s-{name}")[0]["id"].item() for name in ("one", "two")]
    assert ids == ["authored:one/walk", "authored:two/walk"]


def test_an_accent_in_a_name_gives_one_id_however_the_disk_spells_it(read):
    records, _ = read({"cafe\u0301.md": asked()})
    assert records["id"].item() == "authored:mine/caf\u00e9"


def test_hidden_files_are_none_of_the_folder(read):
    records, counts = read({"a.md": asked(), ".a.md.swp": "x", ".git/b.md": asked(), "c/.cache/d.md": asked()})
    assert (records.height, counts.native) == (1, 1)


def test_the_pipeline_declares_for_those_who_say_nothing(read):
    own = '+++\nauthor = "B"\nlicense = "MIT"\n+++\n'
    records, _ = read({"a.md": asked(), "b.md": own + asked("Another?")}, author="A", license="CC0-1.0")
    assert [(work["author"], work["license"]) for [work] in records["works"]] == [("A", "CC0-1.0"), ("B", "MIT")]
    assert records["license"].to_list() == ["CC0-1.0", "MIT"]


def test_without_a_licence_nothing_is_known_and_nothing_is_declared(read):
    records, _ = read({"a.md": asked()})
    [[work]] = records["works"]
    assert (records["license"].item(), work["license_basis"]) == ("LicenseRef-unknown", None)


def test_line_ends_and_a_byte_order_mark_change_nothing(read):
    text = "+++\ndomain = 'travel'\n+++\n" + asked("One\ntwo?", "Three\n\nfour.")
    windows = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    records, _ = read({"a.md": text, "b.md": windows, "c.md": text.replace("\n", "\r")})
    assert records.select("domain", "prompt", "response").unique().rows() == [
        ("travel", "One\ntwo?", "Three\n\nfour.")
    ]


def test_blank_lines_around_a_turn_go_and_indentation_stays(read):
    records, _ = read({"a.md": asked("\n \n    code\n\nmore\n\n")})
    assert records["prompt"].item() == "    code\n\nmore"


@pytest.mark.parametrize(
    "line",
    [
        "# User",
        "===",
        "=====",
        "== user ==",
        "=== ===",
        "===== =====",
        "======user======",
        "a === user ===",
        "Title\n===",
    ],
)
def test_what_markdown_and_other_forms_write_is_text(line):
    example = example_of_text(asked(f"before\n{line}\nafter"))
    assert (example.faults, example.prompt.text) == ((), f"before\n{line}\nafter")


@pytest.mark.parametrize("mark", ["=== user ===", "===user===", "===  user\t===  "])
def test_spaces_in_a_mark_are_free(mark):
    assert example_of_text(f"{mark}\nA question?").prompt.text == "A question?"


@given(
    st.lists(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])), min_size=1, max_size=4)
)
def test_any_text_can_be_written_and_comes_back(texts):
    turns = [text.strip() or "x" for text in texts]
    roles = ("user", "assistant")
    escaped = [
        "\n".join(f"\\{line}" if line.lstrip("\\").startswith("===") else line for line in t.split("\n"))
        for t in turns
    ]
    file = "".join(f"=== {roles[at % 2]} ===\n\n{text}\n\n" for at, text in enumerate(escaped))
    example = example_of_text(file)
    assert not example.faults
    assert [turn.text for turn in example.turns] == turns


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "no turn is marked"),
        ("hello\n", 1, "no turn is marked"),
        ("+++\n+++\nhello", 3, "no turn is marked"),
        ("+++\nid = 'a'\n" + asked(), 1, "the front matter has no end"),
        ("+++\nid = a\n+++\n" + asked(), 2, "the front matter is not valid TOML: Invalid value"),
        ("+++\n\nid = 'a\n+++\n" + asked(), 3, 'the front matter is not valid TOML: Expected "\'"'),
        (
            "+++\nid = 'a'\nid = 'b'\n+++\n" + asked(),
            3,
            "the front matter is not valid TOML: Cannot overwrite a value",
        ),
        pytest.param(
            "+++\nx = " + "[" * 3000 + "\n+++\n" + asked(),
            2,
            "brackets within brackets, too many to follow",
            id="deep",
        ),
        ("+++\nid = 'a'\ngroup = 'A'\n+++\n" + asked(), 3, "there is no key 'group' here"),
        ("+++\nid = 7\n+++\n" + asked(), 2, "'id' is 7"),
        ("+++\nid = 'a b'\n+++\n" + asked(), 2, "'id' is 'a b'"),
        ("+++\nauthor = ['A', 'B']\n+++\n" + asked(), 2, "'author' is a list"),
        ("+++\ncreated = 'March'\n+++\n" + asked(), 2, "'created' is 'March'"),
        ("+++\ncreated = 10:00:00\n+++\n" + asked(), 2, "'created' is 10:00:00"),
        ("\nhello\n" + asked(), 2, "text before the first turn"),
        ("=== User ===\nA question?\n", 1, "no role is called 'User'"),
        (asked() + "=== asistant ===\nMore.", 5, "no role is called 'asistant'"),
        ("=== user ===\n\n \n=== assistant ===\nb\n", 1, "the user's turn is empty"),
        ("=== assistant ===\nb\n", 2, "the first turn is the assistant's"),
        ("=== user ===\na\n=== user ===\nb\n", 4, "two turns of the user in a row"),
        (asked() + "=== assistant ===\nMore.", 6, "two turns of the assistant in a row"),
        (asked() + "=== system ===\nBe kind.", 6, "a system message after another turn"),
        ("=== system ===\na\n=== system ===\nb\n" + asked(), 4, "a system message after another turn"),
        ("=== system ===\nBe kind.", 2, "nobody asks anything"),
    ],
)
def test_a_fault_is_named_with_its_line(text, line, what):
    assert (line, what) in faults(text)


def test_all_faults_are_told_and_none_that_only_follows_from_another():
    text = "+++\nlicence = 'MIT'\nid = 7\n+++\n=== usr ===\nA question?\n=== assistant ===\nAn answer.\n"
    assert faults(text) == [
        (2, "there is no key 'licence' here"),
        (3, "'id' is 7"),
        (5, "no role is called 'usr'"),
    ]


def test_the_nearest_key_and_role_are_offered():
    [key, role] = example_of_text("+++\nlicence = 'MIT'\n+++\n=== User ===\nA?\n").faults
    assert key.next == "did you mean 'license'?"
    assert role.next == "did you mean 'user'? In a text, such a line is written \\=== User ==="


def test_a_file_that_is_no_text_is_one_unreadable_row(read):
    bad = {"b.md": b"=== user ===\n\xff\n", "c.md": b"=== user ===\na\0\n", "d.md": b"x" * (2**20 + 1)}
    records, counts = read({"a.md": asked(), **bad})
    assert records.height == 1
    assert [(row.file, row.reason.partition(";")[0]) for row in counts.unreadable] == [
        ("mine/b.md", "line 2: invalid UTF-8 at byte 13"),
        ("mine/c.md", "line 2: a NUL character"),
        ("mine/d.md", "line 1: the file has more than 1,048,576 bytes"),
    ]


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"a.md": "hello"}, "no example can be read"),
        ({"notes.txt": "hello"}, "there is no Markdown file in the folder"),
        ({"README.md": "hello"}, "there is no Markdown file in the folder"),
    ],
)
def test_a_folder_without_an_example_is_an_error(read, files, what):
    with pytest.raises(SourceError, match=what):
        read(files)


def test_what_is_neither_markdown_nor_json_lines_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text(asked(), "utf-8")
    with pytest.raises(SourceError, match="Markdown files in a folder, or JSON lines"):
        read_all(authored, tmp_path / "a.txt", tmp_path / "scratch")


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({}, "no turn is given"),
        ({"prompt": 3}, "'prompt' is a number, not a text"),
        ({"response": "b"}, "the first turn is the assistant's"),
        ({"system": "Be kind."}, "nobody asks anything"),
        ({"prompt": "a", "messages": []}, "'messages' and 'prompt' in one object"),
        ({"messages": {}}, "'messages' is an object, not a list"),
        ({"messages": ["a"]}, 'message 0 is not {"role", "content"}'),
        (
            {"messages": [{"role": "human", "content": "a"}]},
            "message 0 is by 'human', not system, user, assistant",
        ),
        ({"messages": [{"role": "user", "content": None}]}, "the content of message 0 is null, not a text"),
        ({"prompt": "a", "id": True}, "'id' is True"),
        ({"prompt": "a", "created": 3}, "'created' is 3"),
        ({"prompt": "a", "output": "b"}, "there is no key 'output' here"),
    ],
)
def test_a_row_that_is_no_example_says_why(row, what):
    assert what in [f.what for f in example_of_row(row).faults]


def test_a_row_and_a_file_of_the_same_words_make_the_same_record(read, tmp_path):
    facts = {"id": "x", "author": "A", "license": "MIT", "created": "2026-03-01", "note": "n", "domain": "d"}
    front = "".join(f"{key} = {json.dumps(value)}\n" for key, value in facts.items() if key != "created")
    from_file, _ = read({"a.md": f"+++\ncreated = 2026-03-01\n{front}+++\n{asked('One?', 'Two.')}"})
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(facts | {"prompt": "\nOne?\n", "response": "Two.\n\n"}) + "\n", "utf-8")
    from_row, _ = read_all(authored, rows, tmp_path / "rows")
    assert from_file.drop("origin").equals(from_row.drop("origin"), null_equal=True)


def test_the_template_is_an_example_whose_only_errors_are_its_unwritten_turns(tmp_path):
    file = tmp_path / "mine" / "first.md"
    file.parent.mkdir()
    file.write_text(TEMPLATE.format(id="first", created="2026-03-01"), "utf-8")
    errors = [finding for finding in lint([file]).findings if finding.level == "error"]
    assert [finding.next for finding in errors] == ["write your own text"] * 2
    assert read_all(authored, file, tmp_path / "scratch")[0]["id"].item() == "authored:first"


def test_the_form_in_the_docstring_is_an_example():
    shown = Path(__import__("curate.authoring", fromlist=["x"]).__file__).read_text("utf-8").split('"""')[1]
    block = "\n".join(line[4:] for line in shown.split("\n") if line.startswith("    ") or not line).strip("\n")
    example = example_of_text(block)
    assert not example.faults
    assert example.response.text == "# A heading of the answer's own"
