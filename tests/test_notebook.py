"""The notebook for analysts is run cell by cell on a small table, without Jupyter."""

import json
from pathlib import Path

import pytest

from tests.support.neighbours import publish_table_neighbours
from tests.support.published import fake_bundle, publish_table

NOTEBOOK = json.loads((Path(__file__).parents[1] / "docs" / "examples" / "analysts.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_has_no_output():
    assert CELLS and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CELLS)


@pytest.mark.long
@pytest.mark.parametrize("has_neighbours", [True, False])
def test_the_notebook_runs(tmp_path, capsys, has_neighbours):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 36)
    if has_neighbours:
        publish_table_neighbours(str(tmp_path / "table"))
    found: dict = {}
    for number, cell in enumerate(CELLS):
        source = "".join(cell["source"]).replace('"demo/table"', repr(str(tmp_path / "table")))
        exec(compile(source, f"cell {number}", "exec"), found)
    figures = [plt.figure(number) for number in plt.get_fignums()]
    assert len(figures) == 4 and all(axes.patches or axes.lines for one in figures for axes in one.axes)
    for number, figure in enumerate(figures):
        figure.savefig(tmp_path / f"{number}.png")
    plt.close("all")
    printed = capsys.readouterr().out
    assert len(found["best"]) == 10 and len(found["near"]) == (5 if has_neighbours else 0)
    assert ("run `catalog-tagger neighbours TABLE`" in printed) is not has_neighbours
