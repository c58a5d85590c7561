"""What the report of a run says about what was run: where the bundle and the catalog were."""

import logging

from transforms import storage
from transforms.formats.sealing import open_sealed
from transforms.table.layout import report_paths
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import read_snapshot
from transforms.table.versions import TableError

_log = logging.getLogger(__name__)


def recorded_fact(snapshot: SnapshotReader, name: str) -> str | None:
    """A fact of the report of a snapshot's run: `model`, `catalog` or `catalog_root`; None if no report has it.

    The report of an earlier run serves too, as long as its tagger was the same.
    """
    manifest, tagger = snapshot.manifest, snapshot.manifest.run.ids.tagger_id
    while manifest.run.ids.tagger_id == tagger:
        _, summary = report_paths(manifest.run.run_id)
        try:
            fields = open_sealed(storage.read_bytes(storage.join(snapshot.root, summary))).fields
            if isinstance(place := fields.get(name), str):
                return place
        except (storage.NotFound, ValueError, TypeError) as error:
            _log.debug("no report of %s: %s", manifest.run.run_id, error)
        if manifest.run.parent is None:
            return None
        try:
            manifest = read_snapshot(snapshot.root, manifest.run.parent)
        except (storage.NotFound, TableError):
            return None
    return None
