"""One published table for all tests of this folder; nobody writes into it."""

import pytest

from tests.support.composed import composed_table
from tests.support.published import fake_bundle, publish_table
from transforms.table.reader import open_snapshot

TRACKS = 240
"""Tracks of the table of known composition."""


@pytest.fixture(scope="package")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discovery")
    publish_table(folder / "table", fake_bundle(folder / "bundle"), 60)
    return open_snapshot(str(folder / "table"))


@pytest.fixture(scope="package")
def composed(tmp_path_factory):
    return composed_table(tmp_path_factory.mktemp("composed"), TRACKS)
