"""Every notebook asks one question, runs from a checkout top to bottom, shows something, and answers."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 300  # for one cell: a busy machine is no fault of the notebook

pytestmark = [
    pytest.mark.skipif(not NOTEBOOKS, reason="the notebooks are not beside the tests"),
    # Of the packages that run them, not ours.
    pytest.mark.filterwarnings("ignore"),
]
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[file.stem for file in NOTEBOOKS])


def cells_of(notebook, kind):
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A place for notebooks to run in. They share the demo's run, as they do for people."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "notebooks").mkdir()
    return folder


@each_notebook
def test_a_notebook_opens_with_a_question_and_ends_with_the_answer(notebook):
    first, *_, last = ("".join(cell["source"]) for cell in cells_of(notebook, "markdown"))
    assert re.fullmatch(r"# .+\?", first.split("\n")[0])
    assert last.startswith("## Answer\n")
    assert len(last) > 100


@each_notebook
def test_a_notebook_is_kept_without_outputs(notebook):
    for cell in cells_of(notebook, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@each_notebook
def test_a_notebook_runs_and_what_it_answers_was_shown(notebook, checkout, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    for needed in ("ipykernel", "ipywidgets", "altair", "vl_convert"):
        pytest.importorskip(needed)
    monkeypatch.setenv("IPYTHONDIR", str(checkout / ".ipython"))
    made = nbformat.read(notebook, as_version=4)
    where = {"metadata": {"path": str(checkout / "notebooks")}}
    nbclient.NotebookClient(made, timeout=SECONDS, kernel_name="python3", resources=where).execute()
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    shown = [output for cell in code for output in cell.outputs]
    assert len(shown) >= 5
    assert not [output for output in shown if output.output_type == "stream" and output.name == "stderr"]
    # Each number of the answer stands in what the reader was shown, or in the text that led to it.
    *before, answer = (cell.source for cell in made.cells if cell.cell_type == "markdown")
    seen = numbers_in("\n".join([*before, *(cell.source for cell in code), *map(said, shown)]))
    assert numbers_in(answer) <= seen


def said(output):
    """An output as text, without markup."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    assert "error" not in output.output_type
    html = unescape(re.sub(r"<[^>]*>", " ", data.get("text/html", "")))
    return f"{data.get('text/plain', '')}\n{html}"


def numbers_in(text):
    """The numbers of a text as people write them, compared without the commas of thousands."""
    found = re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", text)
    return {format(float(each.replace(",", "")), "g") for each in found}
