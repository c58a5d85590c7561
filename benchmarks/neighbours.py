"""The search index and the neighbours of many tracks: recall, time, memory; beside faiss and hnswlib if installed.

python -m benchmarks.neighbours --tracks 100000 [--queries 200] [--parts index faiss hnswlib job]

Vectors have 256 values: clusters of about 200 tracks, with variances that fall like 1 / sqrt(i), which makes distances
within and between clusters overlap as in embeddings of music. Recall is measured against the exact search. Times are
those of one query after another, warm, in one thread.
"""

import argparse
import contextlib
import importlib.util
import itertools
import json
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from benchmarks.machine import describe_machine
from pipelines.jobs.discovery.neighbours import make_settings, models_of, publish_neighbours
from transforms.audio.errors import DUE_AGAIN
from transforms.discovery.index.cells import cell_count, fit_cells, nearest_cells
from transforms.discovery.index.codes import rotation
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.model import GROUP_TRACKS, IndexModel
from transforms.discovery.index.opening import open_index
from transforms.discovery.index.search import PROBES, SearchIndex
from transforms.discovery.similarity import SimilaritySpec, Space
from transforms.find_neighbours import find_neighbours
from transforms.formats.arrow import group_numbers
from transforms.publishing.commit import commit_run, write_run
from transforms.schemas.tables import EMBEDDINGS, LEDGER, TABLES, TRACK_TAGS, TRACKS
from transforms.table.neighbours import kept_neighbours
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Ids, Run, current_snapshot
from transforms.table.versions import open_table
from transforms.tagging.bucket_files import write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes

DIMENSIONS = 256
RESULTS = 10
PARTS = ("index", "faiss", "hnswlib", "job")
"""hnswlib keeps 1.2 KB a track in memory, and takes minutes of processor time for 1,000,000 tracks."""

SHARES = (None, 0.01, 0.5)
"""Shares of the tracks that a filter leaves; None: no filter."""

_BLOCK = 50_000


def clustered(tracks: int, seed: int, centres: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of unit vectors around centres, rounded to float16 precision: float32 [n, 256]."""
    rng = np.random.default_rng(seed)
    spectrum = spectrum_of(DIMENSIONS)
    for start in range(0, tracks, _BLOCK):
        n = min(_BLOCK, tracks - start)
        own = centres[rng.integers(0, len(centres), n)] + 0.9 * rng.normal(size=(n, DIMENSIONS)) * spectrum
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        yield own.astype(np.float16).astype(np.float32)


def spectrum_of(dimensions: int) -> np.ndarray:
    return np.arange(1, dimensions + 1) ** -0.25


def centres_of(tracks: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(max(1, tracks // 200), DIMENSIONS)) * spectrum_of(DIMENSIONS)


def plain_space() -> Space:
    """A space whose vectors are the embeddings themselves."""
    zeros, ones = np.zeros(DIMENSIONS), np.ones(DIMENSIONS)
    spec = SimilaritySpec(embedding_id="em-benchmark", tag_weight=0, components=DIMENSIONS)
    return Space(
        spec=spec, tags=(), mean=zeros, scale=ones, basis=np.eye(DIMENSIONS), tag_mean=zeros[:0], tag_scale=zeros[:0]
    )


def built(vectors: np.ndarray) -> tuple[SearchIndex, np.ndarray]:
    """The index of vectors in memory, and the number of the vector in each of its rows."""
    count = cell_count(len(vectors))
    sample = vectors[np.random.default_rng(1).permutation(len(vectors))[: 32 * count]]
    centres = fit_cells(sample, count)
    starts = np.linspace(0, len(centres), max(1, round(len(vectors) / GROUP_TRACKS)) + 1).astype(np.int64)
    model = IndexModel(plain_space(), centres, rotation(DIMENSIONS), np.unique(starts))
    cells = nearest_cells(vectors, centres)
    groups, numbers = [], model.groups_of(cells)
    for group in range(model.groups):
        rows = np.flatnonzero(numbers == group)
        ids = pa.array([f"{row:09d}" for row in rows])
        groups.append(IndexGroup.of(model, ids, cells[rows], np.zeros(len(rows), np.float32), vectors[rows]))
    index = SearchIndex.of(model, groups)
    return index, np.array(index.track_ids.to_pylist()).astype(np.int64)


def measured(search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, truth: list[np.ndarray]) -> dict:
    """Recall and times of a search, which returns numbers of vectors."""
    for query in queries[:20]:
        search(query)
    hits, times = [], []
    for query, true in zip(queries, truth, strict=True):
        start, core = time.perf_counter(), time.thread_time()
        found = search(query)
        times.append((time.perf_counter() - start, time.thread_time() - core))
        hits.append(len({*found.tolist()} & {*true.tolist()}) / len(true))
    wall, cores = np.array(times).T * 1e3
    names = {"median_ms": np.median, "p99_ms": lambda values: np.percentile(values, 99)}
    return {
        "recall": round(float(np.mean(hits)), 4),
        **{name: round(float(of(wall)), 2) for name, of in names.items()},
        **{f"core_{name}": round(float(of(cores)), 2) for name, of in names.items()},
    }


def exact(vectors: np.ndarray, queries: np.ndarray, mask: np.ndarray | None) -> list[np.ndarray]:
    rows = np.arange(len(vectors)) if mask is None else np.flatnonzero(mask)
    best = [[] for _ in queries]
    for start in range(0, len(rows), _BLOCK):
        own = rows[start : start + _BLOCK]
        near = queries @ vectors[own].T
        top = np.argpartition(-near, min(RESULTS, near.shape[1] - 1), axis=1)[:, :RESULTS]
        for query, places in enumerate(top):
            best[query] += zip(near[query, places].tolist(), own[places].tolist(), strict=True)
    return [np.array([row for _, row in sorted(found, reverse=True)[:RESULTS]]) for found in best]


def index_figures(vectors: np.ndarray, queries: np.ndarray, probes: list[int]) -> Iterator[dict]:
    start = time.process_time()
    index, numbers = built(vectors)
    build_s = round(time.process_time() - start, 1)
    resident = index.codes.nbytes + index.factors.nbytes + index.model.centres.nbytes + index.model.turn.nbytes
    for share in SHARES:
        mask = None if share is None else np.random.default_rng(2).random(len(vectors)) < share
        truth = exact(vectors, queries, mask)
        own = None if mask is None else mask[numbers]
        for count in probes:
            one = measured(lambda q, c=count, m=own: numbers[index.search_rows(q, RESULTS, mask=m, probes=c)[0]],
                           queries, truth)  # fmt: skip
            memory = {"resident_mb": round(resident / 1e6, 1), "build_core_s": build_s}
            yield {"system": "own index", "probes": count, "filter": share, **one, **memory}


def faiss_figures(vectors: np.ndarray, queries: np.ndarray, probes: list[int]) -> Iterator[dict]:
    import faiss

    faiss.omp_set_num_threads(1)
    quantizer, start = faiss.IndexFlatIP(DIMENSIONS), time.process_time()
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, DIMENSIONS, cell_count(len(vectors)), faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = 8
    index.train(vectors[np.random.default_rng(1).permutation(len(vectors))[: 40 * index.nlist]])
    index.add(vectors)
    build_s = round(time.process_time() - start, 1)
    memory = {"resident_mb": round(len(vectors) * (DIMENSIONS + 8) / 1e6, 1), "build_core_s": build_s}
    for share in SHARES:
        mask = None if share is None else np.random.default_rng(2).random(len(vectors)) < share
        truth = exact(vectors, queries, mask)
        for count in probes:
            chosen = faiss.SearchParametersIVF(nprobe=count)
            if mask is not None:
                chosen.sel = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
            one = measured(lambda q, p=chosen: index.search(q[None], RESULTS, params=p)[1][0], queries, truth)
            yield {"system": "faiss IVF, SQ8", "probes": count, "filter": share, **one, **memory}


def hnswlib_figures(vectors: np.ndarray, queries: np.ndarray) -> Iterator[dict]:
    import hnswlib

    index, start = hnswlib.Index("ip", DIMENSIONS), time.process_time()
    index.init_index(len(vectors), M=16, ef_construction=128)
    index.set_num_threads(1)
    index.add_items(vectors, num_threads=1)
    build_s = round(time.process_time() - start, 1)
    memory = {"resident_mb": round(len(vectors) * (4 * DIMENSIONS + 140) / 1e6, 1), "build_core_s": build_s}
    truth = exact(vectors, queries, None)
    for effort in (64, 256):
        index.set_ef(effort)
        one = measured(lambda q: index.knn_query(q, RESULTS, num_threads=1)[0][0].astype(np.int64), queries, truth)
        yield {"system": "hnswlib, float32", "probes": effort, "filter": None, **one, **memory}


def published(root: str, names: list[str], vectors: np.ndarray, changes: dict[str, int]) -> None:
    """The next snapshot of a table: tracks with these vectors as embeddings, and without tags."""
    buckets = open_table(root, max(1, round(len(names) / 20_000)))
    parent = current_snapshot(root)
    number = 1 if parent is None else parent.number + 1
    ids = Ids(
        feature_id="fs-benchmark", embedding_id="em-benchmark", tagger_id="tg-benchmark", taxonomy_id="tx-benchmark"
    )
    known = PriorOutcomes(root=root, parent=number - 1 or None, ids=ids, due_again=DUE_AGAIN, buckets=buckets)
    run_id, files = f"run-benchmark-{number}", []
    numbers = group_numbers(names, buckets)
    for bucket in range(buckets):
        rows = np.flatnonzero(numbers == bucket)
        own = [names[row] for row in rows]
        for name, table in _bucket(own, vectors[rows], ids, run_id).items():
            files.append(write_table_file(known, bucket, name, table, run_id))
    taxonomy = [{"tag": "mood/calm", "category": "mood", "kind": "multilabel", "name": "Calm", "parents": []}]
    rows = pa.Table.from_pylist(taxonomy, TABLES["taxonomy"])
    files.append(write_table_file(known, -1, "taxonomy", rows, run_id))
    kept_files, record = kept_neighbours(parent and parent.run, changes, changes.get("tagged", 0))
    counts = {"catalog": len(names), "tagged": len(names), "carried": 0, "rejected": 0, "unavailable": 0}
    run = Run(
        run_id=run_id,
        parent=known.parent,
        ids=ids,
        counts={**counts, "decoded": len(names), "reused": 0},
        reasons={},
        options={},
        files=(*files, *kept_files),
        neighbours=record,
    )
    commit_run(root, write_run(root, run))


def _bucket(own: list[str], vectors: np.ndarray, ids: Ids, run_id: str) -> dict[str, pa.Table]:
    def filled(schema: pa.Schema, given: dict) -> pa.Table:
        columns = [
            given[f.name] if f.name in given else pa.nulls(len(own), f.type)
            if f.nullable or pa.types.is_list(f.type) else pa.array([getattr(ids, f.name, "1")] * len(own), f.type)
            for f in schema
        ]  # fmt: skip
        return pa.Table.from_arrays(columns, schema=schema)

    names = pa.array(own)
    lists = pa.ListArray.from_arrays(pa.array(np.arange(len(own) + 1, dtype=np.int32) * DIMENSIONS), vectors.ravel())
    facts = {
        "duration_s": pa.array([int(name[-9:]) % 400 + 60 for name in own], pa.float32()),
        "sample_rate": pa.array([44_100] * len(own), pa.int32()),
        "channels": pa.array([2] * len(own), pa.int16()),
        "top_tags": pa.array([[]] * len(own), TRACKS.field("top_tags").type),
    }
    ledger = {"status": pa.array(["tagged"] * len(own)), "run_id": pa.array([run_id] * len(own))}
    return {
        "tracks": filled(TRACKS, {"track_id": names, **facts}),
        "embeddings": filled(
            EMBEDDINGS, {"track_id": names, "embedding": lists.cast(EMBEDDINGS.field("embedding").type)}
        ),
        "ledger": filled(LEDGER, {"track_id": names, **ledger}),
        "track_tags": TRACK_TAGS.empty_table(),
    }


@contextlib.contextmanager
def measured_job() -> Iterator[dict]:
    """Seconds and most memory of a block. Mapped files are not counted: the system can take their pages back."""
    found, done = {}, threading.Event()

    def anonymous() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3

    def watch() -> None:
        while not done.wait(0.05):
            found["peak_mb"] = round(max(found["peak_mb"], anonymous()))

    found["before_mb"] = found["peak_mb"] = round(anonymous())
    watcher = threading.Thread(target=watch)
    watcher.start()
    start, core = time.perf_counter(), time.process_time()
    try:
        yield found
    finally:
        found |= {"wall_s": round(time.perf_counter() - start, 1), "core_s": round(time.process_time() - core, 1)}
        done.set()
        watcher.join()


def job_figures(tracks: int, share: float, batch: float) -> Iterator[dict]:
    """Seconds, memory and recall of the table of neighbours, without Beam; the start of the index; and changes.

    The first change is at random: a third of the share each is added, gets other vectors, or is removed. The second one
    adds a batch of tracks in as few clusters as such a number of tracks has.
    """
    with tempfile.TemporaryDirectory() as folder:
        root, centres = str(Path(folder, "table")), centres_of(tracks)
        vectors = np.concatenate(list(clustered(tracks, 3, centres)))
        names = [f"track-{row:09d}" for row in range(tracks)]
        published(root, names, vectors, {})
        yield {"system": "neighbours", **_job(root)}
        count = max(1, round(tracks * share / 3))
        rng = np.random.default_rng(4)
        touched = rng.permutation(tracks)[: 2 * count]
        vectors[touched[:count]] = np.concatenate(list(clustered(count, 5, centres)))
        kept = np.delete(np.arange(tracks), touched[count:])
        vectors = np.concatenate([vectors[kept], *clustered(count, 6, centres)])
        names = [names[row] for row in kept] + [f"track-{tracks + row:09d}" for row in range(count)]
        published(root, names, vectors, {"added": count, "removed": count, "tagged": 2 * count})
        yield {"system": "neighbours after changes", "changed_share": share, **_job(root)}
        count = max(1, round(tracks * batch))
        vectors = np.concatenate([vectors, *clustered(count, 7, centres[: max(1, round(len(centres) * batch))])])
        names += [f"track-{2 * tracks + row:09d}" for row in range(count)]
        published(root, names, vectors, {"added": count, "removed": 0, "tagged": count})
        del vectors
        yield {"system": "neighbours after a batch", "changed_share": batch, **_job(root)}
        yield {"system": "neighbours in full after changes", **_job(root, refit=True)}


def _job(root: str, *, refit: bool = False) -> dict:
    snapshot = open_snapshot(root)
    args = types.SimpleNamespace(table=root, neighbours=20, probes=24, tag_weight=0.0, refit=refit)
    with measured_job() as figures:
        made = make_settings(args, snapshot)
        models_of(snapshot, made)
        find_neighbours(made.work)
        publish_neighbours(root, snapshot, made)
    after = open_snapshot(root)
    opening = time.perf_counter()
    index = open_index(after)
    index.search(index.vectors(np.array([0]))[0], RESULTS)
    figures["cold_start_s"] = round(time.perf_counter() - opening, 3)
    (own,) = after.manifest.run.neighbours["sets"]
    recall = round(_job_recall(after, index), 4)
    return {**figures, "recall_at_10": recall, "hubs": own["hubs"], "work": own["work"]}


def _job_recall(snapshot, index: SearchIndex) -> float:
    """Share of the ten most similar tracks that the table has among a track's neighbours, over 200 tracks."""
    rows = np.linspace(0, len(index) - 1, 200).astype(np.int64)
    ids = index.track_ids.take(pa.array(rows)).to_pylist()
    vectors = np.concatenate([group.vectors for group in index.groups]).astype(np.float32)
    truth = exact(vectors, vectors[rows], None)
    table = snapshot.scan("neighbours", ["track_id", "neighbour_id"], track_ids=ids).to_pylist()
    found: dict[str, set] = {}
    for row in table:
        found.setdefault(row["track_id"], {row["track_id"]}).add(row["neighbour_id"])
    names = index.track_ids
    hits = [
        len(found[i] & {*names.take(pa.array(true)).to_pylist()}) / len(true)
        for i, true in zip(ids, truth, strict=True)
    ]
    return float(np.mean(hits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--probes", type=int, nargs="+", default=[PROBES, 48])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["index", "faiss"], help="what is measured")
    parser.add_argument("--changed", type=float, default=0.01, metavar="SHARE", help="of the tracks, for `job`")
    parser.add_argument("--batch", type=float, default=0.001, metavar="SHARE", help="new tracks of few clusters")
    args = parser.parse_args()
    print(json.dumps({"tracks": args.tracks, "machine": describe_machine()}))
    with threadpool_limits(1, "blas"):
        if {*args.parts} - {"job"}:
            compare(args)
        if "job" in args.parts:
            for figures in job_figures(args.tracks, args.changed, args.batch):
                print(json.dumps(figures), flush=True)


def compare(args: argparse.Namespace) -> None:
    """The index and the peers, on the same vectors and queries."""
    centres = centres_of(args.tracks)
    vectors = np.concatenate(list(clustered(args.tracks, 1, centres)))
    queries = np.concatenate(list(clustered(args.queries, 2, centres)))
    found = []
    if "index" in args.parts:
        found.append(index_figures(vectors, queries, args.probes))
    if "faiss" in args.parts and importlib.util.find_spec("faiss"):
        found.append(faiss_figures(vectors, queries, args.probes))
    if "hnswlib" in args.parts and importlib.util.find_spec("hnswlib"):
        found.append(hnswlib_figures(vectors, queries))
    for figures in itertools.chain(*found):
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
