"""What a job needs of the places that it reads and writes: catalogs, bundles, datasets and tables."""

import datetime
import os
import shutil
import uuid
from pathlib import Path

from models.bundles.tagger_bundle import load_bundle
from models.bundles.trunk_bundle import BUNDLE_FILE, BundleError
from pipelines.checks.absent_places import absent_finding
from pipelines.checks.finding import Finding
from pipelines.checks.in_time import answer_in_time
from pipelines.checks.limits import disk_finding
from pipelines.checks.sources import look_up_sources
from pipelines.inputs.source_roots import source_roots
from transforms import storage
from transforms.catalog.problems import CatalogError
from transforms.catalog.reader import count_rows, list_shards
from transforms.dataset.manifest import DATASET_FILE, DatasetError, read_manifest
from transforms.table.snapshots import current_snapshot
from transforms.table.versions import TableError, read_table_metadata
from transforms.taxonomy.tag_ids import shown

PLACE_S = 60.0
"""Longest time that the checks of one place may take. A catalog is counted, which takes long if it is large."""


def place_findings(url: str, catalog_root: str | None = None) -> list[Finding]:
    """The findings about a place: a bundle, a dataset, a table, a catalog, or the folder of a new table."""
    try:
        return answer_in_time(lambda: _findings(url, catalog_root), PLACE_S)
    except TimeoutError:
        text, remedy = f"no answer within {PLACE_S:.0f} s", "correct the name or the network, or try again"
        return [Finding(name=url, state="failed", text=text, remedy=remedy)]


def _findings(url: str, catalog_root: str | None) -> list[Finding]:
    try:
        if storage.exists(storage.join(url, BUNDLE_FILE)):
            return [_bundle(url)]
        if storage.exists(storage.join(url, DATASET_FILE)):
            return [_dataset(url)]
        if storage.exists(storage.join(url, "table.json")):
            return [_table(url), *_writable(url)]
        if _is_catalog(url):
            return _catalog(url, catalog_root)
        absent = absent_finding(url)
        return [absent] if absent.state == "failed" else [absent, *_writable(url)]
    except (storage.StorageError, ValueError, ModuleNotFoundError) as error:
        remedy = "correct the name, the permission or the connection"
        return [Finding(name=url, state="failed", text=_line(error), remedy=remedy)]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_catalog(url: str) -> bool:
    try:
        list_shards(url)
    except CatalogError as error:
        return not error.is_missing
    return True


def _bundle(url: str) -> Finding:
    try:
        bundle = load_bundle(url)
    except (BundleError, storage.StorageError) as error:
        return Finding(name=url, state="failed", text=_line(error), remedy="copy or make the bundle again")
    return Finding(name=url, state="ok", text=f"a bundle, tagger {bundle.tagger_id}")


def _dataset(url: str) -> Finding:
    try:
        dataset = read_manifest(url)
    except (DatasetError, storage.StorageError) as error:
        return Finding(name=url, state="failed", text=_line(error), remedy="copy or make the dataset again")
    return Finding(name=url, state="ok", text=f"a dataset, features {dataset.feature_id}")


def _table(url: str) -> Finding:
    try:
        read_table_metadata(url, writing=True)
        snapshot = current_snapshot(url)
    except (TableError, storage.StorageError) as error:
        return Finding(name=url, state="failed", text=_line(error), remedy="run `catalog-tagger verify` on it")
    if snapshot is None:
        return Finding(name=url, state="ok", text="a table without a snapshot")
    text = f"a table, snapshot {snapshot.number} of {snapshot.created}, {snapshot.run.counts['catalog']} tracks"
    ahead = datetime.datetime.fromisoformat(snapshot.created) - datetime.datetime.now(datetime.UTC)
    if ahead > datetime.timedelta(minutes=5):
        remedy = "set the clock of this machine, or of the one that published it"
        return Finding(name=url, state="warning", text=f"{text}: in the future of this machine's clock", remedy=remedy)
    return Finding(name=url, state="ok", text=text)


def _writable(url: str) -> list[Finding]:
    """Writes and removes one small file; on a local disk the free space too."""
    probe = storage.join(url, f".doctor-{uuid.uuid4().hex}")
    if "://" not in url and not Path(url).exists():
        return _new_local_folder(url)
    try:
        storage.create(probe, b"")
        storage.delete(probe)
    except (storage.StorageError, OSError) as error:
        remedy = "give this user or service account the right to create and delete files there"
        return [Finding(name=f"{url}, writing", state="failed", text=_line(error), remedy=remedy)]
    written = Finding(name=f"{url}, writing", state="ok", text="a file was created and removed")
    if "://" in url:
        return [written]
    return [written, disk_finding(f"{url}, disk", url, shutil.disk_usage(url).free)]


def _new_local_folder(url: str) -> list[Finding]:
    above = next(folder for folder in Path(url).absolute().parents if folder.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        text, remedy = f"{above} cannot be written", "give this user the right to create folders there"
        return [Finding(name=f"{url}, writing", state="failed", text=text, remedy=remedy)]
    free = shutil.disk_usage(above).free
    return [disk_finding(f"{url}, disk", str(above), free)]


def _catalog(url: str, root: str | None) -> list[Finding]:
    try:
        shards = list_shards(url, root)
        rows = count_rows(shards)
        looked_up = look_up_sources(shards, source_roots((), shards))
    except (CatalogError, storage.StorageError) as error:
        return [Finding(name=url, state="failed", text=_line(error), remedy="correct the catalog")]
    if not rows:
        return [Finding(name=url, state="failed", text="a catalog without rows", remedy="name another catalog")]
    found, refused = list(looked_up.there.values()), looked_up.refused
    sources = f"{sum(found)} of {len(found)} sampled sources are there"
    catalog = Finding(name=url, state="ok", text=f"a catalog of {rows} rows")
    if refused:
        text = f"{len(refused)} of {len(refused) + len(found)} sampled sources are outside of the allowed roots"
        return [catalog, Finding(name=f"{url}, audio", state="failed", text=text, remedy=f"for `tag`: {refused[0]}")]
    if all(found):
        return [catalog, Finding(name=f"{url}, audio", state="ok", text=sources)]
    remedy = f"uris start from {shards[0].root}: give --catalog-root"
    if any(found):
        remedy = f"look for the missing files, such as {shown(looked_up.missing[0])}; `tag` rejects them"
    state = "warning" if any(found) else "failed"
    return [catalog, Finding(name=f"{url}, audio", state=state, text=sources, remedy=remedy)]  # type: ignore[arg-type]
