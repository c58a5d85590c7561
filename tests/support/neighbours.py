"""Neighbours of a published table, found by production without Beam."""

import types

from pipelines.jobs.discovery.neighbours import make_settings, models_of, publish_neighbours
from transforms.find_neighbours import find_neighbours
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Snapshot


def settings_of(root: str, neighbours: int = 5, probes: int = 24, *, refit: bool = False):
    """The newest snapshot, and the work of a run over it."""
    args = types.SimpleNamespace(table=root, neighbours=neighbours, probes=probes, tag_weight=None, refit=refit)
    snapshot = open_snapshot(root)
    return snapshot, make_settings(args, snapshot)


def publish_table_neighbours(root: str, neighbours: int = 5, probes: int = 24, *, refit: bool = False) -> Snapshot:
    """Publishes the neighbours of the newest snapshot."""
    snapshot, settings = settings_of(root, neighbours, probes, refit=refit)
    models_of(snapshot, settings)
    find_neighbours(settings.work)
    return publish_neighbours(root, snapshot, settings)
