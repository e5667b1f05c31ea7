"""Models made on the spot, and invented conversations for them to learn."""

import json
import os

import pytest

from curate.record import records as frame

# Two threads of OpenMP on a shared machine wait for each other: the same steps take 330 seconds instead of 10.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ANIMALS = (
    "wren trout otter heron badger vole newt adder marten plover stoat perch hare siskin lynx dormouse "
    "shrew osprey pike toad curlew weasel swift bream bittern polecat dunnock"
)
COLOURS = ("brown", "silver", "grey", "black", "red", "green")
PLACES = ("hedge", "brook", "river", "marsh", "wood", "meadow", "pond")

OWN = {"source": "mine", "license": "CC0-1.0"}


def turns(*texts):
    """Turns that user and assistant take, the user first."""
    return [{"role": ("user", "assistant")[at % 2], "text": text} for at, text in enumerate(texts)]


def invented():
    """Thirty questions and their answers, no two alike; every fifth has a context, some are in no English."""
    rows = []
    for at, animal in enumerate(ANIMALS.split()):
        colour, place = COLOURS[at % len(COLOURS)], PLACES[at % len(PLACES)]
        row = {**OWN, "id": f"mine:{at}", "prompt": f"Where does the {animal} live?"}
        row["response"] = f"The {colour} {animal} lives in the {place}, as number {at} of all."
        if at % 5 == 4:
            row |= {"prompt": "Which colour is it?", "context": f"{animal}, {colour}", "response": f"{colour}."}
        rows.append(row)
    others = (
        ("Name three rivers.", "1. Rhine\n2. Douro\n\n3. 長江"),
        ("Écris une ligne de code.", "```python\n    print('ça va 👩‍🚀')\n```"),
        ("ما اسمك؟", "اسمي حاسوب."),
    )
    rows += [{**OWN, "id": f"mine:o{at}", "prompt": ask, "response": say} for at, (ask, say) in enumerate(others)]
    return rows


def talks():
    """Conversations of several turns, some with a system message; no tools."""
    first = ("Hello!", "Hello. What can I do?", "Name a tree.", "A rowan.")
    second = ("Count to two.", "One, two.")
    return [
        {**OWN, "id": "talk:0", "history": turns(*second), "prompt": "And on?", "response": "Three, four."},
        {**OWN, "id": "talk:1", "history": turns(*first), "prompt": "Another one.", "response": "An alder."},
        {
            **OWN,
            "id": "talk:2",
            "system": "Answer in one word.",
            "history": turns(*first),
            "prompt": "And one more?",
            "response": "Hazel.",
        },
        {**OWN, "id": "talk:3", "system": "Be brief.", "prompt": "What is a fugue?", "response": "A flight."},
    ]


@pytest.fixture(scope="session")
def records():
    """Thirty records of one question and one answer each, which every template has room for."""
    return frame(invented())


@pytest.fixture(scope="session")
def dialogues():
    """Records of several turns, for templates that have room for them; two have a system message."""
    return frame(talks())


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Make, once for all tests, the folder of a tiny Llama; copy it before you change it.

    `tiny_model(kind="bytes", bos=True, pad=True)`: see `curate.train.tiny.make`.
    """
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    torch.set_num_threads(1)  # where another test has imported it before the environment was set
    from curate.train.tiny import make

    root = tmp_path_factory.mktemp("models")
    rows = [*invented(), *talks()]
    texts = [row[part] for row in rows for part in ("prompt", "context", "response", "system") if row.get(part)]

    def made(kind="bytes", *, bos=True, pad=True):
        folder = root / f"{kind}{'-bos' if bos else ''}{'-pad' if pad else ''}"
        return folder if folder.exists() else make(folder, texts, kind=kind, bos=bos, pad=pad)

    return made


# How Llama 3 takes texts apart (meta-llama/llama3, llama/tokenizer.py): a run of signs has the line ends after it.
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
KINDS = ("bytes", "metaspace", "bytes without BOS", "llama-3", "llama-2")


@pytest.fixture(scope="session")
def tokenizer_of():
    """A fresh tokenizer of one of `KINDS`, trained on invented texts; by keywords without pad or end token."""
    pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    made = {}

    def tokenizer(kind="bytes", **special):
        if kind not in made:
            made[kind] = inner_tokenizer(kind)
        given = {"bos_token": None if "without" in kind else "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
        given |= {"unk_token": "<unk>", **special}
        copied = type(made[kind]).from_str(made[kind].to_str())
        return transformers.PreTrainedTokenizerFast(tokenizer_object=copied, **given)

    return tokenizer


@pytest.fixture(scope="session")
def template_of(tokenizer_of):
    """A template with its tokenizer of a kind, made once: it is not to be changed."""
    from curate.train.rows.templates import template_for

    made = {}

    def template(name, kind="bytes"):
        if (name, kind) not in made:
            tokenizer = tokenizer_of(kind)
            if name == "own":
                tokenizer.chat_template = OWN_TEMPLATE
            made[name, kind] = template_for(name, tokenizer)
        return made[name, kind]

    return template


# One as models bring them: roles by name, texts trimmed, BOS written by the template.
OWN_TEMPLATE = (
    "{{ '<s>' if bos_token else '' }}{% for m in messages %}[{{ m.role }}]\n{{ m.content | trim }}{{ eos_token }}"
    "\n{% endfor %}{% if add_generation_prompt %}[assistant]\n{% endif %}"
)


def inner_tokenizer(kind):
    """A tokenizer of the Rust package that puts <s> first by itself, but where its kind is without."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    texts = [text for row in [*invented(), *talks()] for text in (row["prompt"], row["response"])]
    texts += [
        "Below is an instruction.\n\n### Response:\n\n(yes)",
        "a\n\nb\n c",
        "USER: hello ASSISTANT: hello",
    ] * 4
    special = ["<unk>", "<s>", "</s>", "<pad>"]
    alphabet = []
    if kind in {"metaspace", "llama-2"}:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        special += [f"<0x{byte:02X}>" for byte in range(256)]
        back = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        tokenizer.decoder = decoders.Sequence([*back, decoders.Strip(content=" ", left=1)])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind != "llama-3")
        split = pre_tokenizers.Split(Regex(LLAMA_3), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, plain]) if kind == "llama-3" else plain
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=900, special_tokens=special, initial_alphabet=alphabet, show_progress=False, min_frequency=1
        ),
    )
    if kind == "llama-2":  # a space is put before every stretch between special tokens, and nothing is split
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.pre_tokenizer = None
    tokenizer = with_plain_bytes(tokenizer)
    if "without" not in kind:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
        )
    return tokenizer


def with_plain_bytes(tokenizer):
    """The tokenizer whose tokens of single bytes are no special ones, as SentencePiece has them."""
    written = json.loads(tokenizer.to_str())
    written["added_tokens"] = [each for each in written["added_tokens"] if not each["content"].startswith("<0x")]
    return type(tokenizer).from_str(json.dumps(written))
