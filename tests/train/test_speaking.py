"""Answers: why they stop, what their draws depend on, and a model that is as it was once it was asked."""

import json
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from curate.errors import CurateError
from curate.keys import draws, seed_for, shares
from curate.train.recipe import read_recipe

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from curate.train.rows.templates import template_for
from curate.train.speech.listening import as_it_was, unwrapped
from curate.train.speech.sampling import Sampler, uniforms
from curate.train.speech.speaking import Speaker, answered, load_speaker, record_of, write_lines
from curate.train.speech.streaming import Stream

GREEDY = {"temperature": 0.0, "repetition_penalty": 1.0}
LOWEST = -30.0


def recipe(**changes):
    return read_recipe("small", {"max_new_tokens": 12, "precision": "fp32", **changes})


def opened(folder):
    """A tiny model, and the template of Vicuna, which adds no tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    template = template_for("vicuna", AutoTokenizer.from_pretrained(folder), pad_token="<unk>")
    return AutoModelForCausalLM.from_pretrained(folder).eval(), template


@pytest.fixture
def loaded(tiny_model):
    return opened(tiny_model())


@pytest.fixture
def speaker(loaded):
    model, template = loaded
    return lambda **changes: Speaker(model, template, recipe(**changes))


def always(model, scores):
    """Have the model score tokens so, whatever it is given: {token: score}, or one such a step."""
    steps = scores if isinstance(scores, list) else [scores]
    calls = []

    def put(_module, _given, out):
        fixed = torch.full((out.shape[-1],), LOWEST)
        for token, score in steps[min(len(calls), len(steps) - 1)].items():
            fixed[token] = score
        calls.append(1)
        return fixed.expand_as(out)

    return model.lm_head.register_forward_hook(put)


def prompts_of(speaker, *texts):
    return [speaker.template.tokenizer(text).input_ids for text in texts]


TEXTS = ("Where does the wren live?", "Name", "Which colour is it, and where does it live, and since when?")
IDS = ("a", "b", "c")


class TestStops:
    def test_an_answer_ends_at_its_end_token_which_is_no_part_of_it(self, speaker):
        speaks = speaker(**GREEDY)
        always(speaks.bare, [{7: 1.0}, {8: 1.0}, {speaks.ends[0]: 1.0}])
        said = speaks.answer([5, 6])
        assert (said.ids, said.stop, said.tokens) == ((7, 8), "end", 2)
        assert said.text == speaks.template.tokenizer.decode([7, 8])

    def test_what_the_template_has_a_model_say_first_is_no_part_of_the_text(self, speaker):
        speaks = speaker(**GREEDY)
        first, *rest = speaks.template.tokenizer(" A fugue.", add_special_tokens=False).input_ids
        always(speaks.bare, [{each: 1.0} for each in (first, *rest, speaks.ends[0])])
        assert speaks.template.gap == " "
        assert speaks.answer([5]).text == "A fugue."

    def test_what_it_has_a_model_say_last_is_none_either_and_is_never_streamed(self, loaded):
        model, template = loaded
        speaks = Speaker(model, replace(template, closing=" Over."), recipe(**GREEDY, max_new_tokens=40))
        ids = template.tokenizer(" A fugue is over. Over.", add_special_tokens=False).input_ids
        always(model, [{each: 1.0} for each in (*ids, speaks.ends[0])])
        heard = []
        said = speaks.answer([5], heard=heard.append)
        assert (said.text, said.stop) == ("A fugue is over.", "end")
        assert "".join(heard) == said.text

    def test_an_answer_that_is_cut_keeps_all_its_words(self, loaded):
        model, template = loaded
        ids = template.tokenizer(" Over.", add_special_tokens=False).input_ids
        speaks = Speaker(model, replace(template, closing="Over."), recipe(**GREEDY, max_new_tokens=len(ids)))
        always(model, [{each: 1.0} for each in ids])
        said = speaks.answer([5])
        assert (said.text, said.stop) == ("Over.", "length")

    def test_an_answer_is_cut_at_the_recipes_length(self, speaker):
        speaks = speaker(**GREEDY, max_new_tokens=4)
        always(speaks.bare, {7: 1.0})
        assert speaks.answer([5, 6]).stop == "length"
        assert speaks.answer([5, 6]).ids == (7, 7, 7, 7)

    def test_an_end_token_in_the_last_place_is_an_end(self, speaker):
        speaks = speaker(**GREEDY, max_new_tokens=2)
        always(speaks.bare, [{7: 1.0}, {speaks.ends[0]: 1.0}])
        said = speaks.answer([5])
        assert (said.stop, said.ids) == ("end", (7,))

    def test_the_models_own_end_ends_an_answer_too(self, loaded):
        model, template = loaded
        own = template.tokenizer.convert_tokens_to_ids("a")
        speaks = Speaker(model, replace(template, end_id=own), recipe(**GREEDY))
        always(model, [{7: 1.0}, {template.tokenizer.eos_token_id: 1.0}])
        assert speaks.ends == [own, template.tokenizer.eos_token_id]
        assert speaks.answer([5]).stop == "end"

    def test_a_full_window_is_told_apart_from_a_length(self, speaker):
        speaks = speaker(**GREEDY)
        speaks.bare.config.max_position_embeddings = 8
        always(speaks.bare, {7: 1.0})
        said = speaks.answers([[5] * 3, [5] * 6, [5] * 8, [5] * 9], ["a", "b", "c", "d"])
        assert [(each.stop, each.tokens) for each in said] == [
            ("window", 5),
            ("window", 2),
            ("window", 0),
            ("window", 0),
        ]

    def test_no_row_is_cut_short_because_a_longer_one_is_in_its_batch(self, speaker):
        speaks = speaker()
        speaks.bare.config.max_position_embeddings = 30
        prompts = prompts_of(speaks, *TEXTS)
        together = speaks.answers(prompts, IDS)
        assert together == [speaks.answer(prompt, id=id) for prompt, id in zip(prompts, IDS, strict=True)]
        assert {len(prompt) for prompt in prompts if len(prompt) > 18}, "one has less room than it may say"

    def test_a_prompt_of_no_tokens_is_an_error(self, speaker):
        with pytest.raises(CurateError, match="no token"):
            speaker().answer([])

    def test_a_model_whose_scores_are_no_numbers_is_told(self, speaker):
        speaks = speaker()
        with torch.no_grad():
            speaks.bare.model.norm.weight.fill_(torch.nan)
        with pytest.raises(CurateError, match="not numbers"):
            speaks.answer([5])


class TestBatches:
    @pytest.mark.parametrize("changes", [GREEDY, {"repetition_penalty": 1.2}], ids=["greedy", "drawn"])
    @pytest.mark.parametrize("kind", ["bytes", "metaspace"])
    def test_answers_together_are_those_one_by_one(self, tiny_model, changes, kind):
        speaks = Speaker(*opened(tiny_model(kind, bos=False, pad=False)), recipe(**changes))
        prompts = prompts_of(speaks, *TEXTS)
        alone = [speaks.answer(prompt, id=id) for prompt, id in zip(prompts, IDS, strict=True)]
        assert speaks.answers(prompts, IDS) == alone
        assert speaks.answers(prompts, IDS, batch=2) == alone
        assert speaks.answers(prompts[::-1], IDS[::-1]) == alone[::-1]

    def test_as_many_are_asked_at_a_time_as_memory_holds(self, loaded):
        from transformers import LlamaConfig

        def at_once(device, prompt, **shape):
            config = LlamaConfig(max_position_embeddings=4096, **shape)
            bare = SimpleNamespace(
                config=config, device=torch.device(device), dtype=torch.bfloat16, generation_config=None
            )
            return Speaker(bare, loaded[1], recipe(max_new_tokens=2048)).at_once(prompt)

        # Llama 7B: half a MiB a token.
        assert at_once("cuda", 2048) == 4
        assert at_once("cuda", 9999) == 4, "beyond its window, no more is kept"
        assert at_once("cpu", 2048) == 1
        assert at_once("cuda", 2048, num_key_value_heads=8) == 16
        assert at_once("cuda", 2048, num_hidden_layers=2, hidden_size=64, num_attention_heads=1) == 64

    def test_it_is_counted_how_many_have_ended(self, speaker):
        speaks, counted = speaker(), []
        speaks.answers(prompts_of(speaks, *TEXTS), IDS, batch=2, done=counted.append)
        assert counted == [2, 1]


class TestDraws:
    def test_the_same_seed_and_id_say_the_same(self, speaker):
        speaks = speaker(max_new_tokens=20)
        (prompt,) = prompts_of(speaks, TEXTS[0])
        said = speaks.answer(prompt, id="a", seed=3)
        torch.manual_seed(99)
        assert speaks.answer(prompt, id="a", seed=3) == said

    def test_another_seed_or_id_says_something_else(self, speaker):
        speaks = speaker(max_new_tokens=20)
        (prompt,) = prompts_of(speaks, TEXTS[0])
        said = speaks.answer(prompt, id="a", seed=3)
        assert speaks.answer(prompt, id="b", seed=3) != said
        assert speaks.answer(prompt, id="a", seed=4) != said

    def test_the_seed_is_the_recipes_unless_another_is_given(self, speaker):
        (prompt,) = prompts_of(speaker(), TEXTS[0])
        assert speaker(seed=4).answer(prompt, id="a") == speaker().answer(prompt, id="a", seed=4)

    def test_an_answers_numbers_go_on_where_it_went_on(self):
        assert uniforms(13, "a", 0, 9)[4:].tolist() == uniforms(13, "a", 4, 5).tolist()
        expected = shares(draws(["a\x004"]), seed_for(13, "answers"))
        assert uniforms(13, "a", 4, 1).tolist() == expected.to_list()

    def test_tokens_are_drawn_as_often_as_the_nucleus_has_them(self):
        # Of .5, .3, .15 and .05, the fewest with .9 of the mass are the first three.
        drawn = frequencies([0.5, 0.3, 0.15, 0.05], top_p=0.9)
        assert drawn == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0], abs=0.015)

    def test_the_lowest_of_temperatures_draws_the_likeliest(self):
        assert frequencies([0.4, 0.35, 0.25], temperature=1e-30).tolist() == [1, 0, 0]

    def test_a_nucleus_that_is_met_exactly_takes_no_more(self):
        drawn = frequencies([0.5, 0.25, 0.125, 0.125], top_p=0.75)
        assert drawn == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=0.015)

    def test_the_likeliest_token_is_in_every_nucleus(self):
        assert frequencies([0.1, 0.6, 0.3], top_p=0.01).tolist() == [0, 1, 0]

    def test_a_nucleus_of_all_leaves_out_nothing(self):
        drawn = frequencies([0.05, 0.5, 0.45], top_p=1.0)
        assert drawn == pytest.approx([0.05, 0.5, 0.45], abs=0.015)

    @pytest.mark.parametrize("top_p", [0.5, 0.9, 0.999])
    def test_a_nucleus_of_many_tokens_is_what_a_sorted_vocabulary_says(self, top_p):
        # At .999 it has more tokens than are looked at first.
        scores = torch.randn(4, 5000, generator=torch.Generator().manual_seed(2))
        sampler = Sampler([[]] * 4, np.zeros((4, 1)), temperature=1.0, top_p=top_p, repetition_penalty=1.0)
        mass, tokens = sampler._nucleus(torch.softmax(scores.double(), -1))
        found = torch.zeros(4, 5000, dtype=torch.double).scatter(1, tokens, mass)
        likeliest, order = torch.softmax(scores.double(), -1).sort(descending=True)
        for row in range(4):
            count = int((likeliest[row].cumsum(0) < top_p).sum()) + 1
            assert set(found[row].nonzero().flatten().tolist()) == set(order[row, :count].tolist())
        assert (tokens.diff() > 0).all()

    def test_a_temperature_of_a_half_squares_what_is_likely(self):
        drawn = frequencies([0.6, 0.4], temperature=0.5)
        assert drawn == pytest.approx([0.36 / 0.52, 0.16 / 0.52], abs=0.015)

    def test_the_nucleus_is_of_what_the_temperature_left(self):
        # At a temperature of .5, the first has .69 of the mass: alone it is enough for .65, as it was not before.
        assert frequencies([0.6, 0.4], temperature=0.5, top_p=0.65).tolist() == [1, 0]

    @pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
    def test_numbers_at_the_ends_draw_tokens_of_the_nucleus(self, number):
        shares_of = torch.tensor([[0.0, 0.5, 0.5, 0.0]]).log()
        sampler = Sampler([[]], np.full((1, 1), number), temperature=1.0, top_p=1.0, repetition_penalty=1.0)
        assert sampler(torch.zeros(1, 1, dtype=torch.long), shares_of).argmax().item() == (1 if number == 0 else 2)

    def test_nothing_is_drawn_from_torch(self, speaker):
        speaks = speaker()
        torch.manual_seed(1)
        before = torch.get_rng_state()
        with as_it_was(speaks.bare, speaks.recipe):
            drawn = Sampler([[]], np.array([[0.3]]), temperature=1.0, top_p=0.9, repetition_penalty=1.2)
            drawn(
                torch.zeros(1, 1, dtype=torch.long), torch.randn(1, 5, generator=torch.Generator().manual_seed(1))
            )
            assert torch.equal(torch.get_rng_state(), before)


def frequencies(mass, *, temperature=1.0, top_p=1.0, count=20_000):
    """How often each token is drawn, of so many rows."""
    numbers = shares(draws(map(str, range(count))), 1).to_numpy()[:, None]
    sampler = Sampler([[]] * count, numbers, temperature=temperature, top_p=top_p, repetition_penalty=1.0)
    scores = torch.tensor(mass).log().expand(count, -1)
    chosen = sampler(torch.zeros(count, 1, dtype=torch.long), scores).argmax(-1)
    return np.bincount(chosen.numpy(), minlength=len(mass)) / count


class TestPenalty:
    def test_the_prompts_tokens_are_not_penalised(self, speaker):
        speaks = speaker(temperature=0.0, repetition_penalty=1.2, max_new_tokens=4)
        always(speaks.bare, {7: 2.0, 8: 1.9})
        # 7 falls to 1.67 once it is said, and 8 to 1.58: then 7 is the likelier one again.
        assert speaks.answer([7, 7, 7]).ids == (7, 8, 7, 7)

    def test_transformers_penalises_the_prompts_tokens(self, speaker):
        speaks = speaker()
        always(speaks.bare, {7: 2.0, 8: 1.9})
        given = torch.tensor([[7, 7, 7]])
        made = speaks.bare.generate(
            given, attention_mask=torch.ones_like(given), do_sample=False, repetition_penalty=1.2, max_new_tokens=1
        )
        assert made[0, -1].item() == 8, "if this fails, their processor does what ours is for"

    def test_scores_below_zero_go_further_down(self):
        sampler = Sampler([[0, 1]], np.zeros((1, 1)), temperature=0.0, top_p=1.0, repetition_penalty=2.0)
        scores = sampler(torch.zeros(1, 1, dtype=torch.long), torch.tensor([[4.0, -1.0, 1.0]]))
        assert scores.tolist() == [[2.0, -2.0, 1.0]]

    def test_a_token_is_penalised_once_however_often_it_was_said(self):
        sampler = Sampler([[0, 0, 0]], np.zeros((1, 2)), temperature=0.0, top_p=1.0, repetition_penalty=2.0)
        given = torch.zeros(1, 1, dtype=torch.long)
        for _ in range(2):
            assert sampler(given, torch.tensor([[4.0, 1.0]])).tolist() == [[2.0, 1.0]]


class TestStreams:
    def test_pieces_together_are_the_text(self, speaker):
        speaks, pieces = speaker(max_new_tokens=40), []
        (prompt,) = prompts_of(speaks, TEXTS[0])
        said = speaks.answer(prompt, id="a", heard=pieces.append)
        assert "".join(pieces) == said.text
        assert len(pieces) > 10

    @pytest.mark.parametrize("kind", ["bytes", "metaspace"])
    @pytest.mark.parametrize("text", ["长江 👩‍🚀 été", "👍", "a � b", "ends with �"])
    def test_no_letter_is_told_before_it_is_whole(self, tiny_model, kind, text):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(tiny_model(kind, bos=False))
        ids, pieces = tokenizer(text).input_ids, []
        stream = Stream(tokenizer.decode, pieces.append)
        stream.put(torch.tensor([[5, 6]]))  # the prompt comes first
        for token in ids:
            before = len(pieces)
            stream.put(torch.tensor([token]))
            assert text.startswith("".join(pieces))
            assert len(pieces) <= before + 1
        stream.close(tokenizer.decode(ids))
        assert "".join(pieces) == text
        assert len(ids) > len(text.split()), "letters are of several tokens"

    def test_a_letter_that_never_became_whole_is_told_at_the_end(self, tiny_model):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(tiny_model(bos=False))
        ids, pieces = tokenizer("a 👩").input_ids[:-1], []
        stream = Stream(tokenizer.decode, pieces.append)
        stream.put(torch.tensor([[5, 6]]))  # the prompt comes first
        for token in ids:
            stream.put(torch.tensor([token]))
        assert "�" not in "".join(pieces)
        stream.close(tokenizer.decode(ids))
        assert "".join(pieces) == tokenizer.decode(ids)
        assert pieces[-1].endswith("�")

    def test_an_interrupted_answer_leaves_the_model_as_it_was(self, loaded):
        model, template = loaded
        model.train()

        def stop(_piece):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Speaker(model, template, recipe()).answer([5, 6, 7], heard=stop)
        assert model.training


class TestAsItWas:
    def test_modes_settings_and_chance_are_as_before(self, loaded):
        model, template = loaded
        model.train()
        model.model.layers[1].eval()  # whoever set it so meant it
        settings = model.generation_config
        modes = [module.training for module in model.modules()]
        torch.manual_seed(5)
        before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002 (theirs)
        requires = [weight.requires_grad for weight in model.parameters()]
        speaks = Speaker(model, template, recipe())
        speaks.answers(prompts_of(speaks, *TEXTS), IDS)
        assert [module.training for module in model.modules()] == modes
        assert model.generation_config is settings
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002 (theirs)
        assert random.getstate() == before[2]
        assert [weight.requires_grad for weight in model.parameters()] == requires
        assert all(weight.grad is None for weight in model.parameters())

    def test_they_are_as_before_after_an_error_too(self, loaded):
        model, _ = loaded
        model.train()
        settings, chance = model.generation_config, torch.get_rng_state()

        def asked():
            with as_it_was(model, recipe()):
                assert not any(module.training for module in model.modules())
                torch.rand(3)
                raise CurateError("it broke")

        with pytest.raises(CurateError, match="it broke"):
            asked()
        assert model.training
        assert model.generation_config is settings
        assert torch.equal(torch.get_rng_state(), chance)

    def test_what_a_models_own_settings_say_of_sampling_counts_for_nothing(self, loaded):
        model, template = loaded
        speaks = Speaker(model, template, recipe(**GREEDY))
        (prompt,) = prompts_of(speaks, TEXTS[0])
        said = speaks.answer(prompt)
        model.generation_config.update(do_sample=True, temperature=9.0, repetition_penalty=9.0, min_new_tokens=99)
        assert Speaker(model, template, recipe(**GREEDY)).answer(prompt) == said

    def test_training_goes_on_bit_by_bit_as_if_nobody_had_asked(self, tiny_model):
        def trained(*, asked):
            model, template = opened(tiny_model())
            model.train()
            for layer in model.model.layers:
                layer.self_attn.attention_dropout = 0.3
            model.activation_checkpointing_enable()
            torch.manual_seed(3)
            steps = torch.optim.AdamW(model.parameters(), lr=1e-3)
            ids = torch.tensor([template.tokenizer(TEXTS[2]).input_ids] * 2)
            for _ in range(3):
                model(input_ids=ids, labels=ids).loss.backward()
                if asked:  # between backward and step, too
                    Speaker(model, template, recipe()).answers([[5, 6], [7]], ["a", "b"])
                steps.step()
                steps.zero_grad()
            return model.state_dict()

        one, other = trained(asked=False), trained(asked=True)
        assert all(torch.equal(one[name], other[name]) for name in one)

    def test_where_chance_is_not_put_back_that_would_be_seen(self, tiny_model):
        ids = torch.tensor([[5, 6, 7]])

        def loss(*, drawn):
            model, _ = opened(tiny_model())
            model.train()
            for layer in model.model.layers:
                layer.self_attn.attention_dropout = 0.3
            torch.manual_seed(3)
            torch.rand(drawn)
            return model(input_ids=ids, labels=ids).loss.item()

        assert loss(drawn=0) == loss(drawn=0) != loss(drawn=1)


class TestWrapped:
    @pytest.mark.filterwarnings(
        "ignore:`is_gradient_checkpointing`:FutureWarning"
    )  # peft 0.21 asks by the old name
    def test_adapters_stay_at_work(self, loaded):
        peft = pytest.importorskip("peft")
        model, template = loaded
        plain = Speaker(model, template, recipe(**GREEDY)).answer([5, 6, 7])
        wrapped = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear"))
        with torch.no_grad():
            for name, weight in wrapped.named_parameters():
                if "lora_B" in name:
                    weight.normal_(generator=torch.Generator().manual_seed(1))
        adapted = Speaker(wrapped, template, recipe(**GREEDY)).answer([5, 6, 7])
        assert adapted != plain
        merged = wrapped.merge_and_unload()
        assert Speaker(merged, template, recipe(**GREEDY)).answer([5, 6, 7]) == adapted

    def test_what_is_around_a_model_is_seen_through(self, loaded):
        model, _ = loaded
        compiled = SimpleNamespace(_orig_mod=model)
        assert unwrapped(SimpleNamespace(module=compiled)) is model


class TestFiles:
    def test_answers_are_written_whole(self, speaker, tmp_path, records):
        speaks = speaker()
        said = answered(speaks, records.head(4).to_dicts())
        write_lines(tmp_path / "deep" / "answers.jsonl", said)
        lines = (tmp_path / "deep" / "answers.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line) for line in lines] == said
        assert [each["id"] for each in said] == records["id"].head(4).to_list()
        assert set(said[0]) == {"id", "prompt", "answer", "stop", "tokens"}


class TestMessages:
    def test_messages_are_a_record_without_an_answer(self):
        record = record_of(
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello!"},
                {"role": "assistant", "content": "Hello."},
                {"role": "user", "content": "Name a tree."},
            ]
        )
        assert (record["system"], record["prompt"], record["response"]) == ("Be brief.", "Name a tree.", None)
        assert record["history"] == [{"role": "user", "text": "Hello!"}, {"role": "assistant", "text": "Hello."}]

    @pytest.mark.parametrize("messages", [[], [{"role": "assistant", "content": "Hello."}]])
    def test_what_asks_nothing_is_an_error(self, messages):
        with pytest.raises(CurateError, match="nothing to answer"):
            record_of(messages)


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(CurateError):
        load_speaker(tmp_path)
