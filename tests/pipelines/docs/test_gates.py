"""`docs/reference/gates.md` says what the declarations say, and the guide's `gates.yaml` is valid."""

import re
from pathlib import Path

from pipelines.docs.gates import gates_page
from transforms.publishing.gates import GATES
from transforms.publishing.gates_file import read_gates_file

DOCS = Path(__file__).parents[3] / "docs"


def test_gates_md_is_what_is_declared() -> None:
    assert (DOCS / "reference" / "gates.md").read_text(encoding="utf-8") == gates_page(), "run `make docs`"


def test_every_gate_has_a_row_with_its_limit() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| ([\d.]+)(, fixed)? \| (.*) \|$", gates_page(), re.M)
    assert [(name, float(limit)) for name, limit, _, _ in rows] == [(gate.name, gate.default) for gate in GATES]
    assert all(
        bool(fixed) == gate.is_fixed == (flag == "") for (_, _, fixed, flag), gate in zip(rows, GATES, strict=True)
    )


def test_the_guide_s_gates_file_is_valid(tmp_path: Path) -> None:
    guide = (DOCS / "guides" / "nightly-runs.md").read_text(encoding="utf-8")
    (tmp_path / "gates.yaml").write_text(re.search(r"```yaml\n(version: 1\n.+?)```", guide, re.S)[1])
    found = read_gates_file(str(tmp_path))
    assert found.limits == {"removed": 0.05, "more_rejected": 0.01, "drift_scores_unchanged": 0.1}
    assert found.require_blessed
