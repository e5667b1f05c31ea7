"""The laws for plug-ins can be broken: each test breaks one."""

import json
import types
from functools import partial

import polars as pl
import pytest

from curate.api import Field, Limit, Verdict, above, below, outside, present, reads, records, rejects, text
from curate.testing import cases, check_cases, check_filter, check_source, evaluate, read_all


def named_like_its_file(plugin):
    """The plug-in as if it had been written in a file of its name."""
    plugin.function.__module__ = f"somewhere.{plugin.name}"
    return plugin


def test_a_sound_filter_passes():
    @rejects
    def shouting(*, of: Field = "response", max_share: Limit[float] = 0.5) -> Verdict:
        """Text in capital letters.

        Rejects: STOP THAT
        Keeps: Stop that.
        """
        capitals = text(of).str.count_matches(r"\p{Lu}")
        return above(capitals / text(of).str.len_chars(), max_share)

    check_filter(named_like_its_file(shouting))


def test_a_rule_may_read_a_text_only_to_see_whether_it_applies():
    @rejects
    def brief(*, min_chars: Limit[int] = 20) -> Verdict:
        """A short answer to a question."""
        chars = text("response").str.len_chars().cast(pl.Int64)
        return below(chars, min_chars, applies=text("prompt").str.contains(r"\?"))

    check_filter(named_like_its_file(brief))
    frame = records([{"id": mark, "prompt": f"Why{mark}", "response": "So."} for mark in "?!"])
    assert evaluate(brief, frame)["rejected"].to_list() == ["yes", "does not apply"]


@pytest.mark.parametrize(
    "evidence",
    [
        text("response").str.len_chars().rank(),
        text("response").is_duplicated().cast(pl.Int8),
        text("response").str.len_chars() - text("response").str.len_chars().mean(),
        text("response").str.len_chars().cum_sum(),
        text("response").str.len_chars().shift(1).fill_null(0),
    ],
    ids=["rank", "duplicated", "mean", "running sum", "neighbour"],
)
def test_a_verdict_on_other_rows_is_caught(evidence):
    @rejects
    def neighbourly(*, limit: Limit[int] = 1) -> Verdict:
        """Text that depends on its neighbours."""
        return above(evidence, limit)

    with pytest.raises(AssertionError, match=r"a row's verdict|order of rows|every row is there twice"):
        check_filter(named_like_its_file(neighbourly))


def test_evidence_that_is_missing_for_a_text_with_words_is_caught():
    @rejects
    def forgetful(*, limit: Limit[int] = 1) -> Verdict:
        """Text without an emoji is forgotten."""
        return above(text("response").str.extract("(🎉)").str.len_chars(), limit)

    with pytest.raises(AssertionError, match="no evidence for"):
        check_filter(named_like_its_file(forgetful))


def test_evidence_that_is_neither_number_nor_text_is_caught():
    @rejects
    def boolean(*, of: Field = "response") -> Verdict:
        """Text whose evidence shows nothing."""
        return Verdict(text(of).str.contains("x"), "present", None)

    with pytest.raises(AssertionError, match="a number or a text"):
        check_filter(named_like_its_file(boolean))


def test_a_limit_that_shapes_the_evidence_is_caught():
    @rejects
    def hidden(*, of: Field = "response", limit: Limit[int] = 5) -> Verdict:
        """Text over a limit that is in the evidence."""
        return above(text(of).str.len_chars().cast(pl.Int64) - limit, limit)

    with pytest.raises(AssertionError, match="changes the evidence"):
        check_filter(named_like_its_file(hidden))


def test_a_pattern_that_does_not_compile_is_caught():
    @rejects
    def broken(*, of: Field = "response") -> Verdict:
        """Text with a pattern that looks around."""
        return present(text(of), r"(?<!a)b")

    with pytest.raises(pl.exceptions.ComputeError):
        check_filter(named_like_its_file(broken))


def test_a_docstring_that_does_not_tell_the_truth_is_caught():
    @rejects
    def untrue(*, of: Field = "response") -> Verdict:
        """Text with an x.

        Keeps: x
        """
        return present(text(of), "x")

    with pytest.raises(AssertionError, match="the docstring's example 'x' is yes, not no"):
        check_filter(named_like_its_file(untrue))


def test_a_filter_in_a_file_of_another_name_is_caught():
    @rejects
    def misplaced(*, of: Field = "response") -> Verdict:
        """Text with an x."""
        return present(text(of), "x")

    with pytest.raises(AssertionError, match="not named like its file"):
        check_filter(misplaced)


def test_every_kind_of_answer_is_told():
    @rejects
    def rule(*, limit: Limit[float] = 2.0) -> Verdict:
        """A low score of a response."""
        return below(pl.col("score"), limit, applies=pl.col("response").is_not_null())

    frame = records(
        [
            {"id": "a", "prompt": "?", "response": "!", "score": 1.0},
            {"id": "b", "prompt": "?", "response": "!", "score": 2.0},
            {"id": "c", "prompt": "?", "response": "!", "score": None},
            {"id": "d", "prompt": "?", "response": "!", "score": float("nan")},
            {"id": "e", "prompt": "?"},
        ]
    )
    found = evaluate(rule, frame)
    assert found.columns == ["id", "evidence", "applies", "rejected"]
    assert found["rejected"].to_list() == ["yes", "no", "unknown", "unknown", "does not apply"]
    assert found["evidence"].to_list() == [1.0, 2.0, None, None, None]


def test_nothing_is_outside_of_what_is_not_known():
    @rejects
    def rule(*, keep: Limit[tuple[str, ...]] = ("en",)) -> Verdict:
        """Text outside."""
        return outside(pl.col("domain"), keep)

    frame = records([{"id": str(n), "prompt": "?", "domain": d} for n, d in enumerate(["en", "fr", None])])
    assert evaluate(rule, frame)["rejected"].to_list() == ["no", "yes", "unknown"]
    assert evaluate(rule, frame, keep=())["rejected"].to_list() == ["yes", "yes", "unknown"]


def cased(tmp_path, toml):
    file = tmp_path / "cases.toml"
    file.write_text(toml, "utf-8")
    return file


@rejects
def long_text(*, of: Field = "response", max_chars: Limit[int] = 3) -> Verdict:
    """Text over three characters."""
    return above(text(of).str.len_chars(), max_chars)


CASES = """
[[rejects]]
because = "four"
response = "x"
repeat = 4
[[rejects]]
because = "the prompt"
with = { of = "prompt" }
prompt = "long"
[[rejects]]
because = "two"
with = { max_chars = 1 }
response = "xx"
[[keeps]]
because = "three"
response = "xxx"
[[keeps]]
because = "none"
response = ""
[[keeps]]
because = "LAST"
response = "x"
"""


def test_cases_that_hold_pass(tmp_path):
    file = cased(tmp_path, CASES)
    check_cases(long_text, file)
    assert [case.because for case in cases(file) if case.rejects] == ["four", "the prompt", "two"]


@pytest.mark.parametrize(
    ("found", "replaced", "said"),
    [
        ('"xxx"', '"xxxx"', "expected no because three; found yes by evidence 4"),
        ("repeat = 4", "repeat = 3", "expected yes because four; found no by evidence 3"),
        ('"LAST"\nresponse = "x"', '"LAST"', "expected no because LAST; found does not apply"),
        ('because = "two"\n', "", "does not say `because`"),
        ("[[keeps]]", "[[kept]]", "tables are"),
        ('[[keeps]]\nbecause = "none"\nresponse = ""', "", "2 cases that keep, 3 are needed"),
    ],
)
def test_a_case_that_does_not_hold_says_why(tmp_path, found, replaced, said):
    assert found in CASES
    with pytest.raises(AssertionError, match=said):
        check_cases(long_text, cased(tmp_path, CASES.replace(found, replaced)))


def line_records(lines, name="lines"):
    return records(
        {
            "id": f"{name}:{n}",
            "position": n,
            "origin": {"file": "f", "position": n},
            "prompt": line,
            "license": "MIT",
        }
        for n, line in enumerate(lines)
    )


def lines_in(path, intake, *, deferred: bool = False):
    """Lines of a file as prompts; empty ones are passed over."""
    every = path.read_text("utf-8").splitlines()
    kept = [line for line in every if line]
    intake.met(len(every))
    intake.passed_over("empty line", len(every) - len(kept))
    if deferred:
        yield partial(part_of_lines, kept)
        return
    intake.used(len(kept))
    yield line_records(kept)


def part_of_lines(kept, intake):
    intake.used(len(kept))
    return line_records(kept)


def source(function, name="lines"):
    copy = types.FunctionType(function.__code__, function.__globals__, name, closure=function.__closure__)
    copy.__doc__, copy.__kwdefaults__, copy.__annotations__ = (
        "Lines.",
        function.__kwdefaults__,
        function.__annotations__,
    )
    return reads(license="MIT", home="https://example.org", layouts=("a text file",))(copy)


@pytest.fixture
def three_lines(tmp_path):
    file = tmp_path / "input.txt"
    file.write_text("one\n\ntwo\nthree\n", "utf-8")
    return file


@pytest.mark.parametrize("deferred", [False, True])
def test_a_sound_source_passes(three_lines, tmp_path, deferred):
    check_source(source(lines_in), three_lines, tmp_path / "scratch", native_rows=4, deferred=deferred)
    frame, counts = read_all(source(lines_in), three_lines, tmp_path / "once", deferred=deferred)
    assert frame["prompt"].to_list() == ["one", "two", "three"]
    assert (counts.used, counts.passed_over.total(), counts.native) == (3, 1, 4)


def test_a_source_that_loses_count_is_caught(three_lines, tmp_path):
    with pytest.raises(AssertionError, match="5 native rows, but 3 used, 1 passed over and 0 unreadable make 4"):
        check_source(source(lines_in), three_lines, tmp_path / "scratch", native_rows=5)


def uncounted(path, intake):  # noqa: ARG001
    yield line_records([path.name])


def another_name(path, intake):
    intake.met()
    intake.used()
    yield line_records([path.name], name="other")


def own_columns(path, intake):
    intake.met()
    intake.used()
    yield line_records([path.name]).with_columns(source=pl.lit("mine"))


def other_schema(path, intake):
    intake.met()
    intake.used()
    yield line_records([path.name]).drop("draw")


def never_the_same(path, intake):  # noqa: ARG001
    intake.met()
    intake.used()
    yield line_records([str(intake.scratch)])


def not_picklable(path, intake):  # noqa: ARG001
    yield lambda _: line_records([path.name])


def deferred_without_ids(path, intake):  # noqa: ARG001
    yield partial(part_without_ids, path.name)


def part_without_ids(line, intake):
    intake.met()
    intake.used()
    return line_records([line]).with_columns(id=pl.lit(None, dtype=pl.String))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (uncounted, "1 records of 0 used rows"),
        (another_name, "ids begin with `lines:`"),
        (own_columns, "'source' is for the engine to add"),
        (other_schema, "no frame of records"),
        (never_the_same, "two readings differ"),
        (not_picklable, "cannot be sent to another process"),
        (deferred_without_ids, "must bring its ids"),
    ],
)
def test_a_source_that_breaks_a_law_is_caught(three_lines, tmp_path, function, said):
    with pytest.raises(AssertionError, match=said):
        check_source(source(function), three_lines, tmp_path / "scratch")


def test_case_files_hold_records_with_histories(tmp_path):
    history = json.dumps([{"role": "user", "text": "long enough"}]).replace('": ', '" = ')
    toml = f'[[rejects]]\nbecause = "an earlier prompt"\nwith = {{ of = "first_prompt" }}\nhistory = {history}\n'
    check_cases(long_text, cased(tmp_path, toml + CASES), at_least=3)
