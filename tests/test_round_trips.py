"""What the project writes as JSON is read back as it was: every class with `to_json` or `from_json`."""

import ast
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.report import Row
from models.bundles.blessing import Blessing
from models.bundles.trunk_bundle import TrunkFile
from models.embedding.pooling import LATEST, Pooling
from models.evaluation.resampling import Estimate
from models.training.data import Sampling
from models.training.options import TrainingOptions
from transforms.dataset.manifest import DatasetManifest, ShardEntry
from transforms.dataset.plan import ChunkReport, TrackOutcome
from transforms.dataset.stats import DatasetStats
from transforms.discovery.index.manifest import IndexFile, IndexManifest, IndexSet
from transforms.discovery.similarity import SimilaritySpec
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.rhythm.beat_input import BeatInput, BeatSpec
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import json_bytes
from transforms.fusion.policy import Policy, Rule, SourceRules
from transforms.publishing.receipts import Receipt
from transforms.schemas.embedding_parts import EmbeddingPart
from transforms.splits.by_artist import SplitRatios
from transforms.table.snapshots import COUNTS, DataFile, EarlierIds, Run, Snapshot
from transforms.table.versions import TableMetadata
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.choice import Budget, TrackChoice
from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.rules import RuleCase, RuleCategory, RuleCondition, RuleTag

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "transforms", "models", "benchmarks")

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.dictionaries(st.text(max_size=5), st.integers(0), max_size=3)
TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
FLOORS = st.fixed_dictionaries({"floor": st.floats(0, 1), "value": st.floats(0, 1)})
ROWS = st.dictionaries(st.text(max_size=5), st.lists(st.integers(0), max_size=3).map(tuple), max_size=3)
ARRAYS = st.dictionaries(
    st.text(max_size=5),
    st.lists(st.integers(0, 2**62), max_size=3).map(lambda row: np.array(row, np.int64)),
    max_size=3,
)
TAXONOMIES = st.sampled_from(
    [
        Taxonomy(categories=(Category(name="mood", kind="multilabel", tags=(Tag(id="mood/calm", name="Calm"),)),)),
        Taxonomy(
            categories=(
                Category(
                    name="genre",
                    kind="multilabel",
                    tags=(
                        Tag(id="genre/rock", name="Rock 'n' Roll", aliases=("old/rock", "genre/rocknroll")),
                        Tag(id="genre/punk", name="Punk", parents=("genre/rock",)),
                    ),
                    dropped=(Tag(id="genre/oi", name="Oi!", parents=("genre/punk",)),),
                ),
                Category(
                    name="era", kind="multiclass", tags=(Tag(id="era/60s", name="60s"), Tag(id="era/70s", name="70s"))
                ),
                Category(
                    name="voice",
                    kind="binary",
                    tags=(Tag(id="voice/vocal", name="Vocal", any_of=("a/x", "a/y"), none_of=("a/z",)),),
                ),
            ),
            rules=(
                RuleCategory(
                    name="pace",
                    kind="multiclass",
                    min_confidence=0.25,
                    tags=(
                        RuleTag(id="pace/slow", name="Slow", when=(RuleCondition(column="tempo_bpm", below=90.0),)),
                        RuleTag(id="pace/other", name="Other", any_of=("genre/rock",), none_of=("era/60s",)),
                    ),
                    cases=(
                        RuleCase(
                            tag="genre/punk",
                            at_least=0.5,
                            when={"pace/slow": (RuleCondition(column="mode", values=("minor",)),)},
                        ),
                    ),
                ),
            ),
        ),
    ]
)
SPECS = st.builds(
    FeatureSpec,
    n_mels=st.integers(1, 256),
    patches_per_track=st.integers(1, 16),
    fmin=st.floats(0, 100),
    fmax=st.floats(4000, 8000),
    compression=st.sampled_from(["db", "log10p1"]),
    min_duration_s=st.floats(0.1, 10),
)
BEAT_INPUTS = st.builds(
    BeatInput,
    n_mels=st.integers(8, 512),
    fmin=st.floats(0, 1_000),
    mel_scale=st.sampled_from(["slaney", "htk"]),
    power=st.integers(1, 2),
    log_multiplier=st.floats(1e-6, 1e9),
    tempo_scaling=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
)
RATIOS = st.sampled_from([SplitRatios(), SplitRatios(train=0.5, validation=0.2, test=0.3)])


def values(cls: type, **chosen: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Instances in which every field varies: as `chosen` says, else by its type."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: chosen.get(f.name, st.from_type(hints[f.name])) for f in dataclasses.fields(cls)})


PLAIN = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | FINITE, max_size=3)
NESTED = st.dictionaries(st.text(max_size=5), PLAIN, max_size=2)
PATHS = st.from_regex(r"[a-z]{1,5}(/[a-z0-9=.-]{0,4}[a-z]){0,2}", fullmatch=True)
DATA_PATHS = st.from_regex(r"data/run=[a-z]{1,3}/[a-z]{1,5}", fullmatch=True)
# All files of a run have one order.
DATA_FILES = values(DataFile, path=DATA_PATHS).map(lambda file: dataclasses.replace(file, order=len(file.run_id)))
FILES = st.lists(DATA_FILES, max_size=3, unique_by=lambda file: file.path).map(tuple)
THRESHOLDS = st.dictionaries(st.text(max_size=5), FINITE, max_size=3)
EARLIER = values(EarlierIds, thresholds=THRESHOLDS)
COUNTED = st.fixed_dictionaries({name: st.integers(0, 2**40) for name in COUNTS})
OVERRIDES = st.lists(PLAIN, max_size=2).map(tuple)
PARTS = st.builds(
    EmbeddingPart,
    name=st.text(max_size=5),
    kind=st.sampled_from(["mean", "deviation", "statistics"]),
    start=st.integers(0, 4),
    stop=st.integers(5, 9),
)
RUNS = values(
    Run,
    run_id=PATHS,
    counts=COUNTED,
    files=FILES,
    options=PLAIN,
    evidence=NESTED,
    overrides=OVERRIDES,
    earlier=st.lists(EARLIER, max_size=2).map(tuple),
    gates=NESTED,
    measured=NESTED,
    plan=NESTED,
    purged=NESTED,
    fusion=NESTED,
    neighbours=PLAIN,
    parameters=PLAIN,
    embedding_parts=st.dictionaries(st.text(max_size=5), PARTS.map(lambda part: (part,)), max_size=2),
    trunk_ids=st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=2).map(tuple), max_size=2),
)
INDEX_FILES = values(IndexFile, path=PATHS)
FILE_LISTS = st.lists(INDEX_FILES, max_size=2).map(tuple)
INDEX_SETS = values(IndexSet, model=INDEX_FILES, groups=FILE_LISTS, vectors=FILE_LISTS, candidates=FILE_LISTS)
RULES = st.dictionaries(st.text(max_size=5), values(Rule, trust=FINITE, weight=FINITE, absent_trust=FINITE), max_size=2)
SHARDS = values(ShardEntry, path=PATHS, checksums=st.just(""))
STATS = values(DatasetStats, positive=ARRAYS, known=ARRAYS)
OUTCOMES = values(TrackOutcome)


class Case(NamedTuple):
    """How a class is written and read.

    Attributes:
      instances: of the class.
      read: makes an instance of a parsed JSON object.
      write: makes the JSON object.
    """

    instances: SearchStrategy[Any]
    read: Callable[[dict[str, Any]], Any]
    write: Callable[[Any], Any] = lambda value: value.to_json()


CASES = {
    Blessing: Case(
        values(Blessing, labels=TEXTS, floors=st.dictionaries(st.text(max_size=5), FLOORS, max_size=2), against=NESTED),
        Blessing.from_json,
        dataclasses.asdict,
    ),
    DatasetManifest: Case(
        values(
            DatasetManifest,
            feature_spec=SPECS,
            taxonomy=TAXONOMIES,
            split_ratios=RATIOS,
            shards=st.lists(SHARDS, max_size=2).map(tuple),
            mel_mean=st.lists(FINITE, max_size=3).map(tuple),
            mel_std=st.lists(FINITE, max_size=3).map(tuple),
            tag_positive=ROWS,
            tag_known=ROWS,
            gates=NESTED,
        ),
        DatasetManifest.from_json,
    ),
    ChunkReport: Case(
        values(
            ChunkReport,
            shard=st.none() | values(ShardEntry, path=PATHS),
            outcomes=st.lists(OUTCOMES, max_size=2).map(tuple),
            stats=STATS,
        ),
        ChunkReport.from_json,
    ),
    # What else a file has is in fields of the run.
    DataFile: Case(
        st.builds(DataFile, path=PATHS, checksums=st.just(""), order=st.just(0), dead=st.just(0), merged=st.just("")),
        lambda obj: DataFile(**obj),
    ),
    EarlierIds: Case(EARLIER, EarlierIds.from_json, dataclasses.asdict),
    DatasetStats: Case(STATS, DatasetStats.from_json),
    Estimate: Case(
        values(Estimate, value=st.none() | FINITE, low=st.none() | FINITE, high=st.none() | FINITE),
        lambda obj: Estimate(**obj),
    ),
    EmbeddingPart: Case(PARTS, EmbeddingPart.from_json, dataclasses.asdict),
    FeatureSpec: Case(SPECS, FeatureSpec.from_json),
    IndexManifest: Case(
        values(IndexManifest, sets=st.lists(INDEX_SETS, max_size=2).map(tuple)),
        IndexManifest.from_json,
    ),
    BeatInput: Case(BEAT_INPUTS, BeatInput.from_json),
    BeatSpec: Case(values(BeatSpec, input=BEAT_INPUTS), BeatSpec.from_json),
    ParametersSpec: Case(
        values(ParametersSpec, beats=st.none() | values(BeatSpec, input=BEAT_INPUTS)), ParametersSpec.from_json
    ),
    Pooling: Case(
        st.sampled_from([Pooling(statistics="none"), *(Pooling(version=n) for n in range(1, LATEST + 1))]),
        Pooling.from_json,
    ),
    Policy: Case(
        values(Policy, sources=st.lists(values(SourceRules, rules=RULES), max_size=2).map(tuple)), Policy.from_json
    ),
    PublishedRows: Case(
        values(PublishedRows, min_score=st.floats(0, 1), top_k=st.none() | st.integers(1)),
        lambda obj: PublishedRows(**obj),
    ),
    Receipt: Case(
        values(Receipt, run_id=st.none() | PATHS, counts=NUMBERS, measured=NESTED, plan=NESTED, tracks=NESTED),
        Receipt.from_json,
        dataclasses.asdict,
    ),
    Row: Case(
        values(Row, value=FINITE, low=st.none(), high=st.none(), target=st.none() | FINITE)
        | st.lists(FINITE, min_size=1, max_size=5).map(lambda v: Row.of(v, benchmark="b", name="n", unit="s")),
        Row.from_json,
    ),
    Run: Case(RUNS, Run.from_json),
    Snapshot: Case(values(Snapshot, run=RUNS), Snapshot.from_json),
    ShardEntry: Case(SHARDS, lambda obj: ShardEntry(**obj)),
    SimilaritySpec: Case(
        st.builds(
            SimilaritySpec,
            embedding_id=st.text(max_size=5),
            tag_weight=st.floats(0, 1),
            components=st.integers(1),
            parts=st.lists(PARTS, max_size=3).map(tuple),
        ),
        SimilaritySpec.from_json,
    ),
    SplitRatios: Case(RATIOS, lambda obj: SplitRatios(**obj)),
    TableMetadata: Case(values(TableMetadata, buckets=st.integers(1, 10**6)), TableMetadata.from_json),
    Taxonomy: Case(TAXONOMIES, Taxonomy.from_json),
    TrackChoice: Case(
        values(
            TrackChoice,
            budget=values(Budget, max_core_hours=FINITE),
            tracks=st.integers(0),
            chosen=st.integers(0),
            core_seconds_per_track=FINITE,
            core_seconds_fixed=FINITE,
        ),
        TrackChoice.from_json,
    ),
    TrackOutcome: Case(OUTCOMES, TrackOutcome.from_json, dataclasses.asdict),
    # Where checkpoints and logs go is not part of its JSON: equal training runs may differ in it.
    TrainingOptions: Case(
        st.builds(
            TrainingOptions,
            trunk=st.just("compact"),
            epochs=st.integers(1),
            patience=st.integers(1),
            learning_rate=st.none() | st.floats(0, 1),
            train_norms=st.booleans(),
            similarity_weight=st.floats(0, 1),
            sampling=st.builds(Sampling, batch_size=st.integers(1), seed=st.integers(), augment=st.booleans()),
            precision=st.sampled_from(["float32", "mixed_bfloat16"]),
            xla=st.booleans(),
            devices=st.none() | st.integers(1),
        ),
        lambda obj: TrainingOptions(**{**obj, "sampling": Sampling(**obj["sampling"])}),
    ),
    TrunkFile: Case(
        values(TrunkFile, batch=st.integers(1, 1024), files=st.dictionaries(st.text(max_size=5), st.text())),
        TrunkFile.from_json,
        dataclasses.asdict,
    ),
}
"""Every class that is written as JSON by a method of its own, and how it is read."""


@pytest.mark.parametrize("cls", CASES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_back(cls: type, data: st.DataObject) -> None:
    case = CASES[cls]
    value = data.draw(case.instances)
    assert plain(case.read(json.loads(json_bytes(case.write(value))))) == plain(value)


def plain(value: Any) -> Any:
    """The value in types that compare by content, each with the name of its own type."""
    name = type(value).__name__
    if dataclasses.is_dataclass(value):
        return name, {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return name, str(value.dtype), value.tolist()
    if isinstance(value, Mapping):
        return name, {key: plain(item) for key, item in value.items()}
    return (name, [plain(item) for item in value]) if isinstance(value, tuple | list) else (name, value)


WRITTEN_ONLY = {"CostlyTracks", "Evidence", "Forecast", "TableChanges", "TagDrift", "TaxonomyChanges", "TrackCost"}
WRITTEN_ONLY |= {"Agreement", "MostChanged", "StatedParameters", "WorkTotals"}
"""Classes whose JSON is for readers of manifests and is never read back."""


def test_every_class_has_a_case() -> None:
    methods = {"to_json", "from_json"}
    classes = {
        node.name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and methods & {getattr(part, "name", None) for part in node.body}
    }
    assert classes - WRITTEN_ONLY == {cls.__name__ for cls in CASES}


def test_tuples_and_lists_are_told_apart() -> None:
    assert plain((1, [2])) != plain((1, (2,))) and plain(np.zeros(1)) != plain(np.zeros(1, np.int64))
