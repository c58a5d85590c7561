"""Every change of a format has its line in the changelog."""

import re
from pathlib import Path

import pytest

from models.bundles.trunk_bundle import BUNDLE_VERSION
from transforms.dataset.manifest import DATASET_VERSION
from transforms.features.spec import EXTRACTOR_VERSION
from transforms.schemas.tables import SCHEMA_VERSION
from transforms.table.versions import READER_VERSION, WRITER_VERSION

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"

FORMATS = {
    "table schema": SCHEMA_VERSION,
    "table reader": READER_VERSION,
    "table writer": WRITER_VERSION,
    "dataset": DATASET_VERSION,
    "bundle": BUNDLE_VERSION,
    "extractor": EXTRACTOR_VERSION,
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_changelog_tells_the_newest_version_of_each_format(name: str) -> None:
    words = " ".join(CHANGELOG.read_text(encoding="utf-8").split())
    told = [int(number) for number in re.findall(rf"\b{name} version (\d+)", words)]
    assert told and max(told) == FORMATS[name]
