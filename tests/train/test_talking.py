"""Conversations with a model, and the commands that speak: typed, piped, interrupted, too long for a window."""

import json

import pytest
from click.testing import CliRunner

from curate.cli import spoken, train_chat_command, train_generate_command
from curate.errors import CurateError
from curate.train.recipe import read_recipe

pytest.importorskip("torch")
pytest.importorskip("transformers")

from curate.train.rows.templates import template_for
from curate.train.rows.tokens import prompt_ids
from curate.train.speech.speaking import Said, Speaker
from curate.train.speech.talking import Conversation
from curate.train.weights import load_model, load_tokenizer, open_model


@pytest.fixture(scope="module")
def spoken_by(tiny_model):
    """Make a speaker of a tiny model, under a template."""

    def made(template="chatml", **changes):
        opened = open_model(tiny_model())
        recipe = read_recipe(
            "small",
            {"template": template, "max_new_tokens": 6, "precision": "fp32", "temperature": 0.0, **changes},
        )
        prepared = template_for(template, load_tokenizer(opened))
        return Speaker(load_model(opened, prepared, recipe), prepared, recipe)

    return made


@pytest.fixture
def scripted(spoken_by, monkeypatch):
    """A speaker that answers by heart, and the prompts that it was given."""

    def made(*answers, template="chatml", window=4096, **changes):
        speaker = spoken_by(template, **changes)
        speaker.bare.config.max_position_embeddings = window
        left, given = list(answers), []

        def answer(_self, prompt, *, id="", seed=None, heard=None):
            given.append((id, seed, list(prompt)))
            said = left.pop(0) if left else "Yes."
            if isinstance(said, BaseException):
                heard("So f")
                heard("ar")
                raise said
            if heard is not None:
                heard(said)
            return Said(said, tuple(speaker.template.encoder.answers([said])[0].tolist()), "end")

        monkeypatch.setattr(Speaker, "answer", answer)
        return speaker, given

    return made


def record(prompt, *history, system=None):
    turns = [{"role": ("user", "assistant")[at % 2], "text": text} for at, text in enumerate(history)]
    return {"system": system, "history": turns, "prompt": prompt, "context": None}


def nothing(_piece):
    pass


class TestConversations:
    @pytest.mark.parametrize("template", ["chatml", "lima", "vicuna"])
    def test_a_model_is_told_what_was_said_before(self, scripted, template):
        speaker, given = scripted("A rowan.", "An alder.", template=template)
        talk = Conversation(speaker)
        talk.say("Name a tree.", nothing)
        talk.say("Another.", nothing)
        talk.say("One more.", nothing)
        history = ("Name a tree.", "A rowan.", "Another.", "An alder.")
        assert given[1][2] == prompt_ids(record("Another.", *history[:2]), speaker.template)
        assert given[2][2] == prompt_ids(record("One more.", *history), speaker.template)

    def test_under_a_template_of_one_exchange_each_message_begins_anew(self, scripted):
        speaker, given = scripted(template="alpaca")
        talk = Conversation(speaker)
        talk.say("Name a tree.", nothing)
        talk.say("Another.", nothing)
        assert not talk.several_turns
        assert given[1][2] == prompt_ids(record("Another."), speaker.template)

    def test_a_system_message_comes_first_every_time(self, scripted):
        speaker, given = scripted("Ja.")
        talk = Conversation(speaker, system="Answer in German.")
        talk.say("Really?", nothing)
        talk.say("Sure?", nothing)
        assert given[1][2] == prompt_ids(
            record("Sure?", "Really?", "Ja.", system="Answer in German."), speaker.template
        )

    def test_after_forgetting_a_conversation_goes_as_it_went_first(self, scripted):
        speaker, given = scripted()
        talk = Conversation(speaker, seed=5)
        talk.say("Name a tree.", nothing)
        talk.say("Another.", nothing)
        talk.forget()
        talk.say("Name a tree.", nothing)
        assert given[2] == given[0]
        assert [(id, seed) for id, seed, _ in given] == [("message:1", 5), ("message:2", 5), ("message:1", 5)]

    def test_marks_of_the_template_in_an_answer_are_plain_text_when_it_is_told_again(self, scripted):
        speaker, given = scripted("<|im_end|>\n<|im_start|>user")
        talk = Conversation(speaker)
        talk.say("Hello!", nothing)
        talk.say("And?", nothing)
        ends = [token for token in given[1][2] if token == speaker.template.end_id]
        assert len(ends) == 3, "of two questions and one answer"

    def test_the_oldest_exchanges_are_left_out_when_the_window_is_full(self, scripted):
        speaker, given = scripted(*["It lives in a wood. " * 3] * 9, window=120, max_new_tokens=20)
        talk = Conversation(speaker)
        for _ in range(6):
            talk.say("Where does the wren live?", nothing)
        assert talk.left_out > 0
        assert all(len(prompt) + 20 <= 120 for _, _, prompt in given)
        kept = [text for exchange in talk.exchanges[:-1] for text in exchange]
        assert given[-1][2] == prompt_ids(record("Where does the wren live?", *kept), speaker.template)

    def test_a_message_longer_than_the_window_is_not_in_the_way_of_the_next(self, spoken_by):
        speaker = spoken_by()
        speaker.bare.config.max_position_embeddings = 64
        talk = Conversation(speaker)
        said = talk.say("wren " * 200, nothing)
        assert (said.stop, said.tokens, talk.exchanges) == ("window", 0, [])
        assert talk.say("wren", nothing).tokens > 0

    def test_what_was_heard_of_an_interrupted_answer_stays(self, scripted):
        speaker, given = scripted(KeyboardInterrupt())
        talk = Conversation(speaker)
        with pytest.raises(KeyboardInterrupt):
            talk.say("Name a tree.", nothing)
        talk.say("Go on.", nothing)
        assert given[1][2] == prompt_ids(record("Go on.", "Name a tree.", "So far"), speaker.template)


def chat(speaker, monkeypatch, *, typed=None, piped="", options=()):
    """What `curate train chat` writes to both streams, with lines that are typed, or errors for such, or piped."""
    monkeypatch.setattr(train_chat_command, "speaker_of", lambda *_: speaker)
    if typed is not None:
        left = list(typed)

        def ask(_prompt):
            line = left.pop(0) if left else EOFError()
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr(train_chat_command, "_typing", lambda: True)
        monkeypatch.setattr("builtins.input", ask)
    return CliRunner().invoke(train_chat_command.command, ["DIR", *options], input=piped, catch_exceptions=False)


class TestChat:
    def test_lines_of_a_pipe_are_messages_and_answers_alone_are_written(self, scripted, monkeypatch):
        speaker, given = scripted("A rowan.", "An alder.")
        done = chat(speaker, monkeypatch, piped="Name a tree.\n\n  \nAnother.")
        assert done.stdout == "A rowan.\nAn alder.\n"
        assert (done.stderr, done.exit_code, len(given)) == ("", 0, 2)

    def test_commands_work_through_a_pipe_too(self, scripted, monkeypatch):
        speaker, given = scripted("A rowan.")
        done = chat(speaker, monkeypatch, piped="Name a tree.\n/new\nAnother.\n/exit\nnot asked\n")
        assert given[1][2] == prompt_ids(record("Another."), speaker.template)
        assert len(given) == 2
        assert done.stderr == "Forgotten.\n"

    def test_bytes_that_are_no_text_are_replaced(self, scripted, monkeypatch):
        speaker, given = scripted()
        chat(speaker, monkeypatch, piped=b"caf\xe9\n")
        assert given[0][2] == prompt_ids(record("caf�"), speaker.template)

    def test_ctrl_d_ends(self, scripted, monkeypatch):
        speaker, given = scripted("A rowan.")
        done = chat(speaker, monkeypatch, typed=["Name a tree.", EOFError(), "not asked"])
        assert (done.exit_code, len(given)) == (0, 1)
        assert "A rowan.\n" in done.stdout

    def test_ctrl_c_where_one_types_says_how_to_end_and_ends_nothing(self, scripted, monkeypatch):
        speaker, given = scripted()
        done = chat(speaker, monkeypatch, typed=[KeyboardInterrupt(), "Name a tree."])
        assert "Ctrl-D or /exit ends." in done.stderr
        assert len(given) == 1

    def test_ctrl_c_stops_an_answer_and_the_conversation_goes_on(self, scripted, monkeypatch):
        speaker, given = scripted(KeyboardInterrupt(), "A rowan.")
        done = chat(speaker, monkeypatch, typed=["Name a tree.", "Go on."])
        assert done.stdout.startswith("So far\nA rowan.\n")
        assert "(stopped)" in done.stderr
        assert given[1][2] == prompt_ids(record("Go on.", "Name a tree.", "So far"), speaker.template)

    def test_a_command_that_is_none_is_not_asked(self, scripted, monkeypatch):
        speaker, given = scripted()
        done = chat(speaker, monkeypatch, typed=["/help", "/etc/passwd is what?"])
        assert "There is no /help. /new: forget what was said, /exit: end (as Ctrl-D does)." in done.stderr
        assert given[0][2] == prompt_ids(record("/etc/passwd is what?"), speaker.template)

    def test_a_template_of_one_exchange_is_told_at_once(self, scripted, monkeypatch):
        speaker, _ = scripted(template="alpaca")
        done = chat(speaker, monkeypatch, piped="Name a tree.\n")
        assert done.stderr == "The template alpaca has room for one exchange: each message begins anew.\n"

    def test_a_system_message_the_template_has_no_place_for_is_told_before_the_first_line(
        self, scripted, monkeypatch
    ):
        speaker, given = scripted(template="alpaca")
        for system in ({"typed": ["Hello!"]}, {"piped": "Hello!\n"}):
            with pytest.raises(CurateError, match="no place for a system message") as told:
                chat(speaker, monkeypatch, options=["--system", "Be brief."], **system)
            assert told.value.next == "leave it out"
        assert given == []

    def test_a_message_that_cannot_be_asked_ends_nothing_but_a_pipe_knows(self, scripted, monkeypatch):
        speaker, given = scripted("Yes.", "Yes.")
        done = chat(speaker, monkeypatch, piped="a\U0010ffff\nReally?\n")
        assert "no characters" in done.stderr
        assert (done.stdout, done.exit_code, len(given)) == ("Yes.\n", 1, 1)
        done = chat(speaker, monkeypatch, typed=["a\U0010ffff", "Really?"])
        assert (done.exit_code, len(given)) == (0, 2)

    def test_a_message_longer_than_the_window_is_none_that_was_answered(self, spoken_by, monkeypatch):
        speaker = spoken_by()
        speaker.bare.config.max_position_embeddings = 64
        done = chat(speaker, monkeypatch, piped="wren " * 200)
        assert "longer than the model's window" in done.stderr
        assert done.exit_code == 1

    def test_a_real_model_speaks_and_says_why_it_stopped(self, spoken_by, monkeypatch):
        speaker = spoken_by()
        done = chat(speaker, monkeypatch, piped="Where does the wren live?\n")
        said = Conversation(speaker).say("Where does the wren live?", nothing)
        assert done.stdout == f"{said.text}\n"
        assert (said.stop == "end") == (done.stderr == "")
        assert said.stop == "length"
        assert done.stderr == "(cut off after 6 tokens, the most that it may say)\n"


@pytest.fixture
def asked(spoken_by, monkeypatch):
    """`curate train generate`, of a tiny model."""
    speaker = spoken_by()
    seen = {}

    def made(*arguments, **given):
        monkeypatch.setattr(
            train_generate_command,
            "speaker_of",
            lambda _folder, epoch, _model, changes: seen.update(epoch=epoch, **changes) or speaker,
        )
        done = CliRunner().invoke(
            train_generate_command.command, ["DIR", *map(str, arguments)], catch_exceptions=False, **given
        )
        return done, seen

    made.speaker = speaker
    return made


class TestGenerate:
    def test_one_prompt_has_its_answer_alone(self, asked):
        done, _ = asked("Name a tree.")
        expected = asked.speaker.answer([{"role": "user", "content": "Name a tree."}])
        assert done.stdout == f"{expected.text}\n"

    def test_a_prompt_comes_from_a_pipe(self, asked):
        assert asked(input="Name a tree.")[0].stdout == asked("Name a tree.")[0].stdout

    def test_where_nothing_is_asked_that_is_told(self, asked):
        done, _ = asked(input="")
        assert (done.exit_code, "nothing is asked" in done.stderr) == (2, True)

    @pytest.mark.parametrize("template", ["chatml", "lima", "vicuna", "alpaca"])
    def test_an_empty_prompt_is_asked_as_it_is(self, spoken_by, template):
        speaker = spoken_by(template)
        prompt = prompt_ids(record(""), speaker.template)
        assert prompt
        assert speaker.prompt([{"role": "user", "content": ""}]) == prompt
        assert speaker.answer(prompt).tokens > 0

    def test_a_prompt_beyond_the_window_is_an_error(self, asked, monkeypatch):
        monkeypatch.setattr(asked.speaker.bare.config, "max_position_embeddings", 20)
        with pytest.raises(CurateError, match="window of 20 tokens"):
            asked("wren " * 50)

    def test_several_prompts_are_lines_of_json(self, asked):
        done, _ = asked("Name a tree.", "Where does the wren live?", "Name a tree.")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["prompt"] for line in lines] == ["Name a tree.", "Where does the wren live?", "Name a tree."]
        assert lines[0] == lines[2]
        assert lines[0]["answer"] == asked("Name a tree.")[0].stdout[:-1]

    def test_a_file_of_prompts_becomes_a_file_of_answers(self, asked, tmp_path):
        rows = [{"id": "a", "prompt": "Name a tree.", "system": "Be brief."}, {"prompt": "Sure?", "context": "x"}]
        file = tmp_path / "prompts.jsonl"
        file.write_text("".join(json.dumps(row) + "\n\n" for row in rows), "utf-8")
        done, _ = asked("--prompts", file, "--to", tmp_path / "answers.jsonl")
        lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
        assert lines[0]["id"] == "a"
        assert lines[1]["prompt"] == "Sure?\n\nx"
        assert done.stdout == f"2 answers in {tmp_path / 'answers.jsonl'}\n"

    def test_a_text_file_has_a_prompt_a_line(self, asked, tmp_path):
        file = tmp_path / "prompts.txt"
        file.write_text("Name a tree.\n\nWhere does the wren live?\n", "utf-8")
        assert len(asked("--prompts", file)[0].stdout.splitlines()) == 2

    def test_what_is_given_takes_the_place_of_the_recipes(self, asked):
        _, seen = asked("Name a tree.", "--temperature", "0", "--top-p", ".5", "--seed", "3", "--epoch", "7")
        assert (seen["temperature"], seen["top_p"], seen["seed"], seen["epoch"]) == (0.0, 0.5, 3, 7)
        assert seen["max_new_tokens"] is None

    def test_messages_are_asked_as_a_record_of_the_same_turns(self, asked, tmp_path):
        turns = [{"role": "user", "text": "Hello!"}, {"role": "assistant", "text": "Hello."}]
        messages = [{"role": turn["role"], "content": turn["text"]} for turn in turns]
        rows = [
            {"id": "a", "history": turns, "prompt": "Name a tree.", "system": "Be brief."},
            {
                "id": "a",
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    *messages,
                    {"role": "user", "content": "Name a tree."},
                ],
            },
        ]
        (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        one, other = asked("--prompts", tmp_path / "p.jsonl")[0].stdout.splitlines()
        assert one == other

    @pytest.mark.parametrize(
        "line",
        [
            '{"prompt": 3}',
            '{"text": "a"}',
            "[1]",
            "{",
            '{"prompt": "a", "system": 3}',
            '{"prompt": "a", "history": ["b"]}',
            '{"prompt": "a", "history": [{"role": "user", "content": "b"}]}',
            '{"messages": "a"}',
            '{"messages": [{"role": "assistant", "content": "a"}]}',
        ],
    )
    def test_a_line_without_a_prompt_is_named(self, asked, tmp_path, line):
        file = tmp_path / "prompts.jsonl"
        file.write_text('{"prompt": "a"}\n' + line + "\n", "utf-8")
        with pytest.raises(CurateError, match="line 2"):
            asked("--prompts", file)

    def test_a_file_that_is_no_text_is_told(self, asked, tmp_path):
        (tmp_path / "p.txt").write_bytes(b"caf\xe9")
        with pytest.raises(CurateError, match="no UTF-8"):
            asked("--prompts", tmp_path / "p.txt")

    def test_one_that_cannot_be_asked_is_named_before_any_is_answered(self, asked, tmp_path, monkeypatch):
        monkeypatch.setattr(Speaker, "answers", lambda *_, **__: pytest.fail("a prompt was answered"))
        file = tmp_path / "p.jsonl"
        rows = [{"prompt": "a"}, {"id": "mine:2", "prompt": "b\U0010ffff"}, {"prompt": "c"}]
        file.write_text("\n" + "".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        with pytest.raises(CurateError, match=r"line 3 \(id mine:2\) cannot be asked: .*no characters") as told:
            asked("--prompts", file, "--to", tmp_path / "a.jsonl")
        assert (told.value.where, bool(told.value.next)) == (str(file), True)
        with pytest.raises(CurateError, match="prompt 2 "):
            asked("a", "b\U0010ffff")
        (tmp_path / "p.txt").write_text("b\U0010ffff\n", "utf-8")
        with pytest.raises(CurateError, match="line 1 "):
            asked("--prompts", tmp_path / "p.txt")

    def test_no_file_of_answers_is_overwritten(self, asked, tmp_path, monkeypatch):
        monkeypatch.setattr(Speaker, "answers", lambda *_, **__: pytest.fail("a prompt was answered"))
        (tmp_path / "a.jsonl").write_text("mine", "utf-8")
        with pytest.raises(CurateError, match="there already") as told:
            asked("Name a tree.", "--to", tmp_path / "a.jsonl")
        assert "--to" in told.value.next
        assert (tmp_path / "a.jsonl").read_text("utf-8") == "mine"

    def test_a_file_without_prompts_is_told(self, asked, tmp_path):
        (tmp_path / "none.txt").write_text("\n", "utf-8")
        with pytest.raises(CurateError, match="no prompt in the file"):
            asked("--prompts", tmp_path / "none.txt")


class TestSpoken:
    def test_what_moves_a_cursor_is_not_sent_to_a_terminal(self, monkeypatch, capsys):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        spoken.speak("a\x1b[2Jb\u202ec\nd\te 👩‍🚀")
        assert capsys.readouterr().out == "a⟨U+001B⟩[2Jb⟨U+202E⟩c\nd\te 👩‍🚀"

    def test_into_a_pipe_an_answer_goes_as_it_is(self, capsys):
        spoken.speak("a\x1b[2Jb")
        assert capsys.readouterr().out == "a\x1b[2Jb"

    @pytest.mark.parametrize(
        ("stop", "tokens", "said"),
        [("end", 3, ""), ("length", 1200, "cut off after 1,200 tokens"), ("window", 3, "window is full")],
    )
    def test_why_an_answer_has_no_end_is_said(self, stop, tokens, said):
        assert said in spoken.why_stopped(stop, tokens)
        assert bool(said) == bool(spoken.why_stopped(stop, tokens))

    def test_a_prompt_beyond_the_window_is_said_to_be(self):
        assert "longer than the model's window" in spoken.why_stopped("window", 0)
