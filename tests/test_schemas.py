"""Every Parquet file that this project writes has its declared schema; all schemas are declared in one room."""

import ast
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from models.bundles.split_record import to_bytes
from models.evaluation.files import evaluation_files
from models.evaluation.report.page import Subject
from models.evaluation.summary import Resampling, evaluate
from pipelines.cli import main
from pipelines.docs.tables import OTHER_FILES
from pipelines.synthesis.catalog import taxonomy
from tests.models.evaluation.test_summary import LAYOUT, TAGS, examined
from tests.support.neighbours import publish_table_neighbours
from tests.support.published import fake_bundle, publish_table
from tests.support.schemas import assert_has_schema
from transforms.catalog.importers.folder import folder_schema
from transforms.schemas.bundle import BUNDLE_SPLITS
from transforms.schemas.catalog import split_column
from transforms.schemas.reports import DIFF_TAGS, DIFF_TRACKS, LABEL_CONFLICTS, LABELS, TAG_METRICS
from transforms.schemas.tables import PART, TABLES
from transforms.table.snapshots import Ids
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.part_files import write_part
from transforms.taxonomy.hierarchy import Taxonomy

ROOT = Path(__file__).parents[1]
TAXONOMY = "categories:\n  - {name: voice, kind: binary, tags: [voice/vocal, voice/instrumental]}\n"
CATALOG_CSV = "track_id,uri,artist_id,tags\n1,1.wav,a,voice/vocal\n2,2.wav,b,voice/vocal|voice/instrumental\n"


@pytest.fixture
def labelled(tmp_path: Path) -> list[str]:
    """Arguments that name a catalog with one conflict, and its taxonomy."""
    (tmp_path / "taxonomy.yaml").write_text(TAXONOMY)
    (tmp_path / "catalog.csv").write_text(CATALOG_CSV)
    return ["--catalog", str(tmp_path / "catalog.csv"), "--taxonomy", str(tmp_path / "taxonomy.yaml")]


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path: Path, name: str) -> None:
    rule = {"id": "pace/slow", "when": {"tempo_bpm": {"below": 120}}}
    ruled = {**taxonomy(), "rules": [{"name": "pace", "kind": "binary", "tags": [rule]}]}
    bundle = fake_bundle(tmp_path / "bundle", Taxonomy.from_json(ruled))
    snapshot = publish_table(tmp_path / "table", bundle, 6, parameters=True)
    if name == "neighbours":
        snapshot = publish_table_neighbours(str(tmp_path / "table"))
    files = snapshot.files(name)
    assert files
    for file in files:
        assert_has_schema(tmp_path / "table" / file.path, TABLES[name], further=["bpm"] if name == "tracks" else [])


def test_part_files(tmp_path: Path) -> None:
    ids = Ids(feature_id="fs-1", embedding_id="em-1", tagger_id="tg-1", taxonomy_id="tx-1")
    known = PriorOutcomes(root=str(tmp_path), parent=None, ids=ids, due_again=frozenset())
    rows = pa.Table.from_pylist([{"track_id": "a", "source_version": "1", "embedding": [1.0]}], schema=PART)
    assert_has_schema(write_part(known.root, 0, rows, "em-1"), PART)


def test_splits_of_a_bundle() -> None:
    assert_has_schema(io.BytesIO(to_bytes({"train": [("a", "artist")]})), BUNDLE_SPLITS)
    assert_has_schema(io.BytesIO(to_bytes({})), BUNDLE_SPLITS)


def test_report_on_labels(labelled: list[str], tmp_path: Path) -> None:
    assert main(["labels", *labelled, "--output", str(tmp_path / "report")]) == 0
    assert_has_schema(tmp_path / "report" / "labels.parquet", LABELS)
    assert_has_schema(tmp_path / "report" / "conflicts.parquet", LABEL_CONFLICTS)


def test_evaluation() -> None:
    evaluation = evaluate(examined(), LAYOUT, TAGS, Resampling(resamples=20))
    subject = Subject(title="", facts={}, thresholds=dict.fromkeys(TAGS, (0.5, "best_f1")), history=None)
    files = evaluation_files(subject, examined(), evaluation, TAGS)
    assert_has_schema(io.BytesIO(files["tags.parquet"]), TAG_METRICS)


def test_catalog_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "a.wav", np.zeros(800), 8000)
    assert main(["import", "folder", str(tmp_path / "music"), "--output", str(tmp_path / "c.parquet")]) == 0
    assert_has_schema(tmp_path / "c.parquet", folder_schema())


def test_diff(tmp_path: Path) -> None:
    bundle, table = fake_bundle(tmp_path / "bundle"), tmp_path / "table"
    publish_table(table, bundle, 6)
    publish_table(table, bundle, 9)
    assert main(["diff", str(table), "1", "2", "--output", str(tmp_path / "diff")]) == 0
    assert_has_schema(tmp_path / "diff" / "tracks.parquet", DIFF_TRACKS)
    assert_has_schema(tmp_path / "diff" / "tags.parquet", DIFF_TAGS)


def test_catalog_with_a_split(labelled: list[str], tmp_path: Path) -> None:
    assert main(["split", *labelled, "--output", str(tmp_path / "s.parquet")]) == 0
    assert pq.read_schema(tmp_path / "s.parquet").field(-1).equals(split_column("split"), check_metadata=True)


@pytest.mark.parametrize("schema", [*TABLES.values(), *(schema for _, schema in OTHER_FILES.values()), folder_schema()])
def test_every_column_has_a_sentence(schema: pa.Schema) -> None:
    for field in schema:
        sentence = field.metadata[b"description"].decode()
        assert sentence[0].isupper() or sentence[0] == "`", field
        assert sentence.endswith("."), field


def test_columns_are_declared_in_one_room_and_documented() -> None:
    declared = set()
    for path in sorted((ROOT / "transforms" / "schemas").glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("pa.schema("):
                declared.add(node.targets[0].id)
    page = ast.parse((ROOT / "pipelines" / "docs" / "tables.py").read_text("utf-8"))
    tables = {name.upper() for name in TABLES}
    assert declared - tables <= {node.id for node in ast.walk(page) if isinstance(node, ast.Name)}
    for package in ("pipelines", "transforms", "models"):
        for path in (ROOT / package).rglob("*.py"):
            if path.parent.name != "schemas":
                assert "transforms.schemas.columns" not in path.read_text("utf-8"), path
