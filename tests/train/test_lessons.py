"""Rows as TRL's trainer takes them, and steps: the right loss and gradient, however rows are shared or packed."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

import torch
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler

from curate.train.recipe import read_recipe
from curate.train.rows.templates import template_for
from curate.train.rows.tokens import tokenize
from curate.train.stack import load_stack
from curate.train.steps.engine import lessons, settings
from curate.train.steps.interrupts import Stop
from curate.train.steps.launching import World
from curate.train.steps.schedules import schedule, warmup
from curate.train.weights import load_model, load_tokenizer, open_model

PLAIN = {"epochs": 1, "batch_size": 32, "micro_batch_size": 1, "learning_rate": 1e-3, "schedule": "constant"}
SMALL = {**PLAIN, "warmup_share": 0.0, "max_grad_norm": 0.0, "max_tokens": 256}


class Lab:
    """A tiny model, and the gradient of the first step that a recipe takes with it."""

    def __init__(self, model, records, folder):
        load_stack()
        self.base, self.records, self.folder = open_model(model), records, folder

    def prepared(self, **changes):
        recipe = read_recipe("small", {**SMALL, **changes})
        template = template_for(recipe.template, load_tokenizer(self.base), pad_token="<pad>")
        tokens = tokenize(
            self.records, template, loss=recipe.loss, max_tokens=256, too_long="error", markers="error"
        )
        return recipe, template, tokens

    def trainer(self, **changes):
        from curate.train.steps._trainer import OurTrainer

        recipe, template, tokens = self.prepared(**changes)
        taught = lessons(tokens, recipe, pad=template.tokenizer.pad_token_id)
        model = load_model(self.base, template, recipe)
        trainer = OurTrainer(
            recipe=recipe,
            lessons=taught,
            world=World(),
            facts={},
            keep=lambda *_: None,
            fail=lambda *_: AssertionError("not finite"),
            stop=Stop(),
            model=model,
            args=settings(recipe, model, self.folder, taught.order, World()),
            processing_class=template.tokenizer,
        )
        return trainer, tokens

    def first_step(self, **changes):
        """The loss, the gradients by name, and the batches of the first step."""
        trainer, _ = self.trainer(**changes)
        seen, gradients = [], {}
        take, norm = trainer.training_step, trainer._get_grad_norm

        def training_step(model, inputs, *given):
            seen.append({name: value.clone() for name, value in inputs.items() if torch.is_tensor(value)})
            return take(model, inputs, *given)

        def grad_norm(model, **given):
            if not gradients:
                gradients.update({name: weight.grad.clone() for name, weight in model.named_parameters()})
            return norm(model, **given)

        trainer.training_step, trainer._get_grad_norm = training_step, grad_norm
        trainer.train()
        return trainer.state.log_history[0]["loss"], gradients, seen


@pytest.fixture(scope="module")
def lab(tiny_model, records, tmp_path_factory):
    return Lab(tiny_model(), records, tmp_path_factory.mktemp("lab"))


def equal(ours, theirs):
    return all(torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-6) for name in ours)


def test_a_sequence_has_the_ids_and_labels_of_its_row(lab):
    recipe, _, tokens = lab.prepared()
    taught = lessons(tokens, recipe, pad=0)
    for place in range(len(tokens)):
        ids, labels = tokens.row(place)
        assert taught.dataset[place] == {"input_ids": ids.tolist(), "labels": labels.tolist()}
    assert taught.dataset[len(tokens)]["labels"] == [-100, -100]


def test_a_pack_has_its_rows_end_to_end_with_their_lengths(lab):
    recipe, _, tokens = lab.prepared(packing=True, max_tokens=128)
    taught = lessons(tokens, recipe, pad=0)
    assert sorted(np.concatenate(taught.members)) == list(range(len(tokens)))
    for place, rows in enumerate(taught.members):
        pack = taught.dataset[place]
        assert pack["seq_lengths"] == [int(tokens.lengths[row]) for row in rows]
        assert pack["input_ids"] == [id for row in rows for id in tokens.row(row)[0]]
        assert pack["labels"] == [label for row in rows for label in tokens.row(row)[1]]
    assert taught.dataset[len(taught.members)]["seq_lengths"] == [2]


def test_the_loss_of_a_step_is_the_sum_over_learned_tokens_divided_by_them(lab):
    loss, _, _ = lab.first_step(micro_batch_size=4)
    trainer, tokens = lab.trainer()
    total = count = 0
    with torch.no_grad():
        trainer.model.eval()
        for row in range(len(tokens)):
            ids, labels = (torch.tensor(part, dtype=torch.int64) for part in tokens.row(row))
            scores = trainer.model(input_ids=ids[None]).logits[0, :-1].double()
            learned = labels[1:] != -100
            total += torch.nn.functional.cross_entropy(
                scores[learned], labels[1:][learned], reduction="sum"
            ).item()
            count += int(learned.sum())
    assert loss == pytest.approx(total / count, rel=1e-5)
    assert trainer.order.counts(0)[0]["learned"] == count


def test_a_step_of_32_equals_8_times_4(lab):
    one_loss, one, batches = lab.first_step(micro_batch_size=32)
    many_loss, many, more = lab.first_step(micro_batch_size=4)
    assert (len(batches), len(more)) == (1, 8)
    assert one_loss == pytest.approx(many_loss, rel=1e-5)
    assert equal(one, many)


def test_packed_rows_are_learned_as_they_are_alone(lab):
    alone_loss, alone, _ = lab.first_step(micro_batch_size=1)
    packed_loss, packed, batches = lab.first_step(micro_batch_size=1, packing=True)
    assert len(batches) < 30
    assert packed_loss == pytest.approx(alone_loss, rel=1e-5)
    assert equal(packed, alone)


def test_packs_come_without_an_attention_mask(lab):
    # A mask of ones beside packed rows lets each see the others (huggingface/transformers, issue 46634).
    _, _, batches = lab.first_step(packing=True, micro_batch_size=2)
    assert all("attention_mask" not in batch and "position_ids" in batch for batch in batches)


def test_what_fills_up_an_epoch_weighs_nothing(lab):
    # 30 rows, 8 at a time: two fillers in the last batch.
    padded_loss, padded, batches = lab.first_step(micro_batch_size=8)
    loss, alone, _ = lab.first_step(micro_batch_size=2)
    assert (batches[-1]["labels"][-2:] == -100).all()
    assert padded_loss == pytest.approx(loss, rel=1e-5)
    assert equal(padded, alone)


def test_a_batch_of_fillers_alone_has_a_gradient_of_nothing(lab):
    # 30 rows in packs of one or two, on so many processes that some get no row at all in the end.
    trainer, _ = lab.trainer(micro_batch_size=2)
    empty = trainer.data_collator([trainer.train_dataset[30], trainer.train_dataset[30]])
    loss = trainer.training_step(trainer.model, empty, torch.tensor(100))
    assert loss == 0
    assert all(not weight.grad.any() for weight in trainer.model.parameters())


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_batches_of_all_processes_hold_every_row_once(lab, processes):
    recipe, _, tokens = lab.prepared(batch_size=16, micro_batch_size=2)
    order = lessons(tokens, recipe, pad=0, processes=processes).order
    from curate.train.steps._trainer import _InOrder

    seen = []
    for process in range(processes):
        batches = BatchSampler(_InOrder(order), recipe.micro_batch_size, drop_last=False)
        shard = list(BatchSamplerShard(batches, processes, process))
        assert len(shard) == len(order) // (2 * processes)
        seen += [place for batch in shard for place in batch]
    assert sorted(place for place in seen if place < len(tokens)) == list(range(len(tokens)))


def test_an_epoch_of_batches_holds_every_row_once_in_the_order_that_was_drawn(lab):
    trainer, tokens = lab.trainer(epochs=2, batch_size=8, micro_batch_size=4)
    seen = []
    take = trainer.training_step
    rows = {tuple(tokens.row(row)[0].tolist()): row for row in range(len(tokens))}

    def training_step(model, inputs, *given):
        for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True):
            seen.append(rows.get(tuple(ids[: mask.sum()].tolist()), len(tokens)))
        return take(model, inputs, *given)

    trainer.training_step = training_step
    trainer.train()
    assert seen == [*trainer.order.epoch(0), *trainer.order.epoch(1)]
    assert [sorted(seen[at : at + 30]) for at in (0, 32)] == [list(range(30))] * 2


@pytest.mark.parametrize(
    ("name", "floor"), [("linear", 1e-4), ("linear", 0.0), ("cosine", 1e-4), ("cosine", 0.0), ("constant", 0.0)]
)
def test_schedules_rise_and_fall_to_their_floor(name, floor):
    from transformers import get_scheduler

    recipe = read_recipe(
        "small",
        {"schedule": name, "learning_rate": 1e-3, "final_learning_rate": floor, "warmup_steps": 3},
    )
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=recipe.learning_rate)
    given = schedule(recipe)
    rates = get_scheduler(
        given["lr_scheduler_type"],
        optimizer,
        num_warmup_steps=warmup(recipe, 10),
        num_training_steps=10,
        scheduler_specific_kwargs=given.get("lr_scheduler_kwargs"),
    )
    seen = []
    for _ in range(11):
        seen.append(rates.get_last_lr()[0])
        optimizer.step()
        rates.step()
    assert seen[0] == 0
    assert seen[3] == pytest.approx(1e-3)
    assert seen[10] == pytest.approx(1e-3 if name == "constant" else floor, abs=1e-12)
    if name == "linear":
        steps = np.diff(seen[3:])
        assert np.allclose(steps, steps[0])


def test_warm_up_is_a_share_of_all_steps_unless_it_is_given_in_steps():
    recipe = read_recipe("small", {"warmup_share": 0.03})
    assert warmup(recipe, 105) == 4
    assert warmup(read_recipe("small", {"warmup_steps": 1000}), 105) == 1000


def test_nothing_is_left_to_what_trl_does_by_itself(lab):
    trainer, _ = lab.trainer()
    given = trainer.args
    assert (given.bf16, given.fp16, given.activation_checkpointing) == (torch.cuda.is_available(), False, False)
    assert given.report_to == []
    assert (given.save_strategy, given.eval_strategy, given.logging_nan_inf_filter) == ("no", "no", False)
    assert (given.packing, given.max_length, given.shuffle_dataset) == (False, None, False)
