"""The handler around the trunk: loaded late, loaded once, never for nothing."""

import concurrent.futures
import time

import apache_beam as beam
import numpy as np
from apache_beam.metrics import MetricsFilter

from tests.support.synth import encode, music
from transforms.audio.errors import Empty
from transforms.audio.limits import Limits
from transforms.embed_chunks import ChunkHandler, EmbedChunks, EmbedSettings, EmbedTarget, _Extraction
from transforms.extraction.chunk_extractor import ExtractedTrack
from transforms.extraction.source import Chunk, Source
from transforms.features.extract import AudioFacts, Features
from transforms.features.spec import FeatureSpec
from transforms.storage import SourceRoots

FACTS = AudioFacts(duration_s=1.0, sample_rate=8000, channels=1, format="wav", decoded_fraction=1.0, damage=None)


class Ones:
    """Embeds every track as (1, 1) and keeps what it was given."""

    def embed(self, patches):
        return np.ones((len(patches), 2), np.float32)


class Loads:
    """Counts how often a trunk is loaded."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        time.sleep(0.01)
        self.count += 1
        return Ones()


def track(track_id, error=None):
    features = Features(patches=np.zeros((1, 4, 3), np.float16), starts_s=np.zeros(1, np.float32), facts=FACTS)
    source = Source(track_id=track_id, uri=track_id, source_version="1")
    return ExtractedTrack(
        source=source, size=1, sha256="0", features=None if error else features, error=error, read_ms=1, extract_ms=1
    )


def test_asking_for_the_model_loads_nothing():
    loads = Loads()
    ChunkHandler(loads).load_model()
    assert loads.count == 0


def test_threads_that_share_a_model_load_it_once():
    loads = Loads()
    model = ChunkHandler(loads).load_model()
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = list(threads.map(model.embed, [[np.zeros((1, 4, 3), np.float16)]] * 8))
    assert loads.count == 1 and len(found) == 8


def test_a_chunk_of_rejects_needs_no_trunk():
    loads = Loads()
    handler = ChunkHandler(loads)
    (out,) = handler.run_inference([_Extraction(3, [track("a", Empty("0 bytes"))])], handler.load_model())
    assert loads.count == 0 and out.rows[0]["embedding"] is None and out.rows[0]["reason"] == "empty"


def test_every_track_of_a_chunk_keeps_its_place():
    handler = ChunkHandler(Loads())
    (out,) = handler.run_inference(
        [_Extraction(3, [track("a"), track("b", Empty("0 bytes")), track("c")])], handler.load_model()
    )
    assert [(row["track_id"], row["embedding"]) for row in out.rows] == [("a", [1, 1]), ("b", None), ("c", [1, 1])]


def test_the_size_of_a_chunk_is_told_without_pickling_it(monkeypatch):
    chunk = _Extraction(3, [track("a"), track("b", Empty("0 bytes"))])
    coder = beam.coders.registry.get_coder(_Extraction)
    monkeypatch.setattr("pickle.dumps", None)
    assert coder.get_impl().estimate_size(chunk) == ChunkHandler(Loads()).get_num_bytes([chunk]) == 1 * 4 * 3 * 2


def test_a_chunk_survives_its_coder():
    coder = beam.coders.registry.get_coder(_Extraction)
    found = coder.decode(coder.encode(_Extraction(3, [track("a")])))
    assert found.bucket == 3 and found.tracks[0].source.track_id == "a"
    assert found.tracks[0].features.patches.shape == (1, 4, 3)


def test_an_embedding_that_is_not_finite_rejects_its_track_alone():
    class Odd:
        def embed(self, patches):
            return np.array([[1, 1], [np.nan, 1], [np.inf, 1], [2, 2]], np.float32)[: len(patches)]

    handler = ChunkHandler(Odd)
    (out,) = handler.run_inference([_Extraction(3, [track(name) for name in "abcd"])], handler.load_model())
    assert [row["reason"] for row in out.rows] == [None, "unknown", "unknown", None]
    assert [row["embedding"] for row in out.rows] == [[1, 1], None, None, [2, 2]]


def test_time_and_memory_of_every_stage_are_distributions(tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(encode(music(4.0)))
    settings = EmbedSettings(
        target=EmbedTarget(root=str(tmp_path / "table"), embedding_id="em-1", load_embedder=Ones),
        roots=SourceRoots(str(tmp_path)),
        spec=FeatureSpec(patches_per_track=2),
        limits=Limits(),
        children=1,
    )
    sources = tuple(Source(track_id=name, uri=name, source_version="1") for name in ("a.wav", "b.wav", "missing.wav"))
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create([Chunk(bucket=0, tracks=sources)]) | EmbedChunks(settings)
    metrics = pipeline.run().metrics().query(MetricsFilter().with_namespace("extract"))
    found = {found.key.metric.name: found.committed for found in metrics["distributions"]}
    assert {name: value.count for name, value in found.items()} == {
        **dict.fromkeys(("read_ms", "extract_ms", "source_bytes"), 3),
        **dict.fromkeys(("decode_ms", "features_ms", "child_bytes"), 2),
        "chunk_patch_bytes": 1,
    }
    assert found["child_bytes"].min > 20e6 and found["extract_ms"].max >= found["decode_ms"].max > 0
