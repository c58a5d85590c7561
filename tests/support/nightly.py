"""A nightly `tag` without audio and without Beam: real planning, part files, assembly, commit, leases; invented sounds.

What a track sounds like depends on its id and its version alone, so a run that decodes it again gets the same rows.
"""

import collections
import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import load_bundle
from tests.support.groups import group_files
from transforms import storage
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import bucket_of, combine, short_id
from transforms.maintenance.run_leases import held_for_run
from transforms.name_run import outcome_digest, run_id_of
from transforms.publishing import receipts
from transforms.publishing.commit import publish, write_run
from transforms.publishing.gates import GateLimits
from transforms.publishing.receipts import Receipt
from transforms.schemas.catalog import CATALOG
from transforms.schemas.tables import PART
from transforms.table.snapshots import Run, Snapshot, snapshot_numbers
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows, assemble_bucket, score_bucket
from transforms.tagging.bucket_files import write_bucket, write_table_file
from transforms.tagging.outcomes.assembled import assembled
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.part_files import write_part
from transforms.tagging.planning import plan_chunks
from transforms.tagging.tagger import ids_of
from transforms.taxonomy.hierarchy import Taxonomy

BUCKETS = 2
LIMITS = GateLimits(max_reject_ratio=1, max_removed_ratio=1)
TAXONOMY = {"categories": [{"name": "mood", "kind": "multilabel", "tags": ["mood/calm", "mood/dark"]}]}


class Killed(BaseException):
    """What ends a process, as far as one process can show it."""


def nightly_bundle(url: Path, seed: int = 0):
    """A tiny bundle; another seed is another trunk."""
    return load_bundle(
        write_fake_bundle(str(url), Taxonomy.from_json(TAXONOMY), FeatureSpec(), seed=seed, patch_dim=2 + seed)
        and str(url)
    )


def rows_of(catalog: Mapping[str, str]) -> pa.Table:
    """Catalog rows of track id -> source version."""
    rows = [
        {
            "track_id": track,
            "uri": f"{track}.flac",
            "source_version": catalog[track],
            "artist_id": f"artist-{track[-1]}",
            "album_id": None if track[-1] in "02468" else f"album-{track[-1]}",
        }
        for track in sorted(catalog)
    ]
    return pa.Table.from_pylist(rows, CATALOG)


def heard(track: str, version: str, dim: int) -> dict:
    """The outcome of decoding: a track whose id begins with `bad` is rejected, `twin` ones have the same bytes."""
    bad = track.startswith("bad")
    sound = "twin" if track.startswith("twin") else track
    rng = np.random.default_rng(list(f"{sound} {version}".encode()))
    return {
        "track_id": track,
        "source_version": version,
        "reason": "silent" if bad else None,
        "detail": "invented" if bad else None,
        "stage": "features" if bad else None,
        "source_bytes": 1000,
        "source_sha256": short_id("s", sound, version)[2:].ljust(64, "0"),
        "decoded_fraction": None if bad else 1.0,
        "duration_s": None if bad else 8.0,
        "sample_rate": None if bad else 44_100,
        "channels": None if bad else 2,
        "embedding": None if bad else rng.normal(size=dim).astype(np.float16).astype(np.float32).tolist(),
    }


def tag_nightly(root: str, catalog: Mapping[str, str], bundle, *, chunk_tracks: int = 2) -> tuple[Snapshot, set[str]]:
    """One run of `tag`; returns its snapshot and the tracks that it decoded.

    A storage that raises `Killed` kills it: then nothing else is written, as if the process were gone.
    """
    open_table(root, BUCKETS)
    numbers = snapshot_numbers(root)
    known = PriorOutcomes(
        root=root,
        parent=numbers[-1] if numbers else None,
        ids=ids_of(bundle),
        due_again=frozenset(),
        buckets=BUCKETS,
        dim=bundle.embedding_dim,
    )
    launch = receipts.begin(root, known.parent)
    with held_for_run([root], launch, known.parent, detached=False, elsewhere=False, dry_run=False):
        return _tagged(known, rows_of(catalog), bundle, launch, chunk_tracks)


def _tagged(known, rows, bundle, launch, chunk_tracks):
    numbers = np.array([bucket_of(track, BUCKETS) for track in rows["track_id"].to_pylist()])
    buckets = {bucket: rows.filter(pa.array(numbers == bucket)) for bucket in range(BUCKETS) if bucket in numbers}
    decoded: set[str] = set()
    for bucket, own in buckets.items():
        for chunk in plan_chunks(known, bucket, own, chunk_tracks):
            found = [heard(one.track_id, one.source_version, bundle.embedding_dim) for one in chunk.tracks]
            decoded |= {one.track_id for one in chunk.tracks}
            write_part(known.root, bucket, pa.Table.from_pylist(found, PART), bundle.embedding_id)
    outcomes = {bucket: assembled(known, bucket, own) for bucket, own in buckets.items()}
    digests = [outcome_digest(own, outcomes[bucket]) for bucket, own in buckets.items()]
    run_id = run_id_of(known, PublishedRows(), combine(digests))
    run = _written(known, buckets, outcomes, bundle, run_id, len(decoded))
    write_run(known.root, run)
    receipts.write(known.root, launch, Receipt(run_id=run_id, counts=run.counts))
    snapshot = publish(known.root, run, LIMITS)
    receipts.forget(known.root, launch)
    return snapshot, decoded


def _written(known, buckets, outcomes, bundle, run_id, decoded) -> Run:
    twins = sorted(track for rows in buckets.values() for track in rows["track_id"].to_pylist() if "twin" in track)
    duplicates = dict.fromkeys(twins[1:], twins[0]) if twins else {}
    reports, found = [], []
    for bucket, rows in buckets.items():
        scored = score_bucket(rows, outcomes[bucket], bundle)
        found.append(scored)
        tables = assemble_bucket(rows, outcomes[bucket], duplicates, bundle, run_id, PublishedRows(), scored)
        reports.append(write_bucket(known, bucket, tables, run_id))
    files = [file for report in reports for file in report.files]
    files.append(write_table_file(known, -1, "taxonomy", bundle.taxonomy_rows().sort_by("tag"), run_id))
    files += group_files(known, found, bundle, PublishedRows(), run_id, BUCKETS)
    names = ("catalog", "tagged", "carried", "rejected", "unavailable")
    counts = {name: sum(report.counts.get(name, 0) for report in reports) for name in names}
    reasons = dict(sum((collections.Counter(report.reasons) for report in reports), collections.Counter()))
    return Run(
        run_id=run_id,
        parent=known.parent,
        ids=known.ids,
        counts={**counts, "decoded": decoded, "reused": 0},
        reasons=reasons,
        options=PublishedRows().to_json(),
        counted=counts["catalog"],
        files=tuple(files),
    )


WRITES = ("create", "write_bytes", "delete", "delete_empty_folder")
READS = ("read_bytes", "open_input", "list_files", "list_folder", "exists")


@dataclasses.dataclass
class Faults:
    """What happens at the storage: the call with number `at` meets the fault `how`; `count` calls were seen.

    Attributes:
      meanwhile: what others do while that call is under way, before and after its effect.
      asleep: what others do while the process sleeps at that call, if `how` is "sleep".
      calls: the function and the URL of every call.
    """

    at: int
    how: str
    meanwhile: Callable[[], object] = lambda: None
    asleep: Callable[[], object] = lambda: None
    count: int = 0
    dead: bool = False
    others: bool = False
    calls: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def around(self, call):
        """The same function of `storage`, with the fault."""

        def calls(url, *words, **named):
            if self.others:
                return call(url, *words, **named)
            if self.dead:
                raise Killed
            number, self.count = self.count, self.count + 1
            self.calls.append((call.__name__, url))
            if number != self.at:
                return call(url, *words, **named)
            self._let(self.meanwhile)
            return self._fault(call, url, *words, **named)

        return calls

    def _fault(self, call, *words, **named):
        if self.how == "sleep":
            self._let(self.asleep)
            return call(*words, **named)
        if self.how in ("answer lost", "kill after"):
            with contextlib.suppress(storage.StorageError):
                call(*words, **named)
            self._let(self.meanwhile)
        if self.how == "answer lost":
            raise storage.Unavailable("the answer was lost")
        if self.how == "raise":
            raise storage.Unavailable("down")
        self.dead = True
        raise Killed

    def _let(self, act):
        self.others = True
        try:
            act()
        finally:
            self.others = False


HOWS = ("kill before", "kill after", "raise", "answer lost")


@contextlib.contextmanager
def faults(monkeypatch, at: int, how: str, *, reads: bool = False, **others: Callable[[], object]) -> Iterator[Faults]:
    """Lets one write of this process, or with `reads` one call of any sort, fail; after a kill, all of them do."""
    state = Faults(at, how, **others)
    with monkeypatch.context() as patch:
        for name in (*WRITES, *READS) if reads else WRITES:
            patch.setattr(storage, name, state.around(getattr(storage, name)))
        yield state


def age(root: Path, seconds: float) -> None:
    """Makes every file of a table older."""
    for path in [*root.rglob("*"), *root.rglob(".*")]:
        if path.is_file():
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))
