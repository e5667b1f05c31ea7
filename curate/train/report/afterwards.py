"""Doubts that only a training run itself can raise: what the loss did, and how the kept epochs speak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log
from typing import Any, Final

from curate.train.checks.doubts import counted, doubt

Json = dict[str, Any]

_PART: Final = 0.1  # of all steps: what is called the beginning and the end
_ALWAYS: Final = 0.9  # of the steps
_ENDED: Final = 0.9  # of the answers; LIMA's recipe lets one be 2,048 tokens long, which few are
_HEART: Final = 0.05  # nats a token: what is learned so well is known by heart
_SPIKE: Final = 3.0  # times the loss around it
_GUESSING: Final = 0.85  # of the loss of one who guesses; a trained model begins at a third of it or less
_FEW: Final = 8  # steps of which nothing is told


def about_steps(
    steps: Sequence[Mapping[str, Any]], recipe: Mapping[str, Any], vocabulary: int | None = None
) -> Iterator[Json]:
    """Doubts about the steps that were taken, which are the lines of `metrics.jsonl`."""
    losses = [float(each["loss"]) for each in steps if each.get("loss") is not None]
    if len(losses) < _FEW:
        return
    if vocabulary and losses[0] > _GUESSING * log(vocabulary):
        yield doubt(
            "guessing",
            "warning",
            f"the loss begins at {losses[0]:.3g} a token, and guessing among {vocabulary:,} tokens has"
            f" {log(vocabulary):.3g}: the model knew nothing of such texts",
            "its weights are random, or the tokenizer is another model's, unless that is meant",
        )
    part = max(1, int(_PART * len(losses)))
    first, last = (sum(some) / len(some) for some in (losses[:part], losses[-part:]))
    if last >= first:
        yield doubt(
            "not_learned",
            "warning",
            f"the loss ends at {last:.3g}, where it began at {first:.3g}: nothing was learned",
            "set learning_rate lower if the loss rose, higher if it stayed; and look at the masks",
        )
    elif last < _HEART:
        yield doubt(
            "by_heart",
            "note",
            f"the loss ends at {last:.2g} a token: the rows are known by heart",
            "pick an earlier epoch if answers repeat rows of train",
        )
    spikes = [
        each["step"]
        for at, each in enumerate(steps[part:-1], part)
        if float(each["loss"]) > _SPIKE * max(_HEART, sum(losses[at - part : at]) / part)
    ]
    if spikes:
        yield doubt(
            "spikes",
            "warning",
            f"the loss leaps at {counted(len(spikes), 'step')}, first at {spikes[0]:,}",
            "look at the rows of that step, or set max_grad_norm or learning_rate lower",
        )
    limit = recipe.get("max_grad_norm") or 0
    norms = [float(each["grad_norm"]) for each in steps if each.get("grad_norm") is not None]
    clipped = sum(norm > limit for norm in norms)
    if limit and norms and clipped > _ALWAYS * len(norms):
        yield doubt(
            "clipped",
            "note",
            f"gradients were clipped to {limit:g} in {clipped:,} of {len(norms):,} steps",
            "AdamW evens out most of that; a norm that grows tells of a rate that is too high",
        )


def about_epochs(epochs: Sequence[Mapping[str, Any]], picked: int | None, most: int) -> Iterator[Json]:
    """Doubts about the picked epoch, or the last where none is; `most` is the longest answer in tokens.

    `epochs` are rows of `picking.epochs`.
    """
    for epoch in epochs[-1:] if picked is None else [each for each in epochs if each["epoch"] == picked]:
        if epoch["answers"] and epoch["ended"] < _ENDED * epoch["answers"]:
            endless = epoch["answers"] - epoch["ended"]
            yield doubt(
                "endless",
                "warning",
                f"{endless:,} of {epoch['answers']:,} answers of epoch {epoch['epoch']} did not end by themselves",
                f"read them: a model that was trained long enough ends, or max_new_tokens = {most:,} is short",
            )
    losses = [(each["dev_per_token"], each["epoch"]) for each in epochs if each["dev_per_token"] is not None]
    if len(losses) > 1 and picked is not None:
        best = min(losses)[1]
        own = next((loss for loss, epoch in losses if epoch == picked), None)
        if own is not None and best != picked:
            yield doubt(
                "dev_loss_rises",
                "note",
                f"epoch {picked} was picked, and the loss on dev is least at epoch {best}"
                f" ({own:.3g} against {min(losses)[0]:.3g})",
                "LIMA's answers got better while that loss rose: read the answers of both",
            )
