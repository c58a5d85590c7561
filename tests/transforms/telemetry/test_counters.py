"""Counters are declared once, and nothing counts what is not declared."""

from pathlib import Path
from typing import get_args

from transforms.telemetry import counters
from transforms.telemetry.counters import DECLARED, Kind, Measure

TRANSFORMS = Path(__file__).parents[3] / "transforms"


def test_a_name_is_declared_once_in_its_stage() -> None:
    assert len({(measure.stage, measure.name) for measure in DECLARED}) == len(DECLARED)


def test_every_declaration_is_complete() -> None:
    for measure in DECLARED:
        assert measure.kind in get_args(Kind) and measure.unit
        assert measure.sentence.endswith(".") and measure.sentence[0].isupper(), measure


def test_every_declaration_is_used() -> None:
    code = "".join(path.read_text("utf-8") for path in TRANSFORMS.rglob("*.py") if path.stem != "counters")
    named = {name for name, value in vars(counters).items() if isinstance(value, Measure)} | {"ASSEMBLED"}
    assert [name for name in sorted(named) if name not in code] == []


def test_one_module_alone_counts_in_the_engine() -> None:
    users = [path.name for path in TRANSFORMS.rglob("*.py") if "apache_beam.metrics" in path.read_text("utf-8")]
    assert users == ["sum_work.py"]
