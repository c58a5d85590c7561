"""Types and ids of columns; further columns that differ between snapshots."""

import json
import string

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table.name_mapping import parse_mapping_from_json

from tests.support import rows as rows_module
from tests.support.arrow_types import COLUMNS, stored_rows, write_catalog
from tests.support.fusion import statements
from tests.support.iceberg import differences, iceberg_rows, opened
from tests.support.published import fake_bundle, publish_table
from tests.support.rows import publish_rows
from transforms.fusion.policy import policy_of
from transforms.fusion.settings import Fusion
from transforms.iceberg.columns import FieldIds, merged_schema
from transforms.schemas.tables import TABLES
from transforms.table.reader import open_snapshot

TAXONOMY = [{"tag": "mood/calm", "category": "mood", "threshold": 0.5}]


def schema_of(ids, columns, name="tracks"):
    return Schema.model_validate({**ids.schema(name, columns), "schema-id": 0})


def ids_by_name(schema):
    return {field.name: field.field_id for field in schema.fields}


@pytest.mark.parametrize("name", TABLES)
def test_every_declared_table_has_a_schema_with_its_sentences(name):
    ids = FieldIds([], 0)
    schema = schema_of(ids, TABLES[name], name)
    assert [field.name for field in schema.fields] == TABLES[name].names
    assert [field.required for field in schema.fields] == [not field.nullable for field in TABLES[name]]
    assert all(field.doc for field in schema.fields)
    assert schema.highest_field_id == ids.last
    mapping = parse_mapping_from_json(json.dumps(ids.mapping))
    assert [(field.names, field.field_id) for field in mapping] == [([f.name], f.field_id) for f in schema.fields]


def test_every_stored_type_is_expressed_and_holds_its_values(tmp_path):
    stored = stored_rows(write_catalog(tmp_path))
    schema = schema_of(FieldIds([], 0), stored.schema)
    assert [field.name for field in schema.fields] == stored.column_names and len(schema.fields) == len(COLUMNS)
    read = schema_to_pyarrow(schema, include_field_ids=False)
    for field in stored.schema:
        if not pa.types.is_null(field.type):
            values = stored[field.name].cast(read.field(field.name).type)
            assert values.to_pylist() == stored[field.name].to_pylist()


KINDS = st.sampled_from([pa.int32(), pa.int64(), pa.float64(), pa.string(), pa.list_(pa.string()), pa.null()])
NIGHTS = st.lists(st.dictionaries(st.sampled_from(string.ascii_lowercase[:6]), KINDS, min_size=1), max_size=6)


@given(NIGHTS)
def test_a_name_keeps_its_id_whatever_comes_between(nights):
    mapping, last, known = [], 0, {}
    for night in nights:
        ids = FieldIds(mapping, last)  # every night begins with what the one before has stored
        schema = schema_of(ids, pa.schema(list(night.items())))
        for name, number in ids_by_name(schema).items():
            assert known.setdefault(name, number) == number
        mapping, last = json.loads(json.dumps(ids.mapping)), ids.last
    assert len(set(known.values())) == len(known)


def test_columns_of_several_files():
    first = pa.schema([pa.field("a", pa.int32(), False), pa.field("b", pa.null()), pa.field("c", pa.string(), False)])
    second = pa.schema([pa.field("a", pa.int64(), False), pa.field("b", pa.string()), pa.field("d", pa.float32())])
    merged = merged_schema("tracks", [first, second])
    assert merged.to_string() == "a: int64 not null\nb: string\nc: string\nd: float"
    assert merged_schema("ledger", []) == TABLES["ledger"]


def test_further_columns_that_come_change_and_go(tmp_path):
    """Columns by snapshot: bpm as integers, as text, gone, and there again."""
    tracks = [{"track_id": "a", "duration_s": 1.0, "sample_rate": 8000, "channels": 1, "top_tags": []}]
    for further in ({"bpm": 120, "mix": "x"}, {"bpm": "fast", "label": "l"}, {"label": "l"}, {"bpm": 90.5, "mix": "y"}):
        publish_rows(tmp_path, TAXONOMY, [{**tracks[0], **further}], [], tagger_id=f"tg-{len(further)}")
    assert differences(tmp_path) == []
    found = [iceberg_rows(tmp_path, "tracks", number).to_pylist()[0] for number in (1, 2, 3, 4)]
    assert [row.get("bpm") for row in found] == [120, "fast", None, 90.5] and "bpm" not in found[2]
    table = opened(tmp_path, "tracks")
    by_name = [ids_by_name(schema) for schema in table.schemas().values()]
    assert (
        len({ids["bpm"] for ids in by_name if "bpm" in ids})
        == len({ids["mix"] for ids in by_name if "mix" in ids})
        == 1
    )
    assert ids_by_name(table.schema()) == by_name[-1]


def test_columns_of_fused_snapshots_come_and_go(tmp_path):
    """`experts` and `fusion_id` are columns of the second snapshot only."""
    bundle = fake_bundle(tmp_path / "bundle")
    policy = policy_of({"sources": {"editors": {"mode": "blend", "trust": 0.9}}}, bundle.taxonomy)
    fusion = Fusion(policy=policy, taxonomy=bundle.taxonomy, tables={"editors": "a"}, shards=())
    said = statements({"editors": {"track-0001": {"genre/folk": 1.0}}})
    publish_table(tmp_path / "table", bundle, 6)
    publish_table(tmp_path / "table", bundle, 6, fusion=fusion, said=[said])
    publish_table(tmp_path / "table", bundle, 12)
    assert differences(tmp_path / "table") == [("track_tags", 2)]  # pyiceberg reads null in `experts` as []
    found = [iceberg_rows(tmp_path / "table", "track_tags", number) for number in (1, 2, 3)]
    assert ["experts" in rows.column_names for rows in found] == [False, True, False]
    experts = {(row["track_id"], row["tag"]): row["experts"] for row in found[1].to_pylist()}
    assert [one["source"] for one in experts["track-0001", "genre/folk"]] == ["editors"]
    own = open_snapshot(str(tmp_path / "table"), 2).scan("track_tags").to_pylist()
    assert experts == {(row["track_id"], row["tag"]): row["experts"] or [] for row in own}
    assert len(own) == found[1].num_rows and any(row["experts"] is None for row in own)
    ledger = [iceberg_rows(tmp_path / "table", "ledger", number) for number in (1, 2, 3)]
    assert ["fusion_id" in rows.column_names for rows in ledger] == [False, True, False]


def test_earlier_ids_of_tags_are_a_column_of_later_snapshots(tmp_path, monkeypatch):
    row = {"track_id": "a", "duration_s": 1.0, "sample_rate": 8000, "channels": 1, "top_tags": []}
    with monkeypatch.context() as patch:  # the taxonomy of an earlier version
        earlier = TABLES["taxonomy"].remove(TABLES["taxonomy"].get_field_index("other_ids"))
        patch.setattr(rows_module, "TABLES", {**TABLES, "taxonomy": earlier})
        publish_rows(tmp_path, TAXONOMY, [row], [])
    publish_rows(tmp_path, [{**TAXONOMY[0], "other_ids": ["mood/soft"]}], [row], [], tagger_id="tg-2")
    assert differences(tmp_path) == []
    first, second = (iceberg_rows(tmp_path, "taxonomy", number) for number in (1, 2))
    assert "other_ids" not in first.column_names and second["other_ids"].to_pylist() == [["mood/soft"]]
