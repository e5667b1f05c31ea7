"""A row's mask is shown as text, and the text is the row's."""

import pytest

from curate.record import records as frame

pytest.importorskip("transformers")

from curate.train.rows.masks import segments
from curate.train.rows.tokens import tokenize

KINDS = ("bytes", "metaspace", "bytes without BOS", "llama-3")


def shown(template, row, **options):
    tokens = tokenize(frame([{"id": "mine:1", **row}]), template, markers="text", **options)
    return segments(tokens, 0, template), tokens.row(0)[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["lima", "alpaca", "vicuna", "chatml", "own"])
def test_segments_are_the_row_and_the_learned_ones_its_answer(template_of, name, kind):
    template = template_of(name, kind)
    parts, ids = shown(template, {"prompt": "Wie heißt 長江?", "response": "Rhein 👩‍🚀 </s>"})
    assert "".join(text for text, _ in parts) == template.tokenizer.decode(ids, skip_special_tokens=False)
    assert [text for text, learned in parts if learned] == [f"{template.gap}Rhein 👩‍🚀 </s>{template.end}"]
    assert [learned for _, learned in parts] == [False, True]


def test_segments_show_every_turn(template_of, dialogues):
    template = template_of("chatml", "metaspace")
    tokens = tokenize(dialogues, template)
    parts = segments(tokens, 1, template)
    assert [text for text, learned in parts if learned] == [
        "Hello. What can I do?<|im_end|>",
        "A rowan.<|im_end|>",
        "An alder.<|im_end|>",
    ]
    assert parts[0] == ("<s><|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n", False)
    assert parts[2] == ("\n<|im_start|>user\nName a tree.<|im_end|>\n<|im_start|>assistant\n", False)


def test_segments_show_where_an_answer_was_cut(template_of):
    template = template_of("lima", "bytes")
    parts, ids = shown(
        template,
        {"prompt": "a", "response": "👩‍🚀" * 50},
        max_tokens=len("<s>a<|end_of_turn|>"),
        too_long="cut_turn",
    )
    assert parts[-1][1]
    assert "\N{REPLACEMENT CHARACTER}" in parts[-1][0] or parts[-1][0].startswith("👩")
    assert template.end_id not in ids[3:]


def test_segments_are_all_learned_but_the_first_token_where_all_is(template_of):
    parts, _ = shown(template_of("lima"), {"prompt": "a", "response": "b"}, loss="all")
    assert parts == [("<s>", False), ("a<|end_of_turn|>b<|end_of_turn|>", True)]
