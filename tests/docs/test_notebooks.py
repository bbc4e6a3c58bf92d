"""The notebooks run from top to bottom, need no download, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 180  # for a busy machine; each takes some ten seconds on an idle one


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3")
    return client.execute(cwd=str(ROOT / "notebooks"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs(path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = executed(nbformat.read(path, as_version=4))
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    figures = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(figures) >= 3
    warnings = [out.text for out in outputs if out.get("name") == "stderr"]
    assert warnings == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert notebook.cells[0].cell_type == "markdown"


def test_both_notebooks_are_there():
    assert {path.stem for path in NOTEBOOKS} == {"first_steps", "device_window"}


def test_a_failing_notebook_is_seen():
    cell = nbformat.v4.new_code_cell("assert 1 > 2")
    with pytest.raises(CellExecutionError, match="AssertionError"):
        executed(nbformat.v4.new_notebook(cells=[cell]))
