"""What is exported, read by those who read it: real ones where they are installed, else by their rules."""

import json
from types import SimpleNamespace

import pytest

from curate import registry
from curate.export.card import configs
from curate.export.yaml_lines import yaml_text
from curate.exporting import check, export
from curate.pipeline import Call
from tests.export.conftest import DIALOGUE, GIVEN, PLAIN, QUESTION, TOOLS

SPLITS = {"train": [PLAIN, GIVEN, DIALOGUE], "dev": [{**PLAIN, "id": "a:9", "thread": "t"}], "test": [QUESTION]}


def call(form, **given):
    plugin = registry.get("exports", form)
    return Call(form, plugin, registry.resolved(registry.parameters(plugin)(**given)))


@pytest.fixture
def exported(splits, tmp_path):
    """Export the small set in one form, and return its folder and what was written."""

    def made(form, rows=SPLITS, **given):
        form, frames = call(form, **given), splits(**rows)
        done = export([(form, tmp_path)], frames, tmp_path, name="small", sound=check([form], frames))
        return tmp_path, done.files

    return made


@pytest.fixture
def loaded(monkeypatch, tmp_path):
    """`datasets.load_dataset` without a network and with a cache of its own."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    return lambda *given, **named: datasets.load_dataset(*given, cache_dir=str(tmp_path / "cache"), **named)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("form", "columns"),
    [
        ("messages", {"messages"}),
        ("prompt_completion", {"prompt", "completion"}),
        ("sharegpt", {"conversations"}),
        ("llama_factory", {"messages"}),
        ("axolotl", {"messages"}),
        ("openai", {"messages"}),
    ],
)
def test_datasets_reads_every_row_of_each_form_of_lines(exported, loaded, form, columns):
    folder, _ = exported(form)
    names = {split: str(folder / f"{split}.jsonl") for split in ("train", "dev")}
    data = loaded("json", data_files=names)
    assert {split: len(rows) for split, rows in data.items()} == {"train": 3, "dev": 1}
    assert set(data["train"].column_names) == columns


@pytest.mark.filterwarnings("ignore")
def test_datasets_reads_the_folder_for_the_hub_by_the_names_in_its_card(exported, loaded):
    folder, files = exported("hugging_face")
    found = configs(files)
    head = {
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": split, "path": path} for split, path in splits.items()],
            }
            for name, splits in found.items()
        ]
    }
    (folder / "README.md").write_text(f"---\n{yaml_text(head)}---\n", "utf-8")
    chat = loaded(str(folder), "chat")
    assert {split: len(rows) for split, rows in chat.items()} == {"train": 3, "validation": 1, "test": 1}
    assert chat["train"][2]["messages"][0] == {"role": "system", "content": "Answer in one word."}
    pairs = loaded(str(folder), "prompt_completion")
    assert {split: len(rows) for split, rows in pairs.items()} == {"train": 3, "validation": 1}
    assert pairs["train"][0]["completion"] == [{"role": "assistant", "content": "Seven."}]
    metadata = loaded(str(folder), "metadata")["train"]
    assert metadata["id"][:] == ["a:1", "a:2", "a:3"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["messages", "prompt_completion"])
def test_trl_trains_on_the_answers_of_every_row(exported, loaded, tokenizer, form):
    trl = pytest.importorskip("trl", minversion="1.0")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder, _ = exported(form)
    rows = loaded("json", data_files={"train": str(folder / "train.jsonl")})["train"]
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    own = {"assistant_only_loss": True} if form == "messages" else {}
    settings = trl.SFTConfig(
        output_dir=str(folder / "out"), max_length=512, bf16=False, use_cpu=True, report_to="none", **own
    )
    trainer = trl.SFTTrainer(
        transformers.LlamaForCausalLM(config), settings, train_dataset=rows, processing_class=tokenizer
    )
    batch = trainer.data_collator([trainer.train_dataset[at] for at in range(len(rows))])
    learned = [
        tokenizer.decode([token for token in labels if token != -100]) for labels in batch["labels"].tolist()
    ]
    last = "Hello!<|im_end|>Tea.<|im_end|>" if form == "messages" else "Tea.<|im_end|>"
    said = ["Seven.<|im_end|>", "A trout.<|im_end|>", last]
    assert [text.strip("\n") for text in learned] == said


def llama_factory_reads(folder, name):
    """The rows that LLaMA-Factory 0.9.5 keeps of a data set in a folder, as pairs of prompt and response.

    By src/llamafactory/data/parser.py (DatasetAttr.join) and converter.py (SharegptDatasetConverter): what is not
    `formatting` is passed over, tags that are missing beside others are none, the system's message goes first, and
    a row whose roles do not alternate or do not end with the assistant is skipped.
    """
    entry = json.loads((folder / "dataset_info.json").read_text("utf-8"))[name]
    assert entry.get("formatting", "alpaca") == "sharegpt"
    tags = {
        key: entry["tags"].get(key) for key in ("user_tag", "assistant_tag", "observation_tag", "function_tag")
    }
    role, content = entry["tags"]["role_tag"], entry["tags"]["content_tag"]
    turns = ({tags["user_tag"], tags["observation_tag"]}, {tags["assistant_tag"], tags["function_tag"]})
    for line in (folder / entry["file_name"]).read_text("utf-8").splitlines():
        said = json.loads(line)[entry["columns"]["messages"]]
        said = said[1:] if said[0][role] == entry["tags"]["system_tag"] else said
        if len(said) % 2 == 0 and all(turn[role] in turns[at % 2] for at, turn in enumerate(said)):
            yield [turn[content] for turn in said[:-1]], said[-1][content]


@pytest.mark.filterwarnings("ignore")
def test_llama_factorys_own_loader_keeps_every_row(exported):
    loader = pytest.importorskip("llamafactory.data.loader")
    from llamafactory.data.parser import get_dataset_list

    folder, _ = exported("llama_factory", SPLITS | {"train": [*SPLITS["train"], TOOLS]})
    given = SimpleNamespace(
        dataset_dir=str(folder),
        media_dir=str(folder),
        streaming=False,
        preprocessing_num_workers=None,
        overwrite_cache=True,
        max_samples=None,
    )
    model, training = SimpleNamespace(cache_dir=str(folder / "cache"), hf_hub_token=None), SimpleNamespace()
    training.local_process_index = 0
    (entry,) = get_dataset_list(["small_train"], str(folder))
    rows = loader._load_single_dataset(entry, model, given, training)
    assert [len(row["_prompt"]) for row in rows] == [1, 1, 3, 5]
    assert [row["_response"][0]["content"] for row in rows] == ["Seven.", "A trout.", "Tea.", "Nobody knows."]
    assert [row["_system"] for row in rows] == ["", "", "Answer in one word.", ""]


@pytest.mark.filterwarnings("ignore")
def test_axolotls_own_loader_keeps_every_row_and_trains_on_the_answers(exported, tokenizer, monkeypatch):
    sft = pytest.importorskip("axolotl.utils.data.sft")
    import yaml
    from axolotl.utils.data.shared import datasets_with_name_generator
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.config import AxolotlInputConfig

    folder, _ = exported("axolotl")
    monkeypatch.chdir(folder)
    tokenizer.save_pretrained(folder / "tokenizer")
    said = yaml.safe_load((folder / "axolotl.yaml").read_text("utf-8"))
    model = {"base_model": str(folder / "tokenizer"), "learning_rate": 1e-5, "num_epochs": 1}
    steps = {"micro_batch_size": 1, "gradient_accumulation_steps": 1, "output_dir": str(folder / "out")}
    checked = AxolotlInputConfig(**said, **model, **steps).model_dump(exclude_none=True)
    settings = DictDefault(checked)
    for key, answers in {"datasets": ["Seven.", "A trout.", "Hello!Tea."], "test_datasets": ["Seven."]}.items():
        for one in datasets_with_name_generator(settings[key]):
            rows, _ = sft._load_and_process_single_dataset(
                dataset_config=one, cfg=settings, tokenizer=tokenizer, split=one.split or "train", seed=1
            )
            learned = [[token for token in row["labels"] if token != -100] for row in rows]
            texts = [tokenizer.decode(tokens).replace("<|im_end|>", "") for tokens in learned]
            assert [text.replace("\n", "") for text in texts] == answers


def test_llama_factory_skips_no_row(exported):
    folder, files = exported("llama_factory", SPLITS | {"train": [*SPLITS["train"], TOOLS]})
    assert len(list(llama_factory_reads(folder, "small_train"))) == 4
    assert list(llama_factory_reads(folder, "small_dev")) == [(["Name a prime."], "Seven.")]
    assert {"dataset_info.json", "llama_factory.yaml", "LOADING.md"} <= {each["file"] for each in files}


def test_llama_factory_is_given_every_tag_since_missing_ones_would_be_none(exported):
    folder, _ = exported("llama_factory")
    entries = json.loads((folder / "dataset_info.json").read_text("utf-8"))
    assert list(entries) == ["small_train", "small_dev"]  # all of test has no response
    entry = entries["small_train"]
    assert set(entry) == {"file_name", "formatting", "columns", "tags"}
    assert set(entry["tags"]) == {
        *("role_tag", "content_tag", "user_tag", "assistant_tag"),
        *("observation_tag", "function_tag", "system_tag"),
    }


# What a data set of axolotl 0.19 may say (src/axolotl/utils/schemas/datasets.py, SFTDataset), as far as we say it.
AXOLOTL_KEYS = {
    *("path", "split", "type", "ds_type", "field_messages", "message_property_mappings"),
    *("roles_to_train", "train_on_eos"),
}


def test_axolotl_finds_the_rows_and_evaluates_on_dev(exported):
    yaml = pytest.importorskip("yaml")
    folder, _ = exported("axolotl")
    said = yaml.safe_load((folder / "axolotl.yaml").read_text("utf-8"))
    (train,), (dev,) = said["datasets"], said["test_datasets"]
    assert {*train, *dev} <= AXOLOTL_KEYS
    assert (train["type"], train["ds_type"], train["roles_to_train"]) == ("chat_template", "json", ["assistant"])
    assert (dev["path"], dev["split"]) == ("dev.jsonl", "train")
    assert "val_set_size" not in said  # axolotl refuses it beside test_datasets
    for row in map(json.loads, (folder / train["path"]).read_text("utf-8").splitlines()):
        keys = train["message_property_mappings"]
        assert all(turn.keys() == set(keys.values()) for turn in row[train["field_messages"]])


def test_axolotl_sets_nothing_apart_where_there_is_no_dev(exported):
    yaml = pytest.importorskip("yaml")
    folder, _ = exported("axolotl", {"train": [PLAIN]})
    said = yaml.safe_load((folder / "axolotl.yaml").read_text("utf-8"))
    assert said["val_set_size"] == 0
    assert "test_datasets" not in said


def openai_accepts(file):
    """Whether OpenAI's fine-tuning takes a file, by the check that it publishes.

    openai/openai-cookbook, examples/Chat_finetuning_data_prep.ipynb: every row is an object with messages, each
    with a known role and a text and no key besides the known, and one of them is the assistant's.
    """
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for row in rows:
        assert row.keys() == {"messages"}
        for turn in row["messages"]:
            assert turn.keys() <= {"role", "content", "name", "function_call", "weight"}
            assert turn["role"] in {"system", "user", "assistant", "function"}
            assert isinstance(turn["content"], str)
            assert turn["content"]
        assert row["messages"][-1]["role"] == "assistant"
    return len(rows)


def test_openai_takes_every_row(exported):
    folder, _ = exported("openai")
    assert openai_accepts(folder / "train.jsonl") == 3
    assert openai_accepts(folder / "dev.jsonl") == 1
    assert not (folder / "test.jsonl").exists()
