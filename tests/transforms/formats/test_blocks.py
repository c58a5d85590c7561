"""A reader that checks blocks: the same bytes as the file, in any order, and never a damaged one."""

import io
import os
import random

import pytest

from transforms.formats.blocks import BLOCK_BYTES, BlockReader, checksums_of, crc32c_hex, whole_crc32c
from transforms.storage import StorageError

SIZES = (0, 1, 1000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 77)


def reader(data: bytes, written: bytes | None = None) -> BlockReader:
    """Reads `data`, which was written as `written`."""
    written = data if written is None else written
    return BlockReader(io.BytesIO(data), "place/file", len(written), checksums_of(written))


@pytest.mark.parametrize("size", SIZES)
def test_any_reads_give_the_bytes_of_the_file(size):
    rng = random.Random(size)
    data = rng.randbytes(size)
    found, plain = reader(data), io.BytesIO(data)
    for _ in range(200):
        at, count = rng.randrange(size + 2), rng.choice([0, 1, 100, BLOCK_BYTES, 2 * BLOCK_BYTES, -1])
        assert found.seek(at) == plain.seek(at)
        assert found.read(count) == plain.read(count) and found.tell() == min(plain.tell(), max(size, at))
    assert found.seek(-min(3, size), os.SEEK_END) == plain.seek(-min(3, size), os.SEEK_END)
    buffer = bytearray(8)
    assert found.readinto(buffer) == min(3, size) and bytes(buffer[:3]) == data[-3:].ljust(3, b"\0")[:3]


def test_a_damaged_block_is_named_and_its_neighbours_are_read():
    written = random.Random(0).randbytes(3 * BLOCK_BYTES)
    data = bytearray(written)
    data[BLOCK_BYTES + 5] ^= 16
    found = reader(bytes(data), written)
    assert found.read(BLOCK_BYTES) == written[:BLOCK_BYTES]
    with pytest.raises(StorageError, match=f"place/file: the block at byte {BLOCK_BYTES} has CRC-32C"):
        found.read(1)
    found.seek(2 * BLOCK_BYTES)
    assert found.read() == written[2 * BLOCK_BYTES :]


def test_every_flipped_bit_is_noticed():
    written, rng = random.Random(1).randbytes(3000), random.Random(2)
    for bit in rng.sample(range(8 * len(written)), 500):
        data = bytearray(written)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StorageError, match="the file is damaged"):
            reader(bytes(data), written).read()


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b""])
def test_another_size_is_refused_at_once(change):
    with pytest.raises(StorageError, match=r"place/file: \d+ bytes, the snapshot has 2000"):
        reader(change(bytes(2000)), bytes(2000))


def test_a_manifest_with_too_few_checksums_is_refused():
    with pytest.raises(StorageError, match="1 checksums for 300000 bytes"):
        BlockReader(io.BytesIO(bytes(300_000)), "place/file", 300_000, checksums_of(b"x"))


def test_a_file_that_shrinks_while_it_is_read_is_refused():
    stream = io.BytesIO(bytes(2000))
    found = BlockReader(stream, "place/file", 2000, checksums_of(bytes(2000)))
    stream.truncate(100)
    with pytest.raises(StorageError, match="got 100 of 2000 bytes at 0"):
        found.read(1)


def test_the_first_checksum_is_the_one_that_stores_give():
    assert whole_crc32c(checksums_of(b"123456789")) == crc32c_hex(b"123456789") == "e3069283"
