"""What training takes: the published figures, the bytes that torch keeps, and the bytes that end up on disk."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from curate.errors import PipelineError
from curate.train import budget
from curate.train.budget import check_disk, estimate, said
from curate.train.model_folder import ModelFolder
from curate.train.recipe import read_recipe

# meta-llama's 7B: 32 layers of width 4,096 (arXiv 2302.13971, table 2)
LLAMA = {
    "vocab_size": 32_000,
    "hidden_size": 4_096,
    "intermediate_size": 11_008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
}
TINY = {**LLAMA, "vocab_size": 64, "hidden_size": 96, "intermediate_size": 272, "num_hidden_layers": 4}
TINY |= {"num_attention_heads": 4, "num_key_value_heads": 4}
GB = 10**9


def llama(path, config=LLAMA):
    """A folder of Llama's shapes, without its weights."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {
        "model.embed_tokens.weight": (config["vocab_size"], width),
        "lm_head.weight": (config["vocab_size"], width),
    }
    for at in range(config["num_hidden_layers"]):
        layer = f"model.layers.{at}"
        shapes |= {f"{layer}.self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
        shapes |= {f"{layer}.mlp.{name}_proj.weight": (inner, width) for name in ("gate", "up")}
        shapes |= {f"{layer}.mlp.down_proj.weight": (width, inner), f"{layer}.input_layernorm.weight": (width,)}
        shapes[f"{layer}.post_attention_layernorm.weight"] = (width,)
    shapes["model.norm.weight"] = (width,)
    parameters = sum(int(np.prod(shape)) for shape in shapes.values())
    return ModelFolder(path, config, "LlamaForCausalLM", parameters, 2 * parameters, "bfloat16", shapes)


def tokens(*lengths):
    return SimpleNamespace(lengths=np.array(lengths), input_ids=np.zeros(sum(lengths), dtype=np.int32))


def recipe(**changes):
    return read_recipe("alpaca-7b", {"precision": "bf16", **changes})


def held(found):
    """Memory that does not depend on the rows."""
    return sum(found["memory"][name] for name in ("weights", "gradients", "moments", "copies"))


def test_7b_is_what_it_is_published_to_take(tmp_path):
    full = llama(tmp_path)
    assert full.parameters == 6_738_415_616  # what transformers counts of it
    # tatsu-lab/stanford_alpaca, README: 7 x 4 x 4 GB naively
    assert held(estimate(full, recipe(precision="fp32"), tokens(512), 1)) == 16 * full.parameters
    assert held(estimate(full, recipe(precision="fp32"), tokens(512), 1)) / GB == pytest.approx(112, rel=0.05)
    # hiyouga/LLaMA-Factory, README, "Hardware Requirement": 120 GB in full, 16 GB under LoRA
    assert held(estimate(full, recipe(), tokens(512), 1)) / GB == pytest.approx(120, rel=0.05)
    lora = recipe(lora_rank=8, activation_checkpointing=True)
    assert estimate(full, lora, tokens(512), 1)["memory"]["total"] / GB == pytest.approx(16, rel=0.15)


def test_lora_trains_as_many_numbers_as_peft_counts(tmp_path):
    # A rank of 8 on the queries and values of Llama 7B is 4,194,304 (tloen/alpaca-lora, README's targets and rank)
    of_two = estimate(llama(tmp_path), recipe(lora_rank=8, lora_targets=["q_proj", "v_proj"]), tokens(512), 1)
    assert of_two["trained"] == 4_194_304
    assert estimate(llama(tmp_path), recipe(lora_rank=8), tokens(512), 1)["trained"] == 19_988_480


def test_processes_share_what_fsdp_spreads_and_copy_what_ddp_does_not(tmp_path):
    one, ddp = (estimate(llama(tmp_path), recipe(), tokens(512), count) for count in (1, 8))
    fsdp = estimate(llama(tmp_path), recipe(sharding="fsdp2"), tokens(512), 8)
    assert ddp["memory"]["buckets"] == ddp["memory"]["gradients"]
    assert held(fsdp) * 8 == held(one) == held(ddp)
    assert "buckets" not in fsdp["memory"]
    assert fsdp["memory"]["gathered"] < held(fsdp)
    assert fsdp["memory"]["activations"] == ddp["memory"]["activations"] == one["memory"]["activations"]


def test_a_batch_is_of_the_longest_rows_or_of_packs(tmp_path):
    padded = estimate(llama(tmp_path), recipe(micro_batch_size=4), tokens(10, 500, 20), 1)
    assert padded["batch"] == {"rows": 4, "tokens": 500}
    packed = estimate(llama(tmp_path), recipe(micro_batch_size=4, packing=True), tokens(10, 500, 20), 1)
    assert packed["batch"] == {"rows": 4, "tokens": 512}
    assert estimate(llama(tmp_path), recipe(), tokens(), 1)["batch"]["tokens"] == 0


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_adapters_keep_no_more_than_is_estimated(tmp_path, dropout):
    pytest.importorskip("peft")
    from curate.train.steps.lora import with_adapters

    wanted = recipe(precision="fp32", micro_batch_size=2, lora_rank=4, lora_dropout=dropout)
    config = {**TINY, "vocab_size": 1000}
    tokenizer = SimpleNamespace(convert_tokens_to_ids=lambda tokens: tokens)
    model = with_adapters(made(config, "sdpa"), wanted, SimpleNamespace(added=(), tokenizer=tokenizer))
    real = kept_by_torch(model.get_base_model(), half=False)
    found = estimate(llama(tmp_path, config), wanted, tokens(256), 1)
    assert found["trained"] == sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert real <= found["memory"]["activations"] <= 1.2 * real


def test_disk_is_for_every_kept_epoch_two_states_and_the_model(tmp_path):
    full, lima = llama(tmp_path), read_recipe("lima", {"precision": "bf16"})
    disk = estimate(full, lima, tokens(2048), 1)["disk"]
    assert disk["epochs"] == 6 * 2 * full.parameters  # 5 to 10
    assert disk["states"] == 2 * 12 * full.parameters  # float32 weights, and two moments of each
    assert disk["model"] == 2 * full.parameters
    adapters = estimate(full, read_recipe("lima", {"precision": "bf16", "lora_rank": 8}), tokens(2048), 1)["disk"]
    assert adapters["epochs"] == 6 * 4 * 19_988_480


def steps(model, optimizer, ids, *, half, before=lambda: None):
    """Two steps as TRL takes them; in the second, gradients of the first are there to be added to."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(model)
    for _ in range(2):
        before()
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=half):
            loss = model(input_ids=ids, labels=ids, fused_lm_head=True).loss
        loss.backward()
        optimizer.step()


def estimated(folder, model, config, length, *, half, checkpointing):
    """The memory of steps of two rows."""
    changes = {"precision": "bf16" if half else "fp32", "activation_checkpointing": checkpointing}
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    parameters = sum(int(np.prod(shape)) for shape in shapes.values())
    known = ModelFolder(folder, config, "", parameters, 0, "", shapes)
    return estimate(known, recipe(micro_batch_size=2, **changes), tokens(length), 1)["memory"]["total"]


@pytest.mark.parametrize(("half", "checkpointing"), [(True, False), (True, True), (False, False)])
def test_a_step_takes_as_much_memory_as_is_estimated(tmp_path, monkeypatch, half, checkpointing):
    torch = pytest.importorskip("torch")
    pytest.importorskip("trl")
    tracker = pytest.importorskip("torch.distributed._tools.mem_tracker").MemTracker()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = {**TINY, "vocab_size": 1000, "num_hidden_layers": 2}
    model = made(config, "sdpa", checkpointing=checkpointing)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    tracker.track_external(model, optimizer)
    with tracker:
        steps(model, optimizer, torch.randint(0, 1000, (2, 256)), half=half, before=tracker.reset_mod_stats)
    (peak,) = tracker.get_tracker_snapshot("peak").values()
    found = estimated(tmp_path, model, config, 256, half=half, checkpointing=checkpointing)
    assert 0.97 * peak["Total"] <= found <= 1.1 * peak["Total"]


@pytest.mark.gpu
@pytest.mark.parametrize("checkpointing", [True, False])
def test_a_step_on_a_gpu_takes_as_much_memory_as_is_estimated(tmp_path, checkpointing):
    torch = pytest.importorskip("torch")
    pytest.importorskip("trl")
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    sizes = {"vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8}
    config = {**LLAMA, **sizes, "num_attention_heads": 8, "num_key_value_heads": 8}
    model = made(config, "sdpa", checkpointing=checkpointing).cuda()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() - sum(weight.nbytes for weight in model.parameters())
    ids = torch.randint(0, 32_000, (2, 1024), device="cuda")
    steps(model, torch.optim.AdamW(model.parameters(), fused=True), ids, half=True)
    peak = torch.cuda.max_memory_allocated() - before
    found = estimated(tmp_path, model, config, 1024, half=True, checkpointing=checkpointing)
    assert 0.9 * peak <= found <= 1.25 * peak


def test_a_run_leaves_as_much_on_disk_as_is_estimated(tiny_model, records, tmp_path):
    pytest.importorskip("trl")
    from curate.train.sets import TrainingSet
    from curate.train.training import train

    changes = {"epochs": 3, "keep_epochs": [2, 3], "batch_size": 8, "pick": "last", "precision": "fp32"}
    wanted = read_recipe("lima", {**changes, "max_new_tokens": 2})
    train(TrainingSet("mine", tmp_path, {"train": records.head(16)}), tiny_model(), wanted, tmp_path / "run")
    needs = json.loads((tmp_path / "run" / "train.json").read_text())["needs"]["disk"]
    folders = {"epochs": "epochs", "states": "checkpoints", "model": "model", "total": "."}
    for part, folder in folders.items():
        files = [path for path in (tmp_path / "run" / folder).rglob("*") if path.is_file()]
        assert sum(file.stat().st_size for file in files) == pytest.approx(needs[part], rel=0.05), part


def test_too_little_disk_is_told_in_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(budget.shutil, "disk_usage", lambda _path: SimpleNamespace(free=81_300_000_000))
    check_disk(tmp_path / "not" / "there", 81_300_000_000)
    with pytest.raises(PipelineError, match=r"the disk has 81\.3 GB left, and training keeps 256 GB") as caught:
        check_disk(tmp_path / "not" / "there", 256_123_456_789)
    assert "keep_epochs" in caught.value.next


def test_bytes_are_said_as_people_say_them():
    sizes = [0, 999, 1000, 99_949, 123_456, 13_500_000_000, 1_200_000_000_000]
    assert [said(size) for size in sizes] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "99.9 kB",
        "123 kB",
        "13.5 GB",
        "1.2 TB",
    ]


def made(config, attention, *, checkpointing=False):
    """A Llama in training, of random weights."""
    transformers = pytest.importorskip("transformers")
    wanted = transformers.LlamaConfig(**config, max_position_embeddings=4096, attn_implementation=attention)
    model = transformers.LlamaForCausalLM(wanted).train()
    if checkpointing:
        model.activation_checkpointing_enable()
    return model


def kept_by_torch(model, *, half, rows=2, length=256):
    """Bytes that autograd keeps of a Llama's layers for the backward pass, but for weights."""
    torch = pytest.importorskip("torch")
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    sizes, alive = {}, []

    def keep(tensor):
        storage = tensor.untyped_storage()
        # Autocast's copies of the weights are counted with the weights.
        if storage.data_ptr() not in weights and tuple(tensor.shape) not in matrices:
            sizes[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    matrices = {tuple(weight.shape) for weight in model.parameters() if weight.ndim == 2}
    matrices |= {shape[::-1] for shape in matrices}
    ids = torch.randint(0, 64, (rows, length))
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=half):
        model.model(input_ids=ids, use_cache=False)
    return sum(sizes.values())


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ({}, {}),
        ({"intermediate_size": 112}, {}),
        ({}, {"attention": "eager"}),
        ({"head_dim": 48}, {}),
        ({}, {"activation_checkpointing": True}),
    ],
)
def test_layers_keep_what_is_estimated(tmp_path, half, shape, changes):
    config = {**TINY, **shape}
    wanted = recipe(precision="bf16" if half else "fp32", micro_batch_size=2, **changes)
    found = estimate(ModelFolder(tmp_path, config, "", 0, 0, ""), wanted, tokens(256), 1)["memory"]["activations"]
    model = made(config, wanted.attention, checkpointing=wanted.activation_checkpointing)
    real = kept_by_torch(model, half=half)
    if wanted.activation_checkpointing:  # and one layer more, while it is made anew
        once = estimate(
            ModelFolder(tmp_path, {**config, "num_hidden_layers": 1}, "", 0, 0, ""),
            wanted.model_copy(update={"activation_checkpointing": False}),
            tokens(256),
            1,
        )
        last = 8 * config["hidden_size"] * 2 * 256  # the norm after the last layer is counted already
        real += once["memory"]["activations"] - last
    assert real == pytest.approx(found, rel=0.04)
