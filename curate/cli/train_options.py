"""What the commands of `curate train` have in common: the set, the model and the recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from curate.cli.options import RUNS, SOURCE, parameters
from curate.cli.shown import visible

if TYPE_CHECKING:
    from curate.train.recipe import Recipe
    from curate.train.sets import TrainingSet
    from curate.watch import Watch


PROCESSES: Final = click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many processes train together, one a GPU; under torchrun, how many there must be.",
)
BASE: Final = click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where the base model lies now, if it was moved since; the weights must be the same.",
)
_OPTIONS: Final = (
    click.argument("subject", metavar="RUN|FILE", type=click.Path(path_type=Path)),
    click.option(
        "--model",
        required=True,
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="A folder with config.json, tokenizer and weights as safetensors.",
    ),
    click.option(
        "--recipe",
        metavar="NAME|FILE",
        help="lima, alpaca-7b, alpaca-13b, vicuna, false-promise, small, or a file of your own.  "
        "[default: the pipeline's, or small]",
    ),
    click.option(
        "--set",
        "changes",
        multiple=True,
        callback=parameters,
        metavar="NAME=VALUE",
        help="Another value for the recipe, such as epochs=3.",
    ),
    click.option(
        "--dev", type=click.Path(path_type=Path), metavar="FILE", help="The dev split, in place of the run's."
    ),
    SOURCE,
    click.option(
        "--read",
        "parameters",
        multiple=True,
        callback=parameters,
        metavar="NAME=VALUE",
        help="A parameter of the source that FILE is read by, such as prompt=title.",
    ),
    RUNS,
)


def trains(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the set, the model and the recipe: `subject`, `model` and what `asked` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def asked(
    subject: Path,
    *,
    model: Path,
    recipe: str | None,
    changes: dict[str, Any],
    dev: Path | None,
    source: str | None,
    parameters: dict[str, Any],
    runs: Path,
    watch: Watch | None = None,
) -> tuple[TrainingSet, Recipe]:
    """The set and the recipe that were asked for; without a recipe, the one in the run's pipeline."""
    from curate.reporting import is_run
    from curate.train.model_folder import open_model
    from curate.train.recipe import DEFAULT, read_recipe
    from curate.train.sets import read_set

    # What can be told is told before a set is read.
    open_model(model, weights=False)
    if recipe is not None or not is_run(subject):
        read_recipe(recipe or DEFAULT, changes)
    given = read_set(subject, dev=dev, source=source, parameters=parameters, runs=runs, watch=watch)
    for why, rows in given.facts["unread"].items():
        click.secho(f"note:  {rows:,} rows could not be read, {visible(why)}", fg="yellow", err=True)
    table = given.facts["train"] if recipe is None else {}
    own = {name: value for name, value in table.items() if name != "recipe"}
    return given, read_recipe(recipe or table.get("recipe", DEFAULT), {**own, **changes})
