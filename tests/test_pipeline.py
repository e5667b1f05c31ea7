"""pipeline.toml: what it resolves to, and how a mistake is answered."""

import dataclasses

import pytest

from curate.errors import CurateError, PipelineError, PluginError
from curate.resolve import read_pipeline

SOURCE = '[[source]]\nuse = "jsonl"\nname = "mine"\npath = "a.jsonl"\n'


@pytest.fixture
def resolve(tmp_path):
    def resolve(text, **options):
        file = tmp_path / "pipeline.toml"
        file.write_text(text, "utf-8")
        return read_pipeline(file, **options)

    return resolve


def test_every_default_is_resolved(resolve):
    pipeline = resolve('name = "x"\n' + SOURCE + "[filters]\ntoo_short = {}\n")
    (rule,) = pipeline.sources[0].rules
    assert rule.parameters == {"of": "response", "min_chars": 1200}
    assert pipeline.seed == 13
    assert [export.use for export in pipeline.exports] == ["messages"]


def test_a_source_replaces_adds_and_switches_off_rules(resolve):
    pipeline = resolve(
        'name = "x"\n'
        + SOURCE
        + "[source.filters]\ntoo_short = { min_chars = 5 }\nremoved = false\n"
        + 'short_prompt = { use = "too_short", of = "prompt", min_chars = 2 }\n'
        + SOURCE.replace("mine", "yours")
        + "[filters]\ntoo_short = { min_chars = 9 }\nremoved = {}\n"
    )
    mine, yours = pipeline.sources
    assert [(rule.name, rule.use, rule.parameters.get("min_chars")) for rule in mine.rules] == [
        ("too_short", "too_short", 5),
        ("short_prompt", "too_short", 2),
    ]
    assert [rule.name for rule in yours.rules] == ["too_short", "removed"]
    assert yours.rules[0].parameters["min_chars"] == 9


def test_a_pipeline_is_frozen(resolve):
    pipeline = resolve('name = "x"\n' + SOURCE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pipeline.name = "y"


def test_without_lifts_a_rule_everywhere(resolve):
    text = 'name = "x"\n' + SOURCE + "[filters]\ntoo_short = {}\nremoved = {}\n"
    pipeline = resolve(text, without=("too_short",))
    assert pipeline.lifted == ["too_short"]
    assert [(rule.name, rule.lifted) for rule in pipeline.sources[0].rules] == [
        ("too_short", True),
        ("removed", False),
    ]
    with pytest.raises(PipelineError, match="no rule is called 'too_shor'") as caught:
        resolve(text, without=("too_shor",))
    assert "too_short" in caught.value.next


MISTAKES = {
    "unknown key": (
        'nam = "x"\n' + SOURCE,
        ["no key 'nam'", "line 1, key nam", "did you mean 'name'"],
    ),
    "unknown parameter": (
        'name = "x"\n' + SOURCE + "\n[filters]\ntoo_short = { min_char = 3 }\n",
        ["no key 'min_char'", "line 8, key filters.too_short.min_char", "did you mean 'min_chars'"],
    ),
    "unknown parameter of a source's own rule": (
        'name = "x"\n' + SOURCE + "[source.filters]\ntoo_short = { off = 3 }\n",
        ["no key 'off'", "line 7, key source[0].filters.too_short.off", "did you mean 'of'"],
    ),
    "unknown parameter without a near one": (
        'name = "x"\n' + SOURCE + "[filters]\ntoo_short = { zzz = 3 }\n",
        ["no key 'zzz'", "valid names: min_chars, of, then, unknown, use"],
    ),
    "unknown filter": (
        'name = "x"\n' + SOURCE + "[filters]\ntoo_shrt = {}\n",
        ["no filter is called 'too_shrt'", "line 7, key filters.too_shrt", "did you mean 'too_short'"],
    ),
    "unknown source": (
        'name = "x"\n' + SOURCE.replace('"jsonl"', '"jsnl"'),
        ["no source is called 'jsnl'", "line 3, key source[0].use", "did you mean 'jsonl'"],
    ),
    "wrong type": (
        'name = "x"\n' + SOURCE + '[filters]\ntoo_short = { min_chars = "3" }\n',
        ["'min_chars' is '3'", "valid integer", "line 7"],
    ),
    "wrong item": (
        'name = "x"\n' + SOURCE + '[filters]\nunseen_image = { kinds = ["file", "embeded"] }\n',
        ["'kinds[1]' is 'embeded'", "line 7, key filters.unseen_image.kinds[1]", "did you mean 'embedded'?"],
    ),
    "no item": (
        'name = "x"\n' + SOURCE + "[filters]\nunseen_image = { kinds = [] }\n",
        ["'kinds' is []: at least 1 is needed", "line 7"],
    ),
    "several paths": (
        'name = "x"\n[[source]]\nuse = "jsonl"\npath = ["a.jsonl", "b.jsonl"]\n',
        ["'path' is ['a.jsonl', 'b.jsonl']", "line 4", "matches several"],
    ),
    "wrong field": (
        'name = "x"\n' + SOURCE + '[filters]\ntoo_short = { of = "answer" }\n',
        ["'of' is 'answer'", "'response'"],
    ),
    "a rule that is no table": (
        'name = "x"\n' + SOURCE + "[filters]\ntoo_short = 3\n",
        ["a rule is a table of parameters, or false; this is 3", "line 7"],
    ),
    "a rule named like a column": (
        'name = "x"\n' + SOURCE + '[filters]\nreasons = { use = "too_short" }\n',
        ["'reasons' cannot be a rule's name", "line 7"],
    ),
    "a rule named like edits by hand": (
        'name = "x"\n' + SOURCE + '[filters]\nhand = { use = "too_short" }\n',
        ["'hand' cannot be a rule's name", "line 7", "edits made by hand go by it"],
    ),
    "two sources with one name": (
        'name = "x"\n' + SOURCE + SOURCE,
        ["two sources are called 'mine'", "key source[1]", "give each its own `name`"],
    ),
    "one name for two rules": (
        'name = "x"\n'
        + SOURCE
        + '[source.filters]\nlength = { use = "too_short" }\n'
        + SOURCE.replace("mine", "yours")
        + '[source.filters]\nlength = { use = "too_long" }\n',
        ["the rule 'length' is 'too_short' in one source and 'too_long' in another", "line 13"],
    ),
    "a quota from nowhere": (
        'name = "x"\n' + SOURCE + '[[select.quota]]\nfrom = "mien"\n',
        ["takes from 'mien'", "line 7, key select.quota[0].from", "did you mean 'mine'"],
    ),
    "a quota without a source": (
        'name = "x"\n' + SOURCE + "[[select.quota]]\ntake = 3\n",
        ["the key 'from' is missing", "select.quota[0]"],
    ),
    "a temperature below one": (
        'name = "x"\n' + SOURCE + '[[select.quota]]\nfrom = "mine"\ntemperature = 0.5\n',
        ["'temperature' is 0.5", "line 8"],
    ),
    "two orders of survival": (
        'name = "x"\n'
        + SOURCE
        + '[[dedup]]\nuse = "exact"\nkeep = ["longest"]\n[[dedup]]\nuse = "minhash"\nkeep = ["best_score"]\n',
        ["two [[dedup]] tables differ in `keep`"],
    ),
    "no source": ('name = "x"\n', ["the key 'source' is missing"]),
    "no TOML": ('name = "x\n', ["not valid TOML", "line 1"]),
    "a file that is not there": (
        'name = "x"\nexclude = "gone.txt"\n' + SOURCE,
        ["the file 'gone.txt' does not exist", "line 2, key exclude"],
    ),
    "a name that is a path": ('name = "../x"\n' + SOURCE, ["'../x' cannot be a name", "line 1"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_line_and_what_to_do(resolve, mistake):
    text, expected = MISTAKES[mistake]
    with pytest.raises(CurateError) as caught:
        resolve(text)
    assert isinstance(caught.value, PipelineError | PluginError)
    for phrase in expected:
        assert phrase in str(caught.value)


def test_a_pipeline_that_is_not_utf8_is_answered_with_the_byte(tmp_path):
    file = tmp_path / "p.toml"
    file.write_bytes(b'name = "\xff"\n')
    with pytest.raises(PipelineError, match="byte 8"):
        read_pipeline(file)


CODE = [
    'use = "curate.filters.too_short"',
    'use = "os.system"',
    'use = "__import__"',
    'use = "../too_short"',
    'use = "too_short", of = "pl.col(\'x\')"',
    'use = "too_short", min_chars = "lambda: 1"',
]


@pytest.mark.parametrize("call", CODE)
def test_a_pipeline_cannot_run_code(resolve, call):
    with pytest.raises(CurateError):
        resolve('name = "x"\n' + SOURCE + f"[filters]\nrule = {{ {call} }}\n")
