"""curate train tiny: a model to try training with, made on the spot."""

from __future__ import annotations

from pathlib import Path

import click

from curate.cli.options import RUNS


@click.command("tiny")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("subject", metavar="RUN|FILE", type=click.Path(path_type=Path))
@RUNS
def command(folder: Path, subject: Path, runs: Path) -> None:
    """Write a tiny Llama with random weights to FOLDER, and a tokenizer trained on the texts of RUN or FILE.

    It is for trying every part of training in a minute on any machine; it can learn a few dozen rows by heart.
    """
    from curate.train.sets import read_set
    from curate.train.tiny import make, texts_of

    made = make(folder, texts_of(read_set(subject, runs=runs)))
    click.echo(f"{made}\n\nTry: curate train {subject} --model {made}")
