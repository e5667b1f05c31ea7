import pytest

from curate.metrics import Prepared
from curate.metrics.contract import Metric
from curate.metrics.shares import QUESTIONS

LONG = "The index began the year near its lowest point and then it rose until"

# By metric: (prompt, response) of which it is true, and of which it is not.
CASES = {
    "lists": (
        ["1. Tea\n2. Milk", "Buy:\n- tea\n- milk", "• a\n• b", "1) a\n2) b"],
        ["- one item", "1. a", "3.5 is a"],
    ),
    "headings": (["# Tea\nHot.", "Hot.\n### Tea"], ["#tea is hot", "Number # 1"]),
    "code_blocks": (["```\nx\n```", "See:\n  ```python\nx\n```"], ["Use `x`.", "x = 1"]),
    "bold": (["Drink **tea** now", "**a b**"], ["2 ** 3 ** 4", "a**", "* a\n* b"]),
    "paragraphs": (["Tea.\n\nMilk.", "Tea.\n \nMilk."], ["Tea.\nMilk.", "Tea.\n\n"]),
    "courtesies": (
        ["Sure! Here it is.", "Certainly, the sun is hot.", "That's a great question!", "I'd be happy to help."],
        ["Surely the sun is hot.", "The sun is hot, of course.", "Hello, my name is Ann.", "I am happy."],
    ),
    "summaries": (
        ["Tea is hot.\n\nIn conclusion, drink it.", "Tea.\nOverall, it is hot.", "Tea.\n\nTo sum up: hot.\n"],
        ["In conclusion, drink it.", "Tea.\n\nOverall, it is hot.\n\nMilk is not.", "Tea.\n\nOveralls are worn."],
    ),
    "first_persons": (
        ["I drink tea.", "So do I, too.", "This is my tea.", "Give it to me.", "I'm here."],
        ["It is hot.", "The iron man", "Myth and mystery", "IX or II"],
    ),
    "hedges": (
        ["Perhaps it is.", "It might rain.", "That seems so.", "It is likely hot."],
        ["It is hot.", "Mighty"],
    ),
    "exclamations": (["Hot!", "“Hot!”, she said.", "すごい！"], ["a != b", "5!", "!important", "It is hot."]),
    "very_short": (["Tea", "Yes, it is.", " hot tea "], ["Yes, it is hot.", "", "   "]),
    "truncated": (
        [LONG, f"Tea is hot.\n\n{LONG} 20", f"{LONG},", "Use this:\n```\nx = 1"],
        [
            *(f"{LONG}.", "Tea", f"- {LONG}", f"1. {LONG}", f"{LONG} #tea", f"Title: {LONG}"),
            *("Use this:\n```\nx = 1\n```", f"{LONG} Rome", f"{LONG} a, b, c, d, e"),
            "“Tea is hot and it was always so and it will be so”, - said the cat to me",
        ],
    ),
    "refusals": (
        [
            *("I'm sorry, but I cannot help with that.", "I am unable to provide it.", "I can’t do that."),
            *("As an AI language model, I cannot create images.", "Unfortunately, I do not have access to it."),
        ],
        ["I can't believe it!", "I am sorry to hear that.", "The bank cannot help.", "I cannot resist tea."],
    ),
    "says_ai": (
        ["As an AI language model, I like tea.", "Well, as an AI, I do.", "I'm just a chatbot.", "I am an AI"],
        ["An AI drinks no tea.", "It was tested as an AI assistant.", "I'm a baker.", "as an AI-generated text"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_share_counts_what_it_says(sample, name):
    yes, no = CASES[name]
    pool = Prepared(sample(["Tell of it."] * len(yes + no), yes + no), seed=1)
    counted = pool.rows["response"].filter(pool.asked[name])
    assert sorted(counted) == sorted(yes)
    assert pool.values(range(len(yes + no)))[name] == pytest.approx(len(yes) / len(yes + no))


def test_openings_with_the_prompts_words_are_restatements(described):
    asked = "What is the largest city of Denmark by far?"
    responses = [
        "The largest city of Denmark by far is Copenhagen.",
        "It is Copenhagen, as everybody there knows.",
        "City.",
    ]
    assert [described([asked], [each])["restatements"] for each in responses] == [1, 0, 0]


def test_a_response_that_begins_with_the_whole_prompt_echoes_it(described):
    asked = "Describe the largest city of Denmark."
    assert described([asked] * 2, [f"{asked} It is old.", "It is old."])["echoes"] == 0.5
    assert described(["Hi"], ["Hi there"])["echoes"] == 0


def test_rows_without_a_response_are_not_asked(described):
    values = described(["x", "x", "x"], ["1. a\n2. b", None, "no"])
    assert values["lists"] == 0.5
    assert values["unanswered"] == pytest.approx(1 / 3)


def test_blank_responses_are_none(described):
    assert described(["x"] * 4, ["", " \n", None, "yes"])["unanswered"] == 0.75


def test_every_share_has_cases():
    assert QUESTIONS.keys() - CASES.keys() == {"restatements", "echoes"}


def test_a_share_is_a_metric():
    from curate.metrics import style

    assert isinstance(style.lists, Metric)
    assert style.lists.info.unit == "share"
