"""Rejects what a task has beyond a number of instances."""

from curate.api import Field, Limit, Verdict, above, measured, rejects


@rejects
def too_many_instances(*, of: Field = "prompt", max_instances: Limit[int] = 5) -> Verdict:
    """An instance beyond the first `max_instances` of its task, in an order drawn by id.

    Why: Self-Instruct keeps at most five instances of a task, drawn at random
    (self_instruct/prepare_for_finetuning.py in yizhongw/self-instruct), so that no instruction is learned more
    than others. A task is what its records say in `of`; equal pairs of input and output count as one.
    """
    return above(measured("instances", "place", of), max_instances)
