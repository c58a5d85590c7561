"""What a job needs of the places that it reads and writes: catalogs, bundles, datasets and tables."""

import datetime
import os
import shutil
import uuid
from pathlib import Path

from models.bundles.tagger_bundle import load_bundle
from models.bundles.trunk_bundle import BUNDLE_FILE, BundleError
from pipelines.checks.finding import Finding
from pipelines.checks.limits import disk_finding
from pipelines.inputs.source_roots import source_roots
from transforms import storage
from transforms.catalog.problems import CatalogError
from transforms.catalog.reader import CatalogShard, count_rows, list_shards, read_shard
from transforms.dataset.manifest import DATASET_FILE, DatasetError, read_manifest
from transforms.table.snapshots import current_snapshot
from transforms.table.versions import TableError, read_table_metadata

SAMPLED = 20
"""Sources of a catalog that are looked up."""


def place_findings(url: str, catalog_root: str | None = None) -> list[Finding]:
    """The findings about a place: a bundle, a dataset, a table, a catalog, or the folder of a new table."""
    try:
        if storage.exists(storage.join(url, BUNDLE_FILE)):
            return [_bundle(url)]
        if storage.exists(storage.join(url, DATASET_FILE)):
            return [_dataset(url)]
        if storage.exists(storage.join(url, "table.json")):
            return [_table(url), *_writable(url)]
        if _is_catalog(url):
            return _catalog(url, catalog_root)
        if any(True for _ in storage.list_folder(url)):
            remedy = "name a catalog, a bundle, a dataset, a table or a new folder"
            return [Finding(name=url, state="failed", text="has files of another kind", remedy=remedy)]
        return [Finding(name=url, state="ok", text="nothing is here: a new table"), *_writable(url)]
    except (storage.StorageError, ValueError, ModuleNotFoundError) as error:
        remedy = "correct the name, the permission or the connection"
        return [Finding(name=url, state="failed", text=_line(error), remedy=remedy)]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_catalog(url: str) -> bool:
    try:
        list_shards(url)
    except CatalogError as error:
        return not any("no such file" in p.message or "no catalog file" in p.message for p in error.problems)
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
        found, refused = _sampled_sources(shards)
    except (CatalogError, storage.StorageError) as error:
        return [Finding(name=url, state="failed", text=_line(error), remedy="correct the catalog")]
    if not rows:
        return [Finding(name=url, state="failed", text="a catalog without rows", remedy="name another catalog")]
    sources = f"{sum(found)} of the first {len(found)} sources are there"
    catalog = Finding(name=url, state="ok", text=f"a catalog of {rows} rows")
    if refused:
        text = f"{len(refused)} of the first {len(refused) + len(found)} sources are outside of the allowed roots"
        return [catalog, Finding(name=f"{url}, audio", state="failed", text=text, remedy=f"for `tag`: {refused[0]}")]
    if all(found):
        return [catalog, Finding(name=f"{url}, audio", state="ok", text=sources)]
    remedy = f"uris start from {shards[0].root}: give --catalog-root"
    state = "warning" if any(found) else "failed"
    return [catalog, Finding(name=f"{url}, audio", state=state, text=sources, remedy=remedy)]  # type: ignore[arg-type]


def _sampled_sources(shards: list[CatalogShard]) -> tuple[list[bool], list[str]]:
    """For the first rows: whether each file exists, and the remedies for those that `tag` refuses."""
    for shard in shards:
        for batch, _ in read_shard(shard, batch_rows=SAMPLED):
            uris = batch["uri"].to_pylist()[:SAMPLED]
            if uris:
                roots = source_roots((), shards)
                check = roots.check()
                refusals = {uri: check.refusal(roots.url(uri)) for uri in uris}
                found = [storage.exists(roots.url(uri)) for uri in uris if refusals[uri] is None]
                return found, [refused.remedy for refused in refusals.values() if refused is not None]
    return [], []
