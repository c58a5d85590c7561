"""One published table for all tests of this folder; nobody writes into it."""

import pytest

from tests.support.published import fake_bundle, publish_table
from transforms.table.reader import open_snapshot


@pytest.fixture(scope="package")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discovery")
    publish_table(folder / "table", fake_bundle(folder / "bundle"), 60)
    return open_snapshot(str(folder / "table"))
