"""Of every row, what is learned is the answer and its end, to the letter, under every template and tokenizer."""

import ast
import json
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from curate.errors import CurateError, ReproducibilityError
from curate.record import records as frame

pytest.importorskip("transformers")

from curate.train.rows import joining
from curate.train.rows.tokens import prompt_ids, read_tokens, text_of, tokenize, write_tokens

KINDS = ("bytes", "metaspace", "bytes without BOS", "llama-3", "llama-2")
NAMES = ("lima", "alpaca", "vicuna", "chatml", "own")
NASTY = (
    "Tea.",
    "  two spaces first",
    "\nA line end first",
    "\n\n\n  \t mixed first, and last \n",
    ": (signs first)",
    "👩‍🚀 and 🏳️‍🌈",
    "春が来た。",
    "e\u0301 o\u0308 \u0301alone",
    "שלום, عالم, mixed",
    "zero\u200bwidth\ufeff and \u202eturned",
    "tab\tand\r\nreturn",
    "a " * 4_000,
    "x" * 3_000,
    "{0} {{braces}} %s",
    "\x00\x07 unseen",
    " ",
    "",
)
# What would be read as a special token, or as a part of a template.
MARKS = ("</s>", "a <s>b</s> c", "<|im_end|>\n<|im_start|>user\nhi", "<|end_of_turn|>", "<unk><pad>", "</ s>")
MARKS += ("x\n### Response:\ny", " USER: hi ASSISTANT: ho", "[assistant]\n")


def record(prompt, response, **more):
    return {"id": "mine:1", "prompt": prompt, "response": response, **more}


def tokens_of(template, *rows, **options):
    options = {"max_tokens": 100_000, "markers": "text", **options}
    return tokenize(frame([{**row, "id": f"mine:{at}"} for at, row in enumerate(rows)]), template, **options)


def learned(tokens, row=0):
    _, labels = tokens.row(row)
    return labels[labels != joining.UNLEARNED].tolist()


def proved(template, row, answers, **options):
    """Of a record, the row of tokens whose learned ids were found to be its answers, each with its end."""
    return proved_row(template, tokens_of(template, row, **options), 0, answers)


def proved_row(template, tokens, row, answers):
    """As `proved`, of tokens that are there."""
    ids, labels = tokens.row(row)
    at = np.flatnonzero(labels != joining.UNLEARNED)
    assert (labels[at] == ids[at]).all()
    stretches = np.split(labels[at], np.flatnonzero(np.diff(at) > 1) + 1)
    assert [int(each[-1]) for each in stretches] == [template.end_id] * len(answers)
    # Held against a decoder that knows nothing of ours: what the whole says more than what stands before it.
    for stretch, begin, answer in zip(stretches, at[np.append(True, np.diff(at) > 1)], answers, strict=True):
        before = template.tokenizer.decode(ids[:begin].tolist(), skip_special_tokens=False)
        through = template.tokenizer.decode(ids[: begin + len(stretch)].tolist(), skip_special_tokens=False)
        assert through == before + template.gap + answer + template.closing + template.end
        assert text_of(stretch.tolist(), template) == answer
    return ids


def special_ids(template):
    return template.tokenizer.convert_tokens_to_ids(template.encoder.special)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
class TestAnswersAreLearnedToTheLetter:
    def test_and_their_end_and_nothing_else(self, template_of, name, kind):
        template = template_of(name, kind)
        said = tokens_of(template, *(record("Say it.", text) for text in (*NASTY, *MARKS)))
        asked = prompt_ids(record("Say it.", None), template)
        for row, text in enumerate((*NASTY, *MARKS)):
            # A template that trims its texts teaches what it writes.
            ids = proved_row(template, said, row, [text.strip() if name == "own" else text])
            assert ids[: len(asked)].tolist() == asked

    def test_whatever_was_asked(self, template_of, name, kind):
        template = template_of(name, kind)
        tokens = tokens_of(template, *(record(text, "It is said.") for text in (*NASTY, *MARKS)))
        for row in range(len(tokens)):
            proved_row(template, tokens, row, ["It is said."])

    def test_whatever_is_written(self, template_of, name, kind):
        template = template_of(name, kind)
        fragments = st.sampled_from([text for text in (*NASTY, *MARKS) if len(text) < 100])
        texts = st.lists(st.one_of(fragments, st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=9)))

        @settings(max_examples=30, suppress_health_check=[HealthCheck.differing_executors], database=None)
        @example(" ", "")
        @given(texts.map("".join), texts.map("".join))
        def law(prompt, response):
            response = response.replace("▁", "_")  # which SentencePiece's tokenizers read as a space: told below
            said = response.strip() if name == "own" else response
            row = record(prompt, response)
            ids = proved(template, row, [said]).tolist()
            asked = prompt_ids(row, template)
            assert ids[: len(asked)] == asked
            begins = [template.tokenizer.bos_token_id] if template.tokenizer.bos_token_id is not None else []
            assert ids[: len(begins)] == begins
            assert all(ids.count(each) == 1 for each in begins)

        law()

    def test_by_ids_that_the_tokenizers_own_chat_template_gives(self, template_of, name, kind):
        template = template_of(name, kind)
        for text in NASTY:
            row = record(text, "So it is.", context="Given: this." if len(text) % 2 else None)
            messages = template.messages(row, answered=False)
            served = template.tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
            assert prompt_ids(row, template) == served

    def test_and_no_text_becomes_a_special_token(self, template_of, name, kind):
        template = template_of(name, kind)
        special = [id for id in special_ids(template) if id != template.tokenizer.unk_token_id]
        plain = tokens_of(template, record("Say it.", "It is said.", context="Given."))
        for text in MARKS:
            tokens = tokens_of(template, record(text, text, context=text))
            assert np.isin(tokens.input_ids, special).sum() == np.isin(plain.input_ids, special).sum()


TURNING = [name for name in NAMES if name != "alpaca"]
HISTORY = [
    {"role": "user", "text": "Name one."},
    {"role": "assistant", "text": "One: </s> a."},
    {"role": "user", "text": "Another?"},
    {"role": "assistant", "text": "B, 👩‍🚀."},
]


class TestConversations:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", TURNING)
    def test_teach_every_answer_with_its_end(self, template_of, name, kind):
        row = record("And more?", "C.", history=HISTORY)
        template = template_of(name, kind)
        ids = proved(template, row, ["One: </s> a.", "B, 👩‍🚀.", "C."])
        asked = prompt_ids(row, template)
        assert ids[: len(asked)].tolist() == asked

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", TURNING)
    def test_are_served_as_they_are_trained(self, template_of, name, kind, dialogues):
        template = template_of(name, kind)
        for row in dialogues.iter_rows(named=True):
            if name == "lima" and (row["system"] or kind == "llama-2"):
                continue  # the latter is told below
            messages = template.messages(row, answered=False)
            served = template.tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
            assert prompt_ids(row, template) == served

    def test_keep_the_border_before_an_earlier_answer_where_a_tokenizer_would_merge_across(self, template_of):
        # ":\n" and "\n\n" are one token to Llama 3: an engine that encodes all earlier turns as one text feeds
        # another token there than the model was taught to say. Ours are those that it was taught.
        template = template_of("chatml", "llama-3")
        history = [{"role": "user", "text": "Go."}, {"role": "assistant", "text": "\n\nGone."}]
        row = record("And?", "Here.", history=history)
        served = template.tokenizer.apply_chat_template(
            template.messages(row, answered=False), add_generation_prompt=True
        )["input_ids"]
        ours = prompt_ids(row, template)
        assert ours != served
        assert template.tokenizer.decode(ours) == template.tokenizer.decode(served)
        assert proved(template, row, ["\n\nGone.", "Here."])[: len(ours)].tolist() == ours

    def test_have_no_space_before_an_earlier_answer_where_a_tokenizer_puts_one_after_special_tokens(
        self, template_of
    ):
        # LLaMA's first tokenizer files put a space after every special token, and so before LIMA's answers: the
        # model would be taught to say a space that nobody wrote.
        template = template_of("lima", "llama-2")
        history = [{"role": "user", "text": "Go."}, {"role": "assistant", "text": "Gone."}]
        row = record("And?", "Here.", history=history)
        served = template.tokenizer.apply_chat_template(
            template.messages(row, answered=False), add_generation_prompt=True
        )["input_ids"]
        decode = template.tokenizer.decode
        assert decode(served) == "<s> Go.<|end_of_turn|> Gone.<|end_of_turn|> And?<|end_of_turn|>"
        assert decode(prompt_ids(row, template)) == decode(served).replace(" Gone", "Gone")

    def test_teach_calls_of_tools_and_no_word_of_a_tool(self, template_of):
        history = [
            {"role": "user", "text": "How warm is it?"},
            {"role": "assistant", "text": "thermometer()"},
            {"role": "tool", "text": "21"},
            {"role": "assistant", "text": "It is 21 degrees."},
        ]
        row = record("And tomorrow?", "Nobody knows.", history=history)
        proved(template_of("chatml"), row, ["thermometer()", "It is 21 degrees.", "Nobody knows."])

    def test_may_begin_with_the_assistant(self, template_of):
        row = record("Hello.", "What now?", history=[{"role": "assistant", "text": "Welcome."}])
        proved(template_of("chatml"), row, ["Welcome.", "What now?"])

    def test_end_where_the_last_answer_ends_though_more_was_asked(self, template_of):
        proved(template_of("chatml"), record("And more?", None, history=HISTORY), ["One: </s> a.", "B, 👩‍🚀."])

    def test_with_an_empty_system_message_are_as_without(self, template_of):
        template = template_of("chatml")
        with_it, without = (tokens_of(template, record("a", "b", system=system)) for system in ("", None))
        assert with_it.digest == without.digest

    def test_teach_the_last_answer_alone_where_that_is_asked_for(self, template_of):
        tokens = tokens_of(template_of("chatml"), record("And more?", "C.", history=HISTORY), loss="last")
        assert text_of(learned(tokens), template_of("chatml")) == "C."

    def test_teach_all_but_the_first_token_where_that_is_asked_for(self, template_of):
        tokens = tokens_of(template_of("chatml"), record("And more?", "C.", history=HISTORY), loss="all")
        ids, labels = tokens.row(0)
        assert labels[0] == joining.UNLEARNED
        assert (labels[1:] == ids[1:]).all()


class TestOthersHaveTheSameMasks:
    def test_transformers_of_what_the_assistant_generates(self, template_of, dialogues, records):
        template = template_of("chatml", "llama-3")
        marked = template.jinja.replace(
            "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}",
            "{{- '<|im_start|>' + message.role + '\\n' -}}{%- if message.role == 'assistant' -%}{% generation %}"
            "{{- message.content + '<|im_end|>' -}}{% endgeneration %}{%- else -%}"
            "{{- message.content + '<|im_end|>' -}}{%- endif -%}{{- '\\n' -}}",
        )
        assert marked != template.jinja
        for row in pl.concat([dialogues, records]).iter_rows(named=True):
            theirs = template.tokenizer.apply_chat_template(
                template.messages(row), chat_template=marked, return_assistant_tokens_mask=True, return_dict=True
            )
            ids, labels = tokens_of(template, row).row(0)
            # Theirs has the line end after the last answer, which is not learned.
            assert theirs["input_ids"][: len(ids)] == ids.tolist()
            assert theirs["assistant_masks"][: len(ids)] == (labels != joining.UNLEARNED).tolist()

    @pytest.mark.parametrize("kind", KINDS)
    def test_stanford_alpaca_by_the_length_of_the_prompt_alone(self, template_of, records, kind):
        template = template_of("alpaca", kind)
        for row in records.iter_rows(named=True):
            source = template.render(template.messages(row, answered=False), ask=True).removeprefix("<s>").lstrip()
            whole = template.tokenizer(source + row["response"] + "</s>")["input_ids"]
            prompt = template.tokenizer(source)["input_ids"]
            ids, labels = tokens_of(template, row).row(0)
            assert ids.tolist() == whole
            assert np.flatnonzero(labels != joining.UNLEARNED).tolist() == list(range(len(prompt), len(whole)))

    def test_fastchat_by_the_length_of_each_turn(self, template_of, dialogues):
        template = template_of("vicuna", "llama-2")
        for row in dialogues.iter_rows(named=True):
            ids, labels = tokens_of(template, row).row(0)
            text = template.render(template.messages(row), ask=False).removeprefix("<s>")
            masked = np.ones(len(ids), bool)
            at = 1
            for turn in text.split("</s>")[:-1]:
                size = len(template.tokenizer(turn)["input_ids"])  # BOS counts for the end token that is split off
                asked = turn.split("ASSISTANT: ")[0] + "ASSISTANT: "
                masked[at + len(template.tokenizer(asked)["input_ids"]) - 2 : at + size] = False
                at += size
            assert ((labels == joining.UNLEARNED) == masked).all()


class TestRowsThatAreTooLong:
    ROW = record("And more?", "C.", history=HISTORY)

    def test_are_an_error_that_names_them(self, template_of):
        with pytest.raises(
            CurateError, match=r"longer than max_tokens = 40 are 2 rows: mine:1, mine:2 \(the longest"
        ):
            tokens_of(template_of("chatml"), record("a", "b"), self.ROW, self.ROW, max_tokens=40)

    def test_are_left_out_and_named(self, template_of):
        tokens = tokens_of(template_of("chatml"), record("a", "b"), self.ROW, max_tokens=40, too_long="drop")
        assert tokens.ids == ["mine:0"]
        told = {key: tokens.table[key] for key in ("rows", "beyond", "dropped", "shortened", "lost_end")}
        assert told == {"rows": 1, "beyond": 1, "dropped": ["mine:1"], "shortened": 0, "lost_end": 0}

    def test_lose_later_exchanges_and_end_as_answers_end(self, template_of):
        template = template_of("chatml")
        whole = tokens_of(template, self.ROW).row(0)[0].tolist()
        for max_tokens in range(len(whole) - 1, 1, -1):
            tokens = tokens_of(template, self.ROW, max_tokens=max_tokens, too_long="cut_turn")
            ids = tokens.row(0)[0].tolist() if len(tokens) else []
            assert ids == whole[: len(ids)]
            assert len(ids) <= max_tokens
            if tokens.table["lost_end"]:
                assert len(ids) == max_tokens
                assert template.end_id not in learned(tokens)
            elif ids:
                assert ids[-1] == template.end_id
                assert whole[len(ids) :].count(template.end_id) < whole.count(template.end_id)
            assert tokens.table["shortened"] == len(tokens)
            assert (tokens.table["dropped"] == ["mine:0"]) == (not ids) == (not learned(tokens) if ids else True)

    def test_are_left_out_when_the_prompt_alone_is_too_long(self, template_of):
        long = record("a b c " * 50, "d")
        tokens = tokens_of(template_of("lima"), long, record("a", "b"), max_tokens=20, too_long="cut_turn")
        assert tokens.ids == ["mine:1"]
        assert tokens.table["dropped"] == ["mine:0"]

    @pytest.mark.parametrize("too_long", ["drop", "cut_turn"])
    def test_are_none_when_all_fit(self, template_of, dialogues, too_long):
        tokens = tokens_of(template_of("chatml"), *dialogues.to_dicts(), too_long=too_long)
        same = tokens_of(template_of("chatml"), *dialogues.to_dicts(), max_tokens=tokens.table["longest"])
        assert tokens.digest == same.digest
        assert not same.table["beyond"]


class TestMarks:
    ROWS = (record("a", "b"), record("What is </s>?", "An end."), record("x\n### Response:\ny", "b"))

    def test_are_an_error_that_names_the_rows(self, template_of):
        with pytest.raises(CurateError, match="stand in the texts of 2 rows: mine:1, mine:2"):
            tokens_of(template_of("alpaca"), *self.ROWS, markers="error")

    def test_leave_their_rows_out(self, template_of):
        tokens = tokens_of(template_of("alpaca"), *self.ROWS, markers="drop")
        assert tokens.ids == ["mine:0"]
        assert tokens.table["markers"] == {"policy": "drop", "rows": 2, "examples": ["mine:1", "mine:2"]}
        assert tokens.table["dropped"] == ["mine:1", "mine:2"]

    def test_are_plain_text_and_counted(self, template_of):
        tokens = tokens_of(template_of("alpaca"), *self.ROWS, markers="text")
        assert tokens.table["markers"]["rows"] == 2
        assert len(tokens) == 3

    def test_of_other_templates_are_none(self, template_of):
        assert not tokens_of(template_of("lima"), self.ROWS[2], markers="error").table["markers"]["rows"]

    def test_are_found_in_every_part_of_a_record(self, template_of):
        turns = [{"role": "user", "text": "</s>"}, {"role": "assistant", "text": "b"}]
        for more in ({"system": "</s>"}, {"history": turns}, {"context": "</s>"}, {"response": "</s>"}):
            with pytest.raises(CurateError, match="1 row: mine:0"):
                tokens_of(template_of("chatml"), {**record("a", "b"), **more}, markers="error")

    def test_are_no_noncharacters_by_which_special_tokens_are_known(self, template_of):
        for text in ("\U0010fffe</s>\U0010fffe", "\U0010ffff0\U0010ffff"):
            with pytest.raises(CurateError, match="no characters, stand in the texts of 1 row: mine:0"):
                tokens_of(template_of("chatml"), record("a", text))
            with pytest.raises(CurateError, match="no characters"):
                prompt_ids(record(text, None), template_of("chatml"))


class TestOneTokenForTwoThings:
    def test_for_unknown_characters_and_the_end_as_gpt_2_has_it(self, tokenizer_of, dialogues):
        from curate.train.rows.templates import template_for

        template = template_for("vicuna", tokenizer_of("bytes", unk_token="</s>", pad_token="</s>"))
        tokens = tokens_of(template, *dialogues.to_dicts())
        assert learned(tokens, 1).count(template.end_id) == 3

    def test_for_a_part_of_the_template_and_unknown_characters(self, tokenizer_of):
        from curate.train.rows.templates import template_for

        tokenizer = tokenizer_of("llama-2")
        tokenizer.chat_template = (
            "{% for m in messages %}{{ m.content }}{{ '</s>' if m.role == 'assistant' else '<unk>' }}{% endfor %}"
        )
        template = template_for("own", tokenizer)
        assert tokens_of(template, record("木 <unk>", "a")).input_ids.tolist().count(tokenizer.unk_token_id) == 1

    def test_for_the_beginning_and_the_end(self, tokenizer_of, dialogues):
        from curate.train.rows.templates import template_for

        template = template_for("vicuna", tokenizer_of("bytes", bos_token="</s>"))
        assert len(tokens_of(template, *dialogues.to_dicts())) == dialogues.height


class TestLlama2sOwnTemplate:
    """It puts BOS before each question, and a space before the end of each answer."""

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if "without" not in kind])
    def test_is_learned_to_the_letter_turn_by_turn(self, tokenizer_of, kind):
        from curate.train.rows.templates import template_for

        tokenizer = tokenizer_of(kind)
        tokenizer.chat_template = (
            "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}"
            "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}"
        )
        template = template_for("own", tokenizer)
        proved(template, record("a", "B. "), ["B. "])
        history = [{"role": "user", "text": "Name one."}, {"role": "assistant", "text": "A rowan."}]
        row = record("And more?", "C.", history=history)
        ids = proved(template, row, ["A rowan.", "C."]).tolist()
        assert ids.count(tokenizer.bos_token_id) == 2
        assert ids == tokenizer.apply_chat_template(template.messages(row), return_dict=False)
        asked = prompt_ids(row, template)
        assert ids[: len(asked)] == asked


class TestWhatCannotBeProvedIsRefused:
    def test_characters_that_the_tokenizer_does_not_know(self, tokenizer_of):
        from curate.train.rows.templates import template_for

        tokenizer = tokenizer_of("metaspace")
        written = json.loads(tokenizer.backend_tokenizer.to_str())
        written["model"]["byte_fallback"] = False
        plain = type(tokenizer.backend_tokenizer).from_str(json.dumps(written))
        template = template_for("lima", type(tokenizer)(tokenizer_object=plain, **tokenizer.special_tokens_map))
        assert len(tokens_of(template, record("木", "a"))) == 1
        with pytest.raises(
            CurateError, match="does not give the answers back as they are written in 1 row: mine:1"
        ) as told:
            tokens_of(template, record("a", "b"), record("a", "木"))
        assert "leave these rows out" in told.value.next

    def test_but_code_points_that_the_tokenizer_folds_are_counted(self, tokenizer_of, template_of):
        from tokenizers import normalizers

        from curate.train.rows.templates import template_for

        tokenizer = tokenizer_of("bytes")
        tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
        tokens = tokens_of(template_for("lima", tokenizer), record("a", "e\u0301"), record("a", "b"))
        assert tokens.table["folded"] == 1
        assert text_of(learned(tokens), template_of("lima")) == unicodedata.normalize("NFC", "e\u0301")
        assert tokens_of(template_of("lima", "metaspace"), record("a", "a▁b")).table["folded"] == 1

    def test_templates_that_write_an_earlier_answer_otherwise(self, tokenizer_of):
        from curate.train.rows.templates import template_for

        tokenizer = tokenizer_of()
        tokenizer.chat_template = (
            "{% for m in messages %}{{ m.content if loop.last or m.role == 'user' else 'said' }}{{ eos_token }}"
            "{% endfor %}"
        )
        template = template_for("own", tokenizer)
        assert (template.several_turns, template.rewrites) == (True, True)
        with pytest.raises(
            CurateError, match="an earlier answer otherwise than the last one; so in 1 row: mine:1"
        ):
            tokens_of(template, record("a", "b"), record("And more?", "C.", history=HISTORY))

    def test_but_their_last_answers_can_be_learned_as_they_are_served(self, tokenizer_of):
        from curate.train.rows.templates import template_for

        tokenizer = tokenizer_of()
        tokenizer.chat_template = THINKING
        template = template_for("own", tokenizer)
        assert (template.gap, template.rewrites) == ("<think>\n\n</think>\n\n", True)
        row = record("And more?", "C.", history=HISTORY)
        tokens = tokens_of(template, row, loss="last")
        proved_row(template, tokens, 0, ["C."])
        asked = prompt_ids(row, template)
        assert tokens.row(0)[0][: len(asked)].tolist() == asked
        assert tokenizer.decode(asked) == template.render(template.messages(row, answered=False), ask=True)
        with pytest.raises(CurateError) as told:
            tokens_of(template, row)
        assert 'set loss to "last"' in told.value.next

    def test_rows_that_begin_twice(self, tokenizer_of):
        from curate.train.rows.templates import template_for

        tokenizer = tokenizer_of()
        tokenizer.chat_template = "<s>" + OWN_TWICE
        with pytest.raises(
            CurateError, match="<s>, which begins a text, stands elsewhere or twice in 1 row: mine:0"
        ) as told:
            tokens_of(template_for("own", tokenizer), record("a", "b"))
        assert "another template" in told.value.next


# As models have it that think aloud: what was thought stays in the last answer alone.
THINKING = (
    "{% for m in messages %}[{{ m.role }}]{% if loop.last and m.role == 'assistant' %}<think>\n\n</think>\n\n"
    "{% endif %}{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
OWN_TWICE = "{% for m in messages %}{{ bos_token + m.content + eos_token }}{% endfor %}"


class TestRows:
    def test_do_not_depend_on_their_neighbours(self, template_of, records, dialogues):
        template = template_of("chatml", "llama-3")
        rows = [*records.to_dicts(), *dialogues.to_dicts()]
        together = tokens_of(template, *rows)
        for at, row in enumerate(rows):
            alone = tokens_of(template, row)
            assert all((a == b).all() for a, b in zip(together.row(at), alone.row(0), strict=True))

    def test_without_an_answer_are_left_out_and_named(self, template_of):
        tokens = tokens_of(template_of("alpaca"), record("a", None), record("a", ""), record("a", "b"))
        assert tokens.ids == ["mine:1", "mine:2"]
        assert tokens.table["dropped"] == ["mine:0"]
        assert learned(tokens, 0) == [template_of("alpaca").end_id]

    def test_may_be_none(self, template_of):
        for rows in ((), (record("a", None),)):
            tokens = tokens_of(template_of("lima"), *rows)
            assert (len(tokens), len(tokens.input_ids), tokens.offsets.tolist()) == (0, 0, [0])
            assert tokens.table["dropped"] == [f"mine:{at}" for at in range(len(rows))]

    def test_are_counted(self, template_of, records):
        tokens = tokens_of(template_of("alpaca"), *records.to_dicts())
        counted = {"rows": 30, "tokens": len(tokens.input_ids), "longest": int(tokens.lengths.max())}
        assert counted.items() <= tokens.table.items()
        assert tokens.table["learned"] == sum(len(learned(tokens, row)) for row in range(30))
        assert tokens.table == json.loads(json.dumps(tokens.table))
        assert (tokens.input_ids.dtype, tokens.labels.dtype) == (np.int32, np.int32)

    def test_are_refused_by_name_where_the_template_has_no_place_for_them(self, template_of, dialogues):
        with pytest.raises(CurateError, match=r"Alpaca's .* no other turns; so in 2 rows: mine:0, mine:1"):
            tokens_of(template_of("alpaca"), *dialogues.to_dicts()[:2], record("a", "b"))
        with pytest.raises(
            CurateError, match=r"LIMA's .* no place for a system message; so in 2 rows: mine:2, mine:3"
        ):
            tokens_of(template_of("lima"), *dialogues.to_dicts())


@pytest.mark.real
def test_every_row_of_alpaca_is_proved(real_data, template_of):
    rows = json.loads((real_data / "self_instruct" / "alpaca_data.json").read_bytes())
    given = frame(
        {"id": f"alpaca:{at}", "prompt": row["instruction"], "context": row["input"], "response": row["output"]}
        for at, row in enumerate(rows)
    )
    for kind in ("llama-3", "metaspace"):
        tokens = tokenize(given, template_of("alpaca", kind), max_tokens=100_000)
        assert (tokens.table["rows"], tokens.table["folded"], tokens.table["markers"]["rows"]) == (52_002, 0, 0)


def test_the_label_of_what_is_not_learned_is_spelled_in_one_place():
    def spells(node):
        return (
            isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant) and node.operand.value == 100
        )

    files = Path(joining.__file__).parent.glob("*.py")
    found = [file.stem for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))) if spells(node)]
    assert found == ["joining"]


class TestFiles:
    def test_give_back_what_was_written(self, template_of, dialogues, tmp_path):
        tokens = tokens_of(template_of("chatml"), *dialogues.to_dicts())
        write_tokens(tokens, tmp_path / "train.parquet")
        again = read_tokens(tmp_path / "train.parquet")
        assert (again.digest, again.ids, again.table) == (tokens.digest, tokens.ids, tokens.table)
        assert (again.input_ids.dtype, again.offsets.dtype) == (np.int32, np.int64)
        assert pl.read_parquet(tmp_path / "train.parquet").columns == ["id", "input_ids", "labels"]

    def test_of_no_rows_are_read(self, template_of, tmp_path):
        write_tokens(tokens_of(template_of("chatml")), tmp_path / "dev.parquet")
        assert len(read_tokens(tmp_path / "dev.parquet")) == 0

    def test_that_are_not_as_they_were_written_are_refused(self, template_of, dialogues, tmp_path):
        file = tmp_path / "train.parquet"
        with pytest.raises(ReproducibilityError, match="there are no tokens"):
            read_tokens(file)
        write_tokens(tokens_of(template_of("chatml"), *dialogues.to_dicts()), file)
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ReproducibilityError, match="cannot be read"):
            read_tokens(file)
        file.write_bytes(whole)
        said = pl.read_parquet_metadata(file)
        changed = pl.read_parquet(file).with_columns(pl.col("labels").list.reverse())
        changed.write_parquet(file, metadata={key: said[key] for key in ("digest", "table")})
        with pytest.raises(ReproducibilityError, match="not as they were written"):
            read_tokens(file)

    def test_bear_the_same_digest_only_for_the_same_tokens(self, template_of, dialogues):
        rows = dialogues.to_dicts()
        one, same, other, turned = (
            tokens_of(template_of("chatml"), *given, loss=loss)
            for given, loss in (
                (rows, "assistant"),
                (rows, "assistant"),
                (rows, "last"),
                (rows[::-1], "assistant"),
            )
        )
        assert one.digest == same.digest
        assert len({one.digest, other.digest, turned.digest}) == 3
