"""A Parquet catalog with a further column of every type that Arrow can write, and names that some readers refuse."""

import datetime
import decimal
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.catalog.columns import further_columns
from transforms.catalog.reader import list_shards, read_shard

MOMENT = datetime.datetime(2026, 1, 31, 6, 30, 15, 250_000)
_ZONED = MOMENT.replace(tzinfo=datetime.UTC)
_DAY = MOMENT.date()

COLUMNS: dict[str, tuple[pa.DataType, object, object]] = {
    "nothing": (pa.null(), None, None),
    "flag": (pa.bool_(), True, True),
    "i8": (pa.int8(), -5, -5),
    "i16": (pa.int16(), -300, -300),
    "i64": (pa.int64(), 2**62, 2**62),
    "u8": (pa.uint8(), 255, 255),
    "u16": (pa.uint16(), 65_535, 65_535),
    "u32": (pa.uint32(), 2**32 - 1, 2**32 - 1),
    "u64": (pa.uint64(), 2**64 - 1, decimal.Decimal(2**64 - 1)),
    "f16": (pa.float16(), 0.5, 0.5),
    "f32": (pa.float32(), float("nan"), None),
    "f64": (pa.float64(), 0.1, 0.1),
    "money": (pa.decimal128(12, 2), decimal.Decimal("1.25"), decimal.Decimal("1.25")),
    "fine": (pa.decimal128(38, 20), decimal.Decimal("1.5"), "1.50000000000000000000"),
    "wide": (pa.decimal256(60, 2), decimal.Decimal("7.25"), "7.25"),
    "text": (pa.string(), "a", "a"),
    "large text": (pa.large_string(), "a", "a"),
    "text view": (pa.string_view(), "a", "a"),
    "coded": (pa.dictionary(pa.int8(), pa.string()), "a", "a"),
    "coded day": (pa.dictionary(pa.int16(), pa.date32()), _DAY, _DAY),
    "bytes": (pa.binary(), b"\x00\xff", b"\x00\xff"),
    "large bytes": (pa.large_binary(), b"\x00", b"\x00"),
    "fixed bytes": (pa.binary(3), b"abc", b"abc"),
    "uuid": (pa.uuid(), uuid.UUID(int=7).bytes, str(uuid.UUID(int=7))),
    "day": (pa.date32(), _DAY, _DAY),
    "day64": (pa.date64(), _DAY, _DAY),
    "clock": (pa.time32("ms"), MOMENT.time(), "06:30:15.250"),
    "fine clock": (pa.time64("ns"), MOMENT.time(), "06:30:15.250000000"),
    "moment s": (pa.timestamp("s"), MOMENT.replace(microsecond=0), MOMENT.replace(microsecond=0)),
    "moment ms": (pa.timestamp("ms"), MOMENT, MOMENT),
    "moment us": (pa.timestamp("us", "UTC"), _ZONED, _ZONED),
    "moment ns": (pa.timestamp("ns"), MOMENT, MOMENT),
    "zone": (pa.timestamp("ns", "Europe/Paris"), _ZONED, _ZONED),
    "length": (pa.duration("ms"), datetime.timedelta(milliseconds=1500), 1.5),
    "list": (pa.list_(pa.uint8()), [1, 2], [1, 2]),
    "list of clocks": (pa.large_list(pa.time32("s")), [datetime.time(1)], ["01:00:00.000"]),
    "fixed list": (pa.list_(pa.float16(), 2), [0.5, 1.5], [0.5, 1.5]),
    "list of nulls": (pa.list_(pa.null()), [None], [None]),
    "struct": (
        pa.struct([("a", pa.float16()), ("b", pa.timestamp("ns"))]),
        {"a": 0.5, "b": MOMENT},
        {"a": 0.5, "b": MOMENT},
    ),
    "odd struct": (pa.struct([("a.b", pa.int64())]), {"a.b": 1}, '{"a.b": 1}'),
    "map": (pa.map_(pa.string(), pa.uint8()), [("a", 1)], [("a", 1)]),
    "odd map": (pa.map_(pa.float64(), pa.int8()), [(0.5, 1)], "[[0.5, 1]]"),
    "BPM (detected)": (pa.int16(), 120, 120),
    "artist.name;x": (pa.string(), "a", "a"),
    "x" * 400: (pa.string(), "a", "a"),
}
"""Name of a further column -> type in the catalog, its value in the first row, and the same value as it is stored."""


def write_catalog(folder: Path) -> Path:
    """Writes the catalog: a row with the values, and a row of nulls."""
    columns = {"track_id": ["a", "b"], "uri": ["a.flac", "b.flac"]}
    arrays = {name: _array(kind, value) for name, (kind, value, _) in COLUMNS.items()}
    pq.write_table(pa.table({**columns, **arrays}), folder / "catalog.parquet", use_dictionary=False)
    return folder / "catalog.parquet"


def _array(kind: pa.DataType, value: object) -> pa.Array:
    if isinstance(kind, pa.UuidType):
        return pa.ExtensionArray.from_storage(kind, pa.array([value, None], kind.storage_type))
    if pa.types.is_dictionary(kind):
        return pa.array([value, None], kind.value_type).dictionary_encode().cast(kind)
    # Arrow cannot read a null in a column of lists of one size.
    return pa.array([value, value if pa.types.is_fixed_size_list(kind) else None], kind)


def stored_rows(catalog: Path) -> pa.Table:
    """The further columns as `tracks` stores them."""
    shards = list_shards(str(catalog))
    batches = [batch for shard in shards for batch, problems in read_shard(shard) if not problems]
    return pa.Table.from_batches(batches).select(list(further_columns(shards[0].schema)))
