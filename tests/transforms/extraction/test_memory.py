"""Memory is bounded by the plan and the file, whatever the length of the track."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.synth import SPEC, music_file
from transforms.audio.limits import MIB, Limits
from transforms.extraction.sandbox import Sandbox

MEASURED = "tests.support.poison:peak_memory"


def resident_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def extract_in_sandbox(data):
    """Peak memory of the child, and growth of this process, in bytes."""
    with Sandbox(SPEC, Limits(), 1, extractor=MEASURED) as sandbox:
        sandbox.submit(music_file("flac", 1.0)).result()
        before = resident_bytes()
        features = sandbox.submit(data).result()
        return features, features.facts.sample_rate * 1024, resident_bytes() - before


def long_flac(hours, rate=8_000):
    minute = np.zeros(60 * rate, np.int16)
    minute[: 4 * rate] = np.sin(np.arange(4 * rate) * 0.05) * 3000
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, 1, "PCM_16", format="FLAC") as file:
        for _ in range(hours * 60):
            file.write(minute)
    return buffer.getvalue()


def test_a_flac_that_claims_2_to_the_36_samples():
    data = bytearray(music_file("flac", 3.0))
    data[21] |= 0x0F
    data[22:26] = struct.pack(">I", 0xFFFFFFFF)
    features, child, worker = extract_in_sandbox(bytes(data))
    assert features.facts.duration_s == pytest.approx(3.0)
    assert child < 200 * MIB and worker < 50 * MIB


@pytest.mark.long
def test_a_flac_of_ten_hours():
    features, child, worker = extract_in_sandbox(long_flac(10))
    assert features.facts.duration_s == pytest.approx(36_000) and len(features.patches) == 16
    assert child < 200 * MIB and worker < 50 * MIB


@pytest.mark.long
def test_a_flac_of_ten_hours_that_does_not_tell_its_length():
    data = bytearray(long_flac(10))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    features, child, worker = extract_in_sandbox(bytes(data))
    assert features.facts.duration_s == pytest.approx(36_000)
    assert child < 300 * MIB and worker < 50 * MIB
