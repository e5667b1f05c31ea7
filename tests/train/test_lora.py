"""Adapters: what is trained, what is not, and that it is the same model when it is merged or loaded again."""

import json
from types import SimpleNamespace

import pytest

from curate.errors import PipelineError
from curate.train.recipe import Recipe
from curate.train.steps.lora import is_adapted, load_adapter, merged, save_adapter, with_adapters

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

RECIPE = Recipe(name="mine", lora_rank=4, lora_alpha=8.0, learning_rate=1e-3)
ADDED = ("<|turn|>", "<|end|>")


@pytest.fixture
def template(tiny_model):
    """What `with_adapters` asks of a template, with tokens that the tokenizer did not know."""

    def made(added=ADDED):
        tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model())
        tokenizer.add_tokens(list(added), special_tokens=True)
        return SimpleNamespace(tokenizer=tokenizer, added=added)

    return made


@pytest.fixture
def model(tiny_model):
    def made(template, *, tied=False, dtype=torch.float32):
        config = transformers.AutoConfig.from_pretrained(tiny_model(), tie_word_embeddings=tied)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
            model.resize_token_embeddings(len(template.tokenizer), mean_resizing=False)
        return model.eval()

    return made


def ids_of(template):
    chance = torch.Generator().manual_seed(5)
    ids = torch.randint(4, len(template.tokenizer), (2, 24), generator=chance)
    added = template.tokenizer.convert_tokens_to_ids(list(template.added))
    if added:
        ids[:, 3::7] = torch.tensor((added * 4)[:3])
    return ids


def trained(wrapped, ids, steps=8):
    """A few steps over the weights that want to be trained, in training as the Trainer does it."""
    wrapped.train()
    optimizer = torch.optim.AdamW([weight for weight in wrapped.parameters() if weight.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        wrapped(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return wrapped.eval()


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=ids).logits


TIES = pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])


@TIES
def test_only_adapters_and_the_rows_of_added_tokens_change(template, model, tied):
    given = template()
    before, ids = model(given, tied=tied), ids_of(given)
    wrapped = trained(with_adapters(model(given, tied=tied), RECIPE, given), ids)
    names = {name for name, weight in wrapped.named_parameters() if weight.requires_grad}
    assert all(".lora_" in name or "trainable_tokens_delta" in name for name in names)
    assert sum("trainable_tokens_delta" in name for name in names) == (1 if tied else 2)
    rows = sorted(given.tokenizer.convert_tokens_to_ids(list(ADDED)))

    plain = merged(wrapped).state_dict()
    assert set(plain) == set(before.state_dict())
    adapted = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    for name, old in before.state_dict().items():
        changed = (plain[name] != old).any(dim=-1).nonzero().flatten().tolist() if old.ndim > 1 else []
        if "embed_tokens" in name or "lm_head" in name:
            assert changed == rows, name
        elif any(part in name for part in adapted):
            assert changed, name
        else:
            assert torch.equal(plain[name], old), name


@TIES
def test_input_and_output_learn_an_added_token(template, model, tied):
    """A token that was the mean of all is told from others when it is read, and is said where it should be."""
    given = template()
    ids = ids_of(given)
    wrapped = with_adapters(model(given, tied=tied), RECIPE, given)
    row = given.tokenizer.convert_tokens_to_ids(ADDED[0])
    where = (ids == row).nonzero()
    assert len(where)

    def chance():
        shares = logits(wrapped, ids).softmax(-1)
        return torch.stack([shares[batch, place - 1, row] for batch, place in where]).mean().item()

    before = chance()
    trained(wrapped, ids, steps=15)
    assert chance() > 20 * before
    embeddings = wrapped.get_base_model().get_input_embeddings(), wrapped.get_base_model().get_output_embeddings()
    if tied:  # one matrix in two places, also while it is trained
        assert torch.equal(embeddings[0].weight, embeddings[1].weight)


def test_without_added_tokens_embeddings_stay_as_they_are(template, model):
    given = template(added=())
    wrapped = with_adapters(model(given), RECIPE, given)
    assert {name for name, weight in wrapped.named_parameters() if weight.requires_grad} == {
        name for name, _ in wrapped.named_parameters() if ".lora_" in name
    }


def test_adapters_change_nothing_before_they_are_trained_and_are_drawn_by_the_seed(template, model):
    given = template()
    ids = ids_of(given)
    plain = logits(model(given), ids)
    before = torch.get_rng_state()
    first = with_adapters(model(given), RECIPE, given)
    assert torch.equal(before, torch.get_rng_state()), "chance that others draw from was used"
    torch.rand(1)
    again = with_adapters(model(given), RECIPE, given)
    other = with_adapters(model(given), RECIPE.model_copy(update={"seed": 14}), given)
    assert torch.equal(logits(first.eval(), ids), plain)
    name = next(name for name in first.state_dict() if "lora_A" in name)
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


@TIES
def test_a_merged_model_answers_as_the_adapter_did(template, model, tied):
    given = template()
    ids = ids_of(given)
    wrapped = trained(with_adapters(model(given, tied=tied), RECIPE, given), ids)
    adapted = logits(wrapped, ids)
    plain = merged(wrapped)
    assert not is_adapted(plain)
    assert isinstance(plain, transformers.LlamaForCausalLM)
    torch.testing.assert_close(logits(plain, ids), adapted, rtol=0, atol=1e-5)
    assert (plain.get_output_embeddings().weight is plain.get_input_embeddings().weight) == tied


@TIES
def test_a_saved_adapter_is_loaded_by_peft_onto_the_base_model(template, model, tied, tmp_path):
    given = template()
    ids = ids_of(given)
    wrapped = trained(with_adapters(model(given, tied=tied), RECIPE, given), ids)
    save_adapter(wrapped, tmp_path / "adapter")
    assert sorted(file.name for file in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    rows_of_embeddings = len(given.tokenizer)
    from safetensors import safe_open

    with safe_open(tmp_path / "adapter" / "adapter_model.safetensors", "pt") as file:
        assert all(file.get_slice(name).get_shape()[0] != rows_of_embeddings for name in file.keys())  # noqa: SIM118

    fresh = model(given, tied=tied)
    back = load_adapter(fresh, tmp_path / "adapter").eval()
    assert torch.equal(logits(back, ids), logits(wrapped, ids))


def test_a_saved_adapter_names_its_base_by_no_path_and_can_be_read_by_others(
    template, model, tiny_model, tmp_path
):
    given = template()
    wrapped = with_adapters(model(given), RECIPE, given)
    (config,) = wrapped.peft_config.values()
    config.base_model_name_or_path = str(tiny_model())
    save_adapter(wrapped, tmp_path)
    text = (tmp_path / "adapter_config.json").read_text("utf-8")
    assert json.loads(text)["base_model_name_or_path"] == tiny_model().name
    assert str(tiny_model().parent) not in text
    modes = {file.stat().st_mode for file in tmp_path.iterdir()}
    assert len(modes) == 1
    assert modes == {(tiny_model() / "model.safetensors").stat().st_mode}, "as a tiny model's"
    load_adapter(model(given), tmp_path)


def test_a_saved_merged_model_is_loaded_by_transformers_alone(template, model, tmp_path):
    given = template()
    ids = ids_of(given)
    plain = merged(trained(with_adapters(model(given), RECIPE, given), ids))
    plain.save_pretrained(tmp_path / "model")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    assert torch.equal(logits(back, ids), logits(plain, ids))


def test_adapters_on_weights_of_half_precision_are_of_full_precision(template, model):
    """A step of 1e-4 would vanish in bfloat16, which has three digits."""
    given = template()
    wrapped = with_adapters(model(given, dtype=torch.bfloat16), RECIPE, given)
    for name, weight in wrapped.named_parameters():
        assert weight.dtype == (torch.float32 if weight.requires_grad else torch.bfloat16), name


@TIES
def test_trls_fused_loss_gives_trained_rows_the_gradient_of_the_plain_one(template, model, tied):
    """It takes the output embeddings' weights past their forward, which is why it refuses adapters on them."""
    trl_utils = pytest.importorskip("trl.trainer.utils")
    given = template()
    ids = ids_of(given)
    wrapped = with_adapters(model(given, tied=tied), RECIPE, given)
    wrapped(input_ids=ids, labels=ids).loss.backward()
    plain = {name: weight.grad.clone() for name, weight in wrapped.named_parameters() if weight.grad is not None}
    wrapped.zero_grad()
    trl_utils.add_fused_lm_head(wrapped.get_base_model())
    wrapped(input_ids=ids, labels=ids, fused_lm_head=True).loss.backward()
    rows = [name for name in plain if "trainable_tokens_delta" in name]
    assert len(rows) == (1 if tied else 2)
    for name, weight in wrapped.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(weight.grad, plain[name], rtol=1e-4, atol=1e-7)
            assert "lora_A" in name or weight.grad.any(), name  # of A it is 0 while B is


def test_output_embeddings_with_a_bias_are_refused_where_tokens_are_added(template, model):
    biased = model(template())
    biased.lm_head = torch.nn.Linear(*reversed(biased.lm_head.weight.shape))
    with pytest.raises(PipelineError, match="bias"):
        with_adapters(biased, RECIPE, template())
    assert is_adapted(with_adapters(biased, RECIPE, template(added=())))


def test_all_linear_is_every_projection_and_never_the_output(template, model):
    wrapped = with_adapters(model(template()), RECIPE, template())
    adapted = {
        name.split(".lora_A")[0].rpartition(".")[2] for name, _ in wrapped.named_parameters() if "lora_A" in name
    }
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert not isinstance(wrapped.get_output_embeddings(), peft.tuners.lora.LoraLayer)


def test_named_targets_alone_are_adapted(template, model):
    recipe = RECIPE.model_copy(update={"lora_targets": ("q_proj", "v_proj")})
    wrapped = with_adapters(model(template()), recipe, template())
    names = [name for name, weight in wrapped.named_parameters() if "lora_A" in name and weight.requires_grad]
    assert len(names) == 2 * 4
    assert all("q_proj" in name or "v_proj" in name for name in names)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens", "model.embed_tokens"])
def test_embeddings_are_no_targets(template, model, target):
    recipe = RECIPE.model_copy(update={"lora_targets": ("q_proj", target)})
    with pytest.raises(PipelineError, match=target):
        with_adapters(model(template()), recipe, template())


def test_a_target_that_the_model_has_not_names_the_nearest(template, model):
    recipe = RECIPE.model_copy(update={"lora_targets": ("q_projj",)})
    with pytest.raises(PipelineError, match="q_projj") as told:
        with_adapters(model(template()), recipe, template())
    assert "'q_proj'" in told.value.next
    assert told.value.where == "recipe mine, lora_targets"
