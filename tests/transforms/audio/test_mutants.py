"""Files damaged at random, the same ones every time: each is tagged or rejected with a reason."""

import collections
import struct

import numpy as np
import pytest

from tests.support.odd_files import dsf_file, wav_of, with_skeleton
from tests.support.synth import AV_FORMATS, FORMATS, OTHER_AV_FORMATS, SPEC, av_file, music_file
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.extraction.sandbox import Sandbox

LIMITS = Limits(wall_s=20.0, cpu_s=15)
EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def flip_bits(data, rng):
    for at in rng.integers(0, len(data), rng.integers(1, 60)):
        data[at] ^= 1 << int(rng.integers(8))


def flip_bits_of_the_header(data, rng):
    for at in rng.integers(0, min(len(data), 300), rng.integers(1, 12)):
        data[at] ^= 1 << int(rng.integers(8))


def truncate(data, rng):
    del data[int(rng.integers(1, len(data))) :]


def insert(data, rng):
    at = int(rng.integers(0, len(data)))
    data[at:at] = rng.integers(0, 256, rng.integers(1, 3000), dtype=np.uint8).tobytes()


def remove(data, rng):
    at = int(rng.integers(0, len(data)))
    del data[at : at + int(rng.integers(1, 3000))]


def change_an_integer_of_the_header(data, rng):
    at = int(rng.integers(4, min(len(data) - 4, 200)))
    data[at : at + 4] = struct.pack("<>"[rng.integers(2)] + "I", EXTREMES[rng.integers(len(EXTREMES))])


def zero_a_stretch(data, rng):
    at = int(rng.integers(0, len(data)))
    length = min(len(data) - at, int(rng.integers(1, 5000)))
    data[at : at + length] = bytes(length)


MUTATIONS = (
    flip_bits,
    flip_bits_of_the_header,
    truncate,
    insert,
    remove,
    change_an_integer_of_the_header,
    zero_a_stretch,
)


@pytest.fixture(scope="module")
def seeds():
    odd = [dsf_file(0.25), wav_of(av_file("ac3", 2.0)), with_skeleton(music_file("vorbis", 2.0))]
    written_by_av = [av_file(kind, 2.0) for kind in AV_FORMATS | OTHER_AV_FORMATS]
    return [music_file(kind, 2.0) for kind in FORMATS] + written_by_av + odd


def mutants(seeds, count):
    rng = np.random.default_rng(20_181)
    for i in range(count):
        data = bytearray(seeds[i % len(seeds)])
        MUTATIONS[i // len(seeds) % len(MUTATIONS)](data, rng)
        yield bytes(data)


def outcomes(seeds, count):
    found = collections.Counter()
    with Sandbox(SPEC, LIMITS, children=2) as sandbox:
        for future in [sandbox.submit(data) for data in mutants(seeds, count)]:
            error = future.exception()
            assert error is None or isinstance(error, TrackError), error
            found[error.reason if error else "tagged"] += 1
            assert error is None or error.reason != "unknown", error.detail
    return found


def check(found, count):
    assert sum(found.values()) == count
    assert 0.3 * count < found["tagged"] < 0.9 * count
    assert found["crash"] + found["timeout"] + found["memory_limit"] + found["resource_limit"] <= 0.005 * count


def test_at_least_eleven_formats_are_damaged(seeds):
    assert len(seeds) >= 11


def test_every_format_is_damaged_in_every_way(seeds):
    count = len(seeds) * len(MUTATIONS)
    check(outcomes(seeds, count), count)


@pytest.mark.long
def test_ten_thousand_mutants(seeds):
    check(outcomes(seeds, 10_000), 10_000)
