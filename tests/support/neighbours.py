"""Neighbours of a published table, found by production without Beam."""

import types

from pipelines.jobs.neighbours import make_settings, models_of, publish_neighbours
from transforms.find_neighbours import find_neighbours
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Snapshot


def publish_table_neighbours(root: str, neighbours: int = 5, probes: int = 24) -> Snapshot:
    """Publishes the neighbours of the newest snapshot."""
    args = types.SimpleNamespace(table=root, neighbours=neighbours, probes=probes, tag_weight=None)
    snapshot = open_snapshot(root)
    settings = make_settings(args, snapshot)
    models_of(snapshot, settings)
    find_neighbours(settings.work)
    return publish_neighbours(root, snapshot, settings)
