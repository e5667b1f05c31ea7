import polars as pl

from curate.report.numbers import numbers
from curate.report.verbs import NOUNS, VERBS, Verbs


def batch(*prompts):
    return pl.DataFrame({"prompt": pl.Series(prompts, dtype=pl.String)})


def counted(*batches):
    verbs = Verbs()
    for each in batches:
        verbs.add(each)
    return verbs.made()


def test_verbs_come_by_how_often_they_are_asked_for_and_so_do_their_nouns():
    prompts = [
        "Write a story.",
        "Write a poem.",
        "Write a poem about the sea.",
        "Explain the process.",
        "What is love?",
    ]
    made = counted(batch(*prompts))
    assert (made["rows"], made["parsed"], made["share"], made["distinct"]) == (5, 4, 0.8, 3)
    assert made["verbs"] == [
        {
            "verb": "write",
            "records": 3,
            "nouns": [{"noun": "poem", "records": 2}, {"noun": "story", "records": 1}],
        },
        {"verb": "explain", "records": 1, "nouns": [{"noun": "process", "records": 1}]},
    ]


def test_batches_add_up_in_any_order(monkeypatch):
    monkeypatch.setattr("curate.report.verbs._MANY", 2)
    prompts = [
        f"{verb} a {noun}." for verb in ("Write", "Describe", "Create") for noun in ("story", "poem", "song")
    ]
    batches = [batch(each, each) for each in prompts]
    assert counted(*batches) == counted(*reversed(batches)) == counted(batch(*prompts, *prompts))


def test_only_the_most_frequent_are_listed():
    nouns = ["story", "poem", "song", "list", "letter", "speech"]
    made = counted(batch(*[f"Write a {noun}." for noun in nouns]))
    assert made["distinct"] == len(nouns)
    assert len(made["verbs"][0]["nouns"]) == NOUNS
    assert len(made["verbs"]) <= VERBS


def test_prompts_that_ask_for_nothing_are_counted_as_such():
    made = counted(batch("", "\x00\u202e", "???", "😀" * 100, None))
    assert (made["rows"], made["parsed"], made["share"], made["verbs"]) == (5, 0, 0, [])


def test_of_no_prompt_there_are_no_verbs(job, bread):
    assert counted() is None
    assert numbers(*job([row | {"end": ("not drawn", "")} for row in bread]))["verbs"] is None


def test_verbs_are_those_of_kept_prompts(job, bread):
    for row in bread:
        row["prompt"] = "Write a story." if row.get("end") else "Explain the process."
    made = numbers(*job(bread))["verbs"]
    # Of the kept ones, two have an end of their own.
    assert {verb["verb"]: verb["records"] for verb in made["verbs"]} == {"explain": 8, "write": 2}
