"""The decoded samples, against those of ffmpeg's command line; and decoding in blocks, against decoding whole."""

import io
import shutil
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from tests.support.synth import AV_FORMATS, FORMATS, av_file, music_file
from transforms.audio.containers.contents import inspect
from transforms.audio.containers.sniff import sniff
from transforms.audio.decoders.opening import open_source
from transforms.audio.limits import Limits

FFMPEG = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
SECONDS = 3.0
EXACT = ("wav", "aiff", "caf", "flac", "mp4 alac", "wavpack", "tta")
LOSSY_ERROR = 2e-3
"""RMS of the difference over the RMS of the signal, after alignment: two decoders round differently."""

FILES = {
    **{kind: lambda kind=kind: music_file(kind, SECONDS) for kind in FORMATS},
    **{kind: lambda kind=kind: av_file(kind, SECONDS) for kind in AV_FORMATS},
}


def ours(data, block_frames=4096):
    kind = sniff(data)
    with open_source(inspect(data, kind).data, kind, Limits()) as source:
        blocks = []
        while len(block := source.read(block_frames)):
            blocks.append(block.copy())
        return np.concatenate(blocks)


def by_ffmpeg(data, path, channels=2):
    path.write_bytes(data)
    command = [FFMPEG, "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    raw = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True).stdout
    return np.frombuffer(raw, "<f4").reshape(-1, channels)


def aligned(a, b):
    """Both signals from where they fit best, at equal length; the shift is at most an encoder's delay."""
    middle = b[len(b) // 2 - 8192 : len(b) // 2 + 8192, 0]
    first = len(b) // 2 - 8192 - 4096
    near = a[first : first + len(middle) + 8192, 0]
    shift = int(np.correlate(near, middle, "valid").argmax()) - 4096
    a, b = a[max(0, shift) :], b[max(0, -shift) :]
    length = min(len(a), len(b)) - 4096
    return a[2048:length], b[2048:length]


@pytest.mark.parametrize("kind", FILES)
def test_samples_are_those_of_ffmpeg(kind, tmp_path):
    data = FILES[kind]()
    mine, theirs = ours(data), by_ffmpeg(data, tmp_path / "file")
    if kind in EXACT:
        np.testing.assert_array_equal(mine, theirs)
        return
    assert abs(len(mine) - len(theirs)) <= 4096
    a, b = aligned(mine, theirs)
    assert np.sqrt(np.mean((a - b) ** 2)) < LOSSY_ERROR * np.sqrt(np.mean(b**2))


@pytest.mark.parametrize("kind", FILES)
def test_decoding_in_blocks_equals_decoding_whole(kind):
    data = FILES[kind]()
    np.testing.assert_array_equal(ours(data, 1000), ours(data, 1 << 20))


@pytest.mark.parametrize("kind", FORMATS)
def test_samples_are_those_of_soundfile(kind):
    data = music_file(kind, SECONDS)
    np.testing.assert_array_equal(ours(data), soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0])
