"""Templates make a tokenizer ready, write what was published, and refuse what would train a model wrongly."""

import pytest

from curate.errors import CurateError, PipelineError

pytest.importorskip("transformers")

from curate.train.rows.templates import template_for, template_names

ASK = [{"role": "user", "content": "Name a tree."}]
TALK = [*ASK, {"role": "assistant", "content": "A rowan."}, {"role": "user", "content": "One more?"}]
SYSTEM = {"role": "system", "content": "Be brief."}


class TestWhatIsWritten:
    def test_by_alpacas_two_templates(self, template_of):
        template = template_of("alpaca")
        given = [{**ASK[0], "context": "oak, elm"}]
        assert template.render(ASK, ask=True) == (
            "<s>Below is an instruction that describes a task. Write a response that appropriately completes the "
            "request.\n\n### Instruction:\nName a tree.\n\n### Response:"
        )
        assert template.render(given, ask=True) == (
            "<s>Below is an instruction that describes a task, paired with an input that provides further "
            "context. Write a response that appropriately completes the request.\n\n### Instruction:\n"
            "Name a tree.\n\n### Input:\noak, elm\n\n### Response:"
        )
        assert template.render([*given, TALK[1]], ask=False).endswith("### Response:A rowan.</s>")

    def test_by_lima(self, template_of):
        assert template_of("lima").render(TALK, ask=True) == (
            "<s>Name a tree.<|end_of_turn|>A rowan.<|end_of_turn|>One more?<|end_of_turn|>"
        )

    def test_by_vicuna(self, template_of):
        default = (
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
            "detailed, and polite answers to the user's questions."
        )
        said = " USER: Name a tree. ASSISTANT: A rowan.</s>USER: One more? ASSISTANT:"
        assert template_of("vicuna").render(TALK, ask=True) == f"<s>{default}{said}"
        assert template_of("vicuna").render([SYSTEM, *TALK], ask=True) == f"<s>Be brief.{said}"

    def test_by_chatml(self, template_of):
        assert template_of("chatml").render([SYSTEM, *TALK], ask=True) == (
            "<s><|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nName a tree.<|im_end|>\n"
            "<|im_start|>assistant\nA rowan.<|im_end|>\n<|im_start|>user\nOne more?<|im_end|>\n"
            "<|im_start|>assistant\n"
        )

    @pytest.mark.parametrize("name", ["lima", "alpaca", "vicuna", "chatml"])
    def test_begins_with_the_token_that_the_tokenizer_puts_first_if_it_puts_one(self, template_of, name):
        with_it, without = template_of(name).render(ASK, ask=True), template_of(name, "bytes without BOS")
        assert with_it == f"<s>{without.render(ASK, ask=True)}"

    @pytest.mark.parametrize("kind", ["bytes", "metaspace", "bytes without BOS", "llama-3", "llama-2"])
    @pytest.mark.parametrize("name", ["lima", "alpaca", "vicuna", "chatml"])
    def test_begins_with_the_ids_that_the_tokenizer_gives_a_text_by_itself(self, template_of, name, kind):
        tokenizer = template_of(name, kind).tokenizer
        served = tokenizer.apply_chat_template(ASK, tokenize=False).removeprefix("<s>").removeprefix(" ")
        assert tokenizer(served)["input_ids"] == tokenizer.apply_chat_template(ASK)["input_ids"]

    @pytest.mark.parametrize("name", ["lima", "alpaca", "vicuna", "chatml", "own"])
    def test_is_what_the_saved_tokenizer_writes(self, template_of, tmp_path, name):
        from transformers import AutoTokenizer

        template = template_of(name, "metaspace")
        template.tokenizer.save_pretrained(tmp_path)
        saved = AutoTokenizer.from_pretrained(tmp_path)
        served = saved.apply_chat_template(ASK, add_generation_prompt=True, tokenize=False)
        assert served == template.render(ASK, ask=True)
        # Made ready once more, as by whoever loads the trained model, it stays as it is.
        again = template_for(name, saved)
        assert (again.jinja, again.end, again.end_id) == (template.jinja, template.end, template.end_id)
        assert again.added == ()
        assert len(again.tokenizer) == len(template.tokenizer)

    @pytest.mark.parametrize("name", ["lima", "alpaca", "vicuna", "chatml"])
    def test_is_what_the_template_writes_with_the_texts_in_it(self, template_of, name):
        template = template_of(name)
        texts = ("a", " {0} %s {{ b }}\n", "</s>", "{% if %}", "")
        for text in texts:
            messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
            if text and name == "alpaca":
                messages[0]["context"] = text
            pieces = [piece.replace("\U0010fffe", "") for piece in template.pieces(messages)]
            assert template.render(messages, ask=False).startswith("".join(pieces) + template.end)
            assert template.render(messages[:1], ask=True) == pieces[0]


class TestATemplateHasNoPlaceFor:
    @pytest.mark.parametrize(
        ("name", "messages", "said"),
        [
            ("alpaca", [SYSTEM, *ASK], "no place for a system message"),
            ("alpaca", TALK, "for no other turns"),
            ("lima", [SYSTEM, *ASK], "no place for a system message"),
            ("lima", [*ASK, *ASK], "have to take turns"),
            ("lima", [*TALK[:2], {"role": "tool", "content": "21"}], "have to take turns"),
            ("vicuna", TALK[1:], "have to take turns"),
            ("vicuna", [*TALK[:2], {"role": "tool", "content": "21"}], "have to take turns"),
        ],
    )
    def test_messages_that_the_published_code_could_not_train_on(self, template_of, name, messages, said):
        from jinja2 import TemplateError

        with pytest.raises(CurateError, match=said):
            template_of(name).pieces(messages)
        with pytest.raises(TemplateError, match=said):  # whoever serves the model is told the same
            template_of(name).tokenizer.apply_chat_template(messages)


class TestATokenizerIsMadeReady:
    @pytest.mark.parametrize(
        ("name", "end", "added"),
        [
            ("lima", "<|end_of_turn|>", ("<|end_of_turn|>",)),
            ("chatml", "<|im_end|>", ("<|im_start|>", "<|im_end|>")),
            ("vicuna", "</s>", ()),
            ("alpaca", "</s>", ()),
        ],
    )
    def test_with_the_tokens_that_it_lacks(self, tokenizer_of, name, end, added):
        tokenizer = tokenizer_of()
        before = len(tokenizer)
        template = template_for(name, tokenizer)
        assert (template.end, template.added) == (end, added)
        assert template.end_id == tokenizer.convert_tokens_to_ids(end)
        assert tokenizer.convert_tokens_to_ids(list(added)) == list(range(before, before + len(added)))
        assert tokenizer.decode([template.end_id], skip_special_tokens=True) == ""
        assert tokenizer.chat_template == template.jinja

    def test_and_keeps_its_own_token_for_padding(self, tokenizer_of):
        tokenizer = tokenizer_of()
        template_for("alpaca", tokenizer, pad_token="<unk>")
        assert tokenizer.pad_token == "<pad>"

    def test_and_takes_one_that_it_knows(self, tokenizer_of):
        tokenizer = tokenizer_of(pad_token=None)
        assert template_for("alpaca", tokenizer, pad_token="<unk>").added == ()
        assert tokenizer.pad_token_id == tokenizer.unk_token_id

    def test_and_is_given_one_that_it_does_not_know(self, tokenizer_of):
        tokenizer = tokenizer_of(pad_token=None)
        assert template_for("alpaca", tokenizer, pad_token="[PAD]").added == ("[PAD]",)
        assert tokenizer.pad_token_id == len(tokenizer) - 1

    def test_and_is_refused_without_one(self, tokenizer_of):
        with pytest.raises(PipelineError, match="no token to pad with") as told:
            template_for("alpaca", tokenizer_of(pad_token=None, name_or_path="models/mine"))
        assert told.value.where == "models/mine"

    @pytest.mark.parametrize("name", ["alpaca", "vicuna"])
    def test_and_is_refused_without_a_token_that_ends_a_text_where_one_is_needed(self, tokenizer_of, name):
        with pytest.raises(PipelineError, match="no token that ends a text") as told:
            template_for(name, tokenizer_of(eos_token=None, name_or_path="models/mine"))
        assert (told.value.where, bool(told.value.next)) == ("models/mine", True)
        assert template_for("lima", tokenizer_of(eos_token=None)).end == "<|end_of_turn|>"

    def test_and_is_refused_in_python_alone(self):
        class Slow:
            is_fast = False

        with pytest.raises(PipelineError, match="in Python alone"):
            template_for("lima", Slow())

    def test_and_no_name_is_guessed(self, tokenizer_of):
        with pytest.raises(PipelineError, match="'chatlm'") as told:
            template_for("chatlm", tokenizer_of())
        assert "chatml" in str(told.value)
        assert template_names() == ["alpaca", "chatml", "lima", "own", "vicuna"]


class TestTheTokenizersOwnTemplate:
    def test_is_taken_as_it_is_with_the_end_that_it_writes(self, template_of):
        template = template_of("own")
        assert (template.name, template.end, template.gap, template.several_turns) == ("own", "</s>", "", True)
        assert template.tokenizer.chat_template == template.jinja

    @pytest.mark.parametrize(
        ("jinja", "said"),
        [
            (None, "no chat template of its own"),
            ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "no special token after an answer"),
            ("{{ raise_exception('No.') }}", "takes no question with its answer: No."),
            ("{{ nothing.at_all }}", "takes no question with its answer"),
            ("{% for m in messages %}{{ m.content | upper }}</s>{% endfor %}", "does not write an answer"),
        ],
    )
    def test_is_refused_when_a_model_could_not_learn_from_it(self, tokenizer_of, jinja, said):
        tokenizer = tokenizer_of(name_or_path="models/mine")
        tokenizer.chat_template = jinja
        with pytest.raises(PipelineError, match=said) as told:
            template_for("own", tokenizer)
        assert (told.value.where, bool(told.value.next)) == ("models/mine", True)

    def test_is_rendered_turn_by_turn_only_where_texts_matter_to_it(self, tokenizer_of, monkeypatch):
        tokenizer = tokenizer_of()
        tokenizer.chat_template = (
            "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}</s>{% endfor %}"
            "{% if add_generation_prompt %}[assistant]{% endif %}"
        )
        template = template_for("own", tokenizer)
        rendered = []
        render = type(template).render
        monkeypatch.setattr(type(template), "render", lambda *a, **k: (rendered.append(a), render(*a, **k))[1])
        talk = [*TALK, {"role": "assistant", "content": "An alder."}]
        first = template.pieces(talk)
        rendered.clear()
        assert template.pieces(talk) == first
        assert len(rendered) == 1
        # A trimmed text is not what the pieces would be: they are looked for in what is written turn by turn.
        assert template.pieces([*talk[:3], {"role": "assistant", "content": " An alder.\n"}]) == first
        assert len(rendered) == 1 + 1 + 4

    def test_may_have_the_model_say_something_before_its_answer(self, tokenizer_of):
        tokenizer = tokenizer_of()
        tokenizer.chat_template = (
            "{% for m in messages %}[{{ m.role }}]{{ '<unk>' if m.role == 'assistant' }}{{ m.content }}</s>"
            "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
        )
        template = template_for("own", tokenizer)
        assert template.gap == "<unk>"
        assert template.pieces(TALK[:2])[1].replace("\U0010fffe", "") == "<unk>A rowan."

    @pytest.mark.parametrize("bos", ["", "{{ bos_token }}"], ids=["BOS once", "BOS before each question"])
    def test_may_write_something_between_an_answer_and_its_end_as_llama_2s_does(self, tokenizer_of, bos):
        tokenizer = tokenizer_of()
        tokenizer.chat_template = LLAMA_2.replace("BOS", bos)
        template = template_for("own", tokenizer)
        assert (template.gap, template.closing, template.several_turns, template.rewrites) == (
            " ",
            " ",
            True,
            False,
        )
        pieces = [piece.replace("\U0010fffe", "") for piece in template.pieces(TALK)]
        again = "<s>" if bos else ""
        assert pieces[1:] == [" A rowan. ", f"</s>{again}[INST] One more? [/INST]"]


# As meta-llama/Llama-2-7b-chat-hf writes it, which puts BOS before each question.
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}BOS{{ '[INST] ' + m.content | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)


def test_several_turns_are_taken_by_all_but_alpacas(template_of):
    assert {name: template_of(name).several_turns for name in template_names()} == {
        "alpaca": False,
        "chatml": True,
        "lima": True,
        "own": True,
        "vicuna": True,
    }
