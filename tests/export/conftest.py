"""A small set with all that records may have, and the tokenizer that trainers are tried with."""

import pytest

from curate.record import records

PLAIN = {"id": "a:1", "prompt": "Name a prime.", "response": "Seven.", "license": "CC0-1.0", "source": "mine"}
GIVEN = {
    **PLAIN,
    "id": "a:2",
    "prompt": "Which of these swims?",
    "context": "A trout, a wren.",
    "response": "A trout.",
}
DIALOGUE = {
    **PLAIN,
    "id": "a:3",
    "system": "Answer in one word.",
    "history": [{"role": "user", "text": "Hello."}, {"role": "assistant", "text": "Hello!"}],
    "prompt": "And now?",
    "response": "Tea.",
}
QUESTION = {"id": "a:4", "prompt": "What is a fugue?"}
TOOLS = {
    **PLAIN,
    "id": "a:5",
    "history": [
        {"role": "user", "text": "How warm is it?"},
        {"role": "assistant", "text": "thermometer()"},
        {"role": "tool", "text": "21"},
        {"role": "assistant", "text": "It is 21 degrees."},
    ],
    "prompt": "And tomorrow?",
    "response": "Nobody knows.",
}


@pytest.fixture
def splits():
    """Frames by split, as an exporting run gives them."""

    def made(**rows):
        return lambda split: iter([records(rows.get(split, []))])

    return made


# The turns of the assistant stand between marks by which TRL and axolotl know what to train on.
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{{ m.content }}"
    "<|im_end|>{% endgeneration %}\n{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer():
    """A tokenizer of bytes with ChatML's template, made on the spot."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    marks = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, special_tokens=marks, initial_alphabet=alphabet)
    inner.train_from_iterator(["a"], trainer)
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    made.chat_template = TEMPLATE
    return made
