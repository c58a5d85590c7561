"""One table for all tests of the service, and a service over it."""

import pytest

from tests.support.service import served_table, service
from transforms.table.reader import open_snapshot


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    return served_table(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def client(served):
    with service(served) as client:
        yield client


@pytest.fixture(scope="session")
def rows(served):
    """The rows of `tracks`, in order of their ids."""
    return sorted(open_snapshot(served).scan("tracks").to_pylist(), key=lambda row: row["track_id"])
