"""`docs/reference/formats.md` says what is recognised."""

from pathlib import Path

from pipelines.docs.formats import formats_page
from transforms.audio.containers.kinds import KINDS


def test_formats_md_is_what_is_recognised() -> None:
    path = Path(__file__).parents[3] / "docs" / "reference" / "formats.md"
    assert path.read_text(encoding="utf-8") == formats_page(), "run `make docs`"


def test_every_format_has_a_row() -> None:
    assert all(f"\n| {kind.name} | `.{kind.suffixes[0]}`" in formats_page() for kind in KINDS)
