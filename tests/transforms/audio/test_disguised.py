"""Playlists and reference containers named like audio: rejected, and nothing else is opened."""

import ctypes
import os
import struct
import sys

import pytest

from tests.support.synth import SPEC, av_file, encode, sine
from tests.transforms.audio.test_sniff import DISGUISED
from transforms.audio.errors import FormatNotAllowed, ImplausibleHeader, TrackError
from transforms.audio.limits import Limits
from transforms.extraction.sandbox import Sandbox
from transforms.features.extract import extract
from transforms.features.logmel import mel_matrix

_IN_OPEN = 0x20
_PATH_TO_DREF = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")


def m4a_with_reference(url):
    """An M4A whose data reference names another file."""
    data = bytearray(av_file("mp4", 1.0))
    entry = data.index(b"url ", data.index(b"dref")) - 4
    location = url.encode() + b"\0"
    for name in _PATH_TO_DREF:
        at = data.index(name) - 4
        data[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + len(location))
    data[entry : entry + 12] = struct.pack(">I4sI", 12 + len(location), b"url ", 0) + location
    return bytes(data)


def reference_movie(url):
    """A QuickTime movie that only says where the movie is."""
    rdrf = struct.pack(">I4sI4sI", 0, b"rdrf", 0, b"url ", len(url) + 1) + url.encode() + b"\0"
    rdrf = struct.pack(">I", len(rdrf)) + rdrf[4:]
    box = rdrf
    for name in (b"rmda", b"rmra", b"moov"):
        box = struct.pack(">I4s", len(box) + 8, name) + box
    return struct.pack(">I4s4sI", 16, b"ftyp", b"qt  ", 0) + box


class OpenWatch:
    """Tells of every opening of a file in a folder, by whatever process and language (inotify)."""

    def __init__(self, folder):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._fd, os.fsencode(folder), _IN_OPEN) >= 0

    def opened(self):
        try:
            return os.read(self._fd, 4096)
        except BlockingIOError:
            return b""


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "secret.wav"
    path.write_bytes(encode(sine(5.0)))
    return path


def disguised(secret):
    files = {name: data.replace(b"secret.wav", bytes(secret)) for name, data in DISGUISED.items()}
    files["m4a with an external reference"] = m4a_with_reference(f"file://{secret}")
    files["QuickTime reference movie"] = reference_movie(f"file://{secret}")
    return files


def test_the_watch_sees_an_opening(secret):
    watch = OpenWatch(secret.parent)
    secret.read_bytes()
    assert b"secret.wav" in watch.opened()


def test_there_are_at_least_twelve(secret):
    assert len(disguised(secret)) >= 12


def test_all_are_rejected_and_nothing_else_is_opened(secret):
    mel_matrix(SPEC)
    extract(av_file("mp4", 1.0), SPEC, Limits())  # all modules are loaded
    watch, events, watching = OpenWatch(secret.parent), [], [True]
    sys.addaudithook(lambda name, _: events.append(name) if watching and name.startswith(("open", "socket.")) else None)
    reasons = {}
    for name, data in disguised(secret).items():
        with pytest.raises(FormatNotAllowed) as caught:
            extract(data, SPEC, Limits())
        reasons[name] = caught.value.reason
    watching.clear()
    assert set(reasons.values()) == {"format_not_allowed"}
    assert events == [] and watch.opened() == b""


def test_all_are_rejected_in_the_sandbox_and_nothing_else_is_opened(secret):
    watch = OpenWatch(secret.parent)
    with Sandbox(SPEC, Limits(), children=1) as sandbox:
        errors = [sandbox.submit(data).exception() for data in disguised(secret).values()]
    assert {error.reason for error in errors} == {"format_not_allowed"} and watch.opened() == b""


@pytest.mark.parametrize("name", DISGUISED)
def test_a_playlist_behind_an_id3_tag_is_a_playlist(name):
    with pytest.raises(TrackError) as caught:
        extract(b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + DISGUISED[name], SPEC, Limits())
    assert caught.value.reason == "format_not_allowed"


def test_audio_in_its_own_file_is_read():
    assert extract(av_file("mp4", 1.0), SPEC, Limits()).facts.format == "mp4"


def test_boxes_without_end_within_each_other_are_an_implausible_header():
    nested = b"".join(struct.pack(">I4s", 8 * (1000 - i), b"moov") for i in range(1000))
    with pytest.raises(ImplausibleHeader, match="boxes within each other"):
        extract(struct.pack(">I4s4sI", 16, b"ftyp", b"M4A ", 0) + nested, SPEC, Limits())


def test_boxes_beyond_number_are_an_implausible_header():
    with pytest.raises(ImplausibleHeader, match="more than 1000000 boxes"):
        extract(
            struct.pack(">I4s4sI", 16, b"ftyp", b"M4A ", 0) + struct.pack(">I4s", 8, b"free") * 1_000_001,
            SPEC,
            Limits(),
        )
