"""curate lint: what is wrong with examples of your own."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click


@click.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--new", type=click.Path(path_type=Path), metavar="FILE", help="Write an example to begin from.")
def command(paths: tuple[Path, ...], new: Path | None) -> None:
    """Check examples that people wrote: folders of Markdown files, single ones, or JSON lines.

    \b
    An example is a Markdown file. Turns stand under marks; a text may hold any Markdown.
        +++
        author = "A. Writer"
        license = "CC-BY-4.0"
        +++
        === user ===
        What is rye?
        === assistant ===
        A grass that is grown for its grain.

    What stands between the lines `+++` is TOML and may be left out; its keys are id, domain, author, license,
    created and note. `=== system ===` may come first. More turns make a dialogue; one that ends with the user is a
    prompt of a test set. A line of a text that looks like a mark begins with a backslash.

    As JSON lines, the same keys stand beside "prompt", "response" and "system", or beside "messages" with "role"
    and "content".
    """  # noqa: D301 (a backspace is what tells click to leave a paragraph as it is)
    from curate.lint import lint

    if new is not None:
        _write(new)
    if not paths:
        if new is None:
            raise click.UsageError("name a folder of examples, or begin one with `--new FILE`")
        return
    linted = lint(paths)
    for finding in linted.findings:
        click.secho(str(finding), fg="red" if finding.level == "error" else None)
    domains = ", ".join(f"{count:,} {domain}" for domain, count in sorted(linted.domains.items()))
    domains = f" ({domains})" if domains else ""
    notes = len(linted.findings) - linted.errors
    click.echo(
        f"examples: {linted.examples:,}{domains}, dialogues: {linted.dialogues:,},"
        f" prompts alone: {linted.prompts_alone:,}; errors: {linted.errors:,}, notes: {notes:,}"
    )
    if linted.errors:
        sys.exit(1)


def _write(file: Path) -> None:
    from curate.authoring import TEMPLATE
    from curate.errors import PipelineError

    if file.suffix.lower() != ".md":
        raise PipelineError("an example is a Markdown file", where=str(file), next=f"call it {file.stem}.md")
    if file.exists():
        raise PipelineError("the file is there already", where=str(file), next="give another name")
    file.parent.mkdir(parents=True, exist_ok=True)
    today = datetime.now(UTC).date().isoformat()
    file.write_text(TEMPLATE.format(id="-".join(file.stem.split()), created=today), "utf-8")
    click.echo(f"wrote {file}")
