"""One published table for all tests of this folder; nobody writes into it."""

import pytest

from tests.support.composed import composed_table
from tests.support.neighbours import publish_table_neighbours
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


@pytest.fixture(scope="package")
def joined(tmp_path_factory):
    """The same rows without and with neighbours and a search index."""
    before = composed_table(tmp_path_factory.mktemp("joined"), 120)
    publish_table_neighbours(before.root, neighbours=8)
    return before, open_snapshot(before.root)
