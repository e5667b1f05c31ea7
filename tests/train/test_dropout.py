"""Residual dropout: on the right places, at the right rates, and nowhere else."""

import copy
import subprocess
import sys

import pytest

from curate.errors import PipelineError
from curate.train.steps.dropout import (
    ARCHITECTURES,
    add_residual_dropout,
    check_architecture,
    rates_for,
    residual_dropout,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LAST = 0.3

# What makes a hook on sub-layers wrong: norms after them, a dropout of the model's own, or parallel branches.
REFUSED = {
    "Gemma2": {"head_dim": 8},
    "Olmo2": {},
    "Phi3": {"resid_pdrop": 0.1},
    "GPTNeoX": {"hidden_dropout": 0.1},
    "OPT": {"word_embed_proj_dim": 32, "ffn_dim": 64, "dropout": 0.1},
    "Cohere": {},
    "Starcoder2": {"residual_dropout": 0.1},
}


def made(family="Llama", **others):
    """A tiny model of a family with random weights, the same each time, in evaluation."""
    config = getattr(transformers, f"{family}Config")(**{**SIZES, **others})
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return getattr(transformers, f"{family}ForCausalLM")(config).eval()


@pytest.fixture
def ids():
    return torch.randint(3, 61, (2, 24), generator=torch.Generator().manual_seed(5))


@pytest.fixture(autouse=True)
def _own_chance():
    with torch.random.fork_rng():
        yield


def trained(model, ids, steps=3, seed=7):
    """The model after a few steps, its dropout drawn from a seed."""
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return model


def same(one, other):
    """Whether two models have the same weights, bit for bit."""
    theirs = other.state_dict()
    return all(torch.equal(weight, theirs[name]) for name, weight in one.state_dict().items())


def zeros(model, ids, wanted):
    """The share of zeros in what sub-layers put out while they are trained, by layer."""
    shares = {}

    def count(name):
        def hook(_module, _given, output):
            first = output[0] if isinstance(output, tuple) else output
            shares[name] = (first == 0).double().mean().item()

        return hook

    # Hooks run in the order in which they were put on: these come after the dropout.
    removed = [
        getattr(layer, part).register_forward_hook(count((part, number)))
        for number, layer in enumerate(model.model.layers)
        for part in wanted
    ]
    model.train()
    model(input_ids=ids.repeat(40, 1))
    for handle in removed:
        handle.remove()
    return shares


def test_rates_grow_linearly_from_zero_to_the_last_layers():
    assert rates_for(4, 0.3) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert rates_for(80, 0.3)[79] == 0.3
    assert add_residual_dropout(made(), LAST) == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize("family", [name.removesuffix("ForCausalLM") for name in ARCHITECTURES])
def test_the_share_that_is_dropped_is_each_layers_rate(family, ids):
    model = made(family)
    rates = add_residual_dropout(model, LAST)
    shares = zeros(model, ids, ("self_attn", "mlp"))
    # 40 × 48 positions × 32 numbers: a share's standard error is below 0.002
    for (_part, layer), share in shares.items():
        assert share == pytest.approx(rates[layer], abs=0.01)
    assert len(shares) == 8


@pytest.mark.parametrize("family", [name.removesuffix("ForCausalLM") for name in ARCHITECTURES])
def test_what_is_dropped_is_all_that_a_sub_layer_adds(family, ids):
    """At a rate of nearly 1 the last layer adds nothing: the stream leaves it as it came."""
    model = made(family)
    add_residual_dropout(model, 1 - 1e-9)
    streams = {}
    last = model.model.layers[-1]
    last.register_forward_hook(lambda _m, given, output: streams.update(came=given[0], left=output))
    model.train()
    model(input_ids=ids)
    assert torch.equal(streams["came"], streams["left"])


def test_answers_in_evaluation_are_the_same_bits_with_and_without_hooks(ids):
    plain, hooked = made(), made()
    add_residual_dropout(hooked, LAST)
    with torch.no_grad():
        assert torch.equal(plain(input_ids=ids).logits, hooked(input_ids=ids).logits)
        assert not torch.equal(plain(input_ids=ids).logits, hooked.train()(input_ids=ids).logits)


def test_the_mean_of_many_passes_is_that_of_no_dropout():
    """What is kept is scaled up: an expectation that would be off by a factor of 0.7 otherwise."""
    model = made()
    add_residual_dropout(model, LAST)
    mlp = model.model.layers[-1].mlp
    given = torch.randn(1, 1, 32)
    with torch.no_grad():
        mean = mlp.train()(given.expand(20_000, 1, 32)).mean(0)
        torch.testing.assert_close(mean, mlp.eval()(given)[0], rtol=0.05, atol=1e-4)


def test_runs_of_one_seed_are_equal_and_of_another_are_not(ids):
    models = [made() for _ in range(3)]
    for model in models:
        add_residual_dropout(model, LAST)
    first, second, other = (trained(model, ids, seed=seed) for model, seed in zip(models, (7, 7, 8), strict=True))
    assert same(first, second)
    assert not same(first, other)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_drops_the_same_places_again(reentrant, ids):
    plain, checkpointed = made(), made()
    for model in (plain, checkpointed):
        add_residual_dropout(model, LAST)
    checkpointed.activation_checkpointing_enable({"use_reentrant": reentrant})
    if reentrant:
        checkpointed.enable_input_require_grads()
    assert same(trained(plain, ids), trained(checkpointed, ids))


def test_keys_of_the_state_are_unchanged_and_load_into_a_plain_model(ids):
    plain, hooked = made(), made()
    add_residual_dropout(hooked, LAST)
    assert list(hooked.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(trained(hooked, ids).state_dict())
    with torch.no_grad():
        assert torch.equal(plain.eval()(input_ids=ids).logits, hooked.eval()(input_ids=ids).logits)


def test_a_rate_of_zero_leaves_any_model_alone():
    model = made("Gemma2", head_dim=8)
    assert add_residual_dropout(model, 0.0) == []
    assert residual_dropout(model) == {}


@pytest.mark.parametrize("family", REFUSED)
def test_other_architectures_are_refused_by_name(family):
    model = made(family, **REFUSED[family])
    with pytest.raises(PipelineError, match=f"{family}ForCausalLM") as told:
        add_residual_dropout(model, LAST)
    assert "LlamaForCausalLM" in told.value.next
    assert residual_dropout(model) == {}


def test_the_name_alone_tells_before_any_weights_are_read():
    check_architecture("MistralForCausalLM")
    with pytest.raises(PipelineError, match="Phi3ForCausalLM"):
        check_architecture("Phi3ForCausalLM")


def test_a_second_dropout_and_a_single_layer_are_refused():
    model = made()
    add_residual_dropout(model, LAST)
    with pytest.raises(PipelineError, match="already"):
        add_residual_dropout(model, LAST)
    with pytest.raises(PipelineError, match="one layer"):
        add_residual_dropout(made(num_hidden_layers=1), LAST)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21 asks by the old name
def test_adapters_around_the_model_keep_its_dropout_and_may_be_there_before(ids):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)

    def adapted(*, first):
        model = made()
        if first:
            add_residual_dropout(model, LAST)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            wrapped = peft.get_peft_model(model, config)
        if not first:
            add_residual_dropout(wrapped, LAST)
        return wrapped

    before, after = adapted(first=True), adapted(first=False)
    assert len(residual_dropout(before)) == len(residual_dropout(after)) == 6  # two in each layer but the first
    assert zeros(after.get_base_model(), ids, ("mlp",))["mlp", 3] == pytest.approx(LAST, abs=0.01)
    assert same(trained(before, ids), trained(after, ids))


def test_a_copy_of_the_model_has_its_own_dropout(ids):
    model = made()
    add_residual_dropout(model, LAST)
    copied = copy.deepcopy(model)
    assert residual_dropout(copied) == residual_dropout(model)
    assert zeros(copied, ids, ("mlp",))["mlp", 3] == pytest.approx(LAST, abs=0.01)


def test_compiled_layers_drop_as_much(ids):
    """Traced, without machine code being made of it, which takes half a minute: hooks are in the graph or not."""
    model = made()
    add_residual_dropout(model, LAST)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.manual_seed(7)
    plain = model.train()(input_ids=ids).logits
    torch.manual_seed(7)
    assert torch.equal(compiled(input_ids=ids).logits, plain)
    model.eval()
    assert torch.equal(compiled(input_ids=ids).logits, model(input_ids=ids).logits)


def test_the_allow_list_is_read_without_torch():
    code = (
        "import sys; import curate.train.steps.dropout as d; d.check_architecture('LlamaForCausalLM');"
        " assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
