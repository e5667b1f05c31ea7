"""Rejects tasks that answer one input in several ways."""

from curate.api import Field, Verdict, above, measured, rejects


@rejects
def conflicting_outputs(*, of: Field = "prompt") -> Verdict:
    """A task of which one input has several outputs; all of its instances go.

    Why: Self-Instruct drops every instance of such a task (self_instruct/prepare_for_finetuning.py in
    yizhongw/self-instruct): one of the outputs must be wrong, and nobody knows which. Instances without an input
    are not compared. A task is what its records say in `of`; the evidence is how many of its inputs conflict.
    """
    return above(measured("instances", "conflicts", of), 0)
