"""The recipe's optimizer: transformers' groups, and steps in proportion to the weights."""

import io

import numpy as np
import pytest

from curate.train.recipe import Recipe, read_recipe
from curate.train.steps.optimizers import SMALLEST_SCALE, optimizer_for, parameter_groups

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SCALED = Recipe(name="mine", scale_by_weight=True, learning_rate=2e-3, beta1=0.8, beta2=0.95, weight_decay=0.1)
PLAIN = SCALED.model_copy(update={"scale_by_weight": False})


@pytest.fixture
def model(tiny_model):
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_model(), dtype=torch.float32)


def gradients(model, seed):
    """Put made-up gradients into a model's weights; the same for a seed."""
    chance = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=chance) * 1e-2


def by_hand(weight, gradients, *, decay, recipe):
    """The weight after steps of these gradients, in double precision, from the formula in words."""
    weight = weight.astype(np.float64)
    m = v = np.zeros_like(weight)
    for step, gradient in enumerate(gradients, 1):
        m = recipe.beta1 * m + (1 - recipe.beta1) * gradient
        v = recipe.beta2 * v + (1 - recipe.beta2) * gradient**2
        adam = (m / (1 - recipe.beta1**step)) / (np.sqrt(v / (1 - recipe.beta2**step)) + recipe.epsilon)
        scale = max(np.sqrt((weight**2).mean()), 1e-3) if recipe.scale_by_weight else 1.0
        weight = weight - recipe.learning_rate * (scale * adam + decay * weight)
    return weight


@pytest.mark.parametrize("recipe", [SCALED, PLAIN], ids=["scaled", "plain"])
def test_steps_are_those_of_the_formula(recipe):
    weights = [torch.randn(7, 5) * 3, torch.randn(9) * 1e-5, torch.zeros(4)]
    layer = torch.nn.Module()
    layer.big, layer.tiny_bias, layer.zero_bias = (torch.nn.Parameter(each.clone()) for each in weights)
    drawn = [[torch.randn(each.shape) for each in weights] for _ in range(5)]
    optimizer = optimizer_for(layer, recipe)
    for step in drawn:
        for weight, gradient in zip(layer.parameters(), step, strict=True):
            weight.grad = gradient
        optimizer.step()
    for at, (weight, before) in enumerate(zip(layer.parameters(), weights, strict=True)):
        wanted = by_hand(
            before.numpy(), [step[at].numpy() for step in drawn], decay=0.0 if at else 0.1, recipe=recipe
        )
        np.testing.assert_allclose(weight.detach().numpy(), wanted, rtol=2e-5, atol=1e-9)


def test_a_first_step_moves_each_weight_by_the_rate_times_the_size_of_its_matrix():
    """Adam's first update is the gradient's sign: what is left is the scale. Of weights near 0 it is 1e-3."""
    recipe = SCALED.model_copy(update={"weight_decay": 0.0})
    for size, scale in ((0.5, 0.5), (1e-6, SMALLEST_SCALE)):
        layer = torch.nn.Linear(64, 64, bias=False)
        torch.nn.init.constant_(layer.weight, size)
        layer.weight.grad = torch.randn(64, 64)
        before, optimizer = layer.weight.detach().clone(), optimizer_for(layer, recipe)
        optimizer.step()
        moved = (before - layer.weight.detach()) / layer.weight.grad.sign()
        # Where a drawn gradient is as small as Adam's epsilon, a little less than its sign is left.
        torch.testing.assert_close(moved, torch.full_like(moved, 2e-3 * scale), rtol=1e-2, atol=0)


def test_groups_are_those_of_transformers_own_trainer(model, tmp_path):
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), weight_decay=0.1, learning_rate=1e-5, use_cpu=True, report_to="none"
    )
    theirs = transformers.Trainer(model=model, args=arguments).create_optimizer()
    ours = optimizer_for(model, read_recipe("lima", {"weight_decay": 0.1}))
    assert type(ours) is type(theirs)
    for own, their in zip(ours.param_groups, theirs.param_groups, strict=True):
        assert own["weight_decay"] == their["weight_decay"]
        assert [id(weight) for weight in own["params"]] == [id(weight) for weight in their["params"]]
        assert own["fused"] == their["fused"]
    assert sum(len(group["params"]) for group in ours.param_groups) == len(list(model.parameters()))


def test_norms_and_biases_do_not_decay_and_frozen_weights_are_in_no_group(model):
    names = {id(weight): name for name, weight in model.named_parameters()}
    model.lm_head.weight.requires_grad_(False)
    decaying, others = (
        [names[id(weight)] for weight in group["params"]] for group in parameter_groups(model, 0.1)
    )
    assert all("norm" in name for name in others)
    assert len(others) == 2 * 4 + 1
    assert "model.embed_tokens.weight" in decaying
    assert "lm_head.weight" not in decaying


@pytest.mark.parametrize("name", ["lima", "alpaca-7b", "false-promise"])
def test_recipes_set_their_own_values(model, name):
    recipe = read_recipe(name)
    optimizer = optimizer_for(model, recipe)
    for group in optimizer.param_groups:
        assert group["lr"] == recipe.learning_rate
        assert group["betas"] == (recipe.beta1, recipe.beta2)
        assert group["eps"] == recipe.epsilon
    assert ("Scaled" in type(optimizer).__name__) == (name == "false-promise")


@pytest.mark.parametrize("recipe", [SCALED, PLAIN], ids=["scaled", "plain"])
def test_a_saved_state_goes_on_bit_for_bit(model, recipe):
    """Saved as the Trainer saves it, and read as it reads it: tensors and plain values, nothing that is run."""
    optimizer = optimizer_for(model, recipe)
    for seed in (1, 2):
        gradients(model, seed)
        optimizer.step()
    saved, weights = io.BytesIO(), {name: weight.clone() for name, weight in model.state_dict().items()}
    torch.save(optimizer.state_dict(), saved)
    gradients(model, 3)
    optimizer.step()
    straight = {name: weight.clone() for name, weight in model.state_dict().items()}

    model.load_state_dict(weights)
    resumed = optimizer_for(model, recipe)
    saved.seek(0)
    resumed.load_state_dict(torch.load(saved, map_location="cpu", weights_only=True))
    gradients(model, 3)
    resumed.step()
    assert all(torch.equal(weight, straight[name]) for name, weight in model.state_dict().items())

    model.load_state_dict(weights)
    gradients(model, 3)
    optimizer_for(model, recipe).step()
    assert not torch.equal(model.lm_head.weight, straight["lm_head.weight"])


def test_schedules_change_the_rate_of_scaled_steps_too(model):
    optimizer = optimizer_for(model, SCALED)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 1.0)
    gradients(model, 1)
    optimizer.step()
    schedule.step()
    before = model.lm_head.weight.detach().clone()
    optimizer.step()
    assert torch.equal(model.lm_head.weight, before)
