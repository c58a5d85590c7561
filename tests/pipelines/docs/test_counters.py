"""`docs/reference/counters.md` says what the declarations say."""

from pathlib import Path

from pipelines.docs.counters import counters_page
from transforms.telemetry.counters import DECLARED


def test_counters_md_is_what_is_declared() -> None:
    path = Path(__file__).parents[3] / "docs" / "reference" / "counters.md"
    assert path.read_text(encoding="utf-8") == counters_page(), "run `make docs`"


def test_every_counter_is_in_the_section_of_its_stage() -> None:
    sections = {part.split("\n")[0]: part for part in counters_page().split("\n## ")[1:]}
    assert all(f"| `{measure.name}` |" in sections[measure.stage] for measure in DECLARED)
