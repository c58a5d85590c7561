"""A decoder for tests that does what its input names: it runs in the sandbox's children only."""

import ctypes
import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from transforms.audio.errors import DecodeError, TooShort
from transforms.extraction import protocol as wire
from transforms.features import extract as signal_extract
from transforms.features.extract import AudioFacts, Features
from transforms.features.parameters.record import Parameters
from transforms.features.spec import FeatureSpec

_LEFT = []
_NUMBERS = []
"""Numbers of the requests of this child so far: the parent counts down."""

_FACTS = {
    "duration_s": 3.0,
    "sample_rate": 44_100,
    "channels": 1,
    "format": "wav",
    "decoded_fraction": 1.0,
    "damage": None,
}


def extract(data, spec, limits, parameters=None):
    """Features of nothing, unless the first line is a poison pill's name."""
    name = data.decode().partition("\n")[0]
    _NUMBERS.append(limits.tracks_per_child - len(_NUMBERS) - 1)
    if name == "segfault if measured":
        name = "good" if parameters is None else "segfault"
    if name != "good":
        PILLS[name]()
    features = _features(spec)
    return features if parameters is None else dataclasses.replace(features, parameters=Parameters())


def process_id(data, spec, limits):
    """No features: the detail is the process id."""
    raise DecodeError(str(os.getpid()))


def peak_memory(data, spec, limits):
    """The file's true features; the sample rate is the peak memory of this process in KiB."""
    features = signal_extract.extract(data, spec, limits)
    facts = dataclasses.replace(features.facts, sample_rate=signal_extract.peak_bytes() >> 10)
    return dataclasses.replace(features, facts=facts)


def _features(spec):
    patches, starts_s = np.zeros((1, *spec.patch_shape), np.float16), np.zeros(1, np.float32)
    return Features(patches=patches, starts_s=starts_s, facts=AudioFacts(**_FACTS))


def _killer():
    """A process that ends this one with SIGKILL, as the kernel does without memory; what is written to wakes it."""
    victim = os.getpid()
    wait, wake = os.pipe()
    if (starter := os.fork()) == 0:
        if os.fork() == 0:  # not a child of this process, which may have none
            os.dup2(wait, 0)
            os.closerange(1, 1024)
            if os.read(0, 1):
                os.kill(victim, signal.SIGKILL)
        os._exit(0)
    os.waitpid(starter, 0)
    os.close(wait)
    return wake


_WAKE = _killer() if "transforms.extraction.child" in sys.orig_argv else None


def _killed_from_outside():
    os.write(_WAKE, b"x")
    time.sleep(3600)


def _busy_loop():
    while True:
        pass


def _busy(end):
    def pill():
        start = time.process_time()
        while time.process_time() - start < 0.2:
            pass
        end()

    return pill


def _too_short():
    raise TooShort("after a lot of work")


def _native_allocation():
    ctypes.CDLL(None).malloc.restype = ctypes.c_void_p
    if not ctypes.CDLL(None).malloc(ctypes.c_size_t(8 << 30)):
        raise MemoryError


def _leak():
    while True:
        _LEFT.append(os.open("/dev/null", os.O_RDONLY))


def _fork_bomb():
    for _ in range(50):
        if os.fork() == 0:
            time.sleep(3600)
            os._exit(0)


def _socket():
    import socket

    socket.socket()


def _write():
    Path("/tmp/written").write_bytes(bytes(8 << 20))


def _say(head):
    return lambda: _answer(head)


def _answer(head, body=b"", after=0):
    """Sends an answer to the present request, or to one `after` it."""
    wire.send(int(sys.argv[2]), {"number": _NUMBERS[-1] - after} | head, body)


def _say_bytes(text):
    return lambda: os.write(int(sys.argv[2]), len(text).to_bytes(8, "little") + bytes(8) + text)


def _forge(head=None, facts=None, shape=None, starts=(0.0,), patch=0.0, spare=0):
    """An answer with one thing in it that cannot be true; patches are of the default spec's shape."""
    shape = [len(starts), *_SHAPE] if shape is None else shape
    head = {"shape": shape, "facts": _FACTS | (facts or {})} if head is None else head
    body = np.array(starts, "<f4").tobytes() + np.full((len(starts), *_SHAPE), patch, "<f2").tobytes() + bytes(spare)
    return lambda: _answer(head, body)


_SHAPE = FeatureSpec().patch_shape
_COST = {"decode_ms": 1, "features_ms": 1, "peak_bytes": 1, "core_us": 1}
FORGERIES = {
    "no facts": _forge({"shape": [1, *_SHAPE], "facts": {}}),
    "further facts": _forge(facts={"price": 3}),
    "words for numbers": _forge(facts={"duration_s": "long"}),
    "truth for a number": _forge(facts={"channels": True}),
    "NaN for a duration": _forge(facts={"duration_s": float("nan")}),
    "an endless duration": _forge(facts={"duration_s": float("inf")}),
    "a negative duration": _forge(facts={"duration_s": -1.0}),
    "a fraction of 7": _forge(facts={"decoded_fraction": 7.0}),
    "a negative fraction": _forge(facts={"decoded_fraction": -0.5}),
    "channels -1": _forge(facts={"channels": -1}),
    "channels 2**63": _forge(facts={"channels": 1 << 63}),
    "rate 0": _forge(facts={"sample_rate": 0}),
    "a format that is no text": _forge(facts={"format": ["wav"]}),
    "half a surrogate": _forge(facts={"format": "\ud83d"}),
    "escape sequences": _forge(facts={"damage": "\x1b[2J"}),
    "a novel": _forge(facts={"damage": "x" * 100_000}),
    "a negative cost": _forge({"shape": [1, *_SHAPE], "facts": _FACTS, "cost": _COST | {"decode_ms": -1}}),
    "a cost of words": _forge({"shape": [1, *_SHAPE], "facts": _FACTS, "cost": _COST | {"core_us": "much"}}),
    "a negative cost of a reject": _forge({"reason": "silent", "detail": "", "core_us": -1}),
    "no patches": _forge(starts=()),
    "more patches than planned": _forge(starts=range(17)),
    "a shape of two": _forge(shape=[1, 187]),
    "other mels": _forge(shape=[1, 187, 95]),
    "a shape of words": _forge(shape="abc"),
    "a body that is too short": _forge(shape=[2, *_SHAPE]),
    "a body that is too long": _forge(spare=4),
    "NaN in a patch": _forge(patch=float("nan")),
    "infinity in a patch": _forge(patch=float("inf")),
    "NaN for a start": _forge(starts=(float("nan"),)),
    "starts that go back": _forge(starts=(3.0, 0.0)),
    "a start before the beginning": _forge(starts=(-1.0,)),
    "the parent's reason unavailable": _forge({"reason": "unavailable", "detail": "", "core_us": 0}),
    "the parent's reason not_found": _forge({"reason": "not_found", "detail": "", "core_us": 0}),
    "the parent's reason crash": _forge({"reason": "crash", "detail": "", "core_us": 0}),
    "the parent's reason timeout": _forge({"reason": "timeout", "detail": "", "core_us": 0}),
    "the parent's reason unknown": _forge({"reason": "unknown", "detail": "", "core_us": 0}),
    "a detail that is a number": _forge({"reason": "silent", "detail": 3, "core_us": 0}),
    "no detail": _forge({"reason": "silent", "core_us": 0}),
    "a detail of a megabyte": _forge({"reason": "silent", "detail": "x" * (1 << 20), "core_us": 0}),
    "a head of nothing": _forge({}),
    "an answer without a number": _forge({"number": None, "shape": [1, *_SHAPE], "facts": _FACTS}),
    "the answer to another request": _forge({"number": -1, "shape": [1, *_SHAPE], "facts": _FACTS}),
}
"""Answers that cannot be true -> how a child gives them."""


def _keep():
    """Hold memory that the next tracks of this child lack."""
    _LEFT.append(np.ones(1 << 30, np.uint8))


def _need():
    np.ones(1 << 30, np.uint8)


def _die_of_what_is_left():
    if _LEFT:
        os.abort()


def _tell(words):
    def tell():
        raise Told(" ".join(words()))

    return tell


class Told(DecodeError):
    """What a test wants to know of the child, as the detail of an error."""


HEAVY = ("librosa", "numba", "scipy", "apache_beam", "tensorflow", "pyarrow")


def _last_words():
    os.write(2, b"\x1b]0;title\x07\x1b[2J\0\xff" + "\u202e\u2028\u200b".encode())
    os._exit(1)


PILLS = {
    "two answers": lambda: _answer({"reason": "silent", "detail": "forged", "core_us": 0}),
    "last words": _last_words,
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "kill itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "sigkill": _killed_from_outside,
    "exit": lambda: os._exit(3),
    "endless loop": lambda: time.sleep(3600),
    "busy loop": _busy_loop,
    "busy reject": _busy(_too_short),
    "busy crash": _busy(os.abort),
    "8 GB": lambda: np.ones(8 << 30, np.uint8),
    "native 8 GB": _native_allocation,
    "descriptor leak": _leak,
    "left open": lambda: _LEFT.append(os.open("/dev/null", os.O_RDONLY)),
    "fork bomb": _fork_bomb,
    "writes": _write,
    "surprise": lambda: 1 / 0,
    "nonsense": _say_bytes(b"hello"),
    "nonsense without end": _say_bytes(b"[" * 20_000),
    "nonsense of another kind": _say_bytes(b"[]"),
    "no shape": _say({"shape": []}),
    "no such reason": _say({"reason": [], "detail": ""}),
    **FORGERIES,
    "keep 1 GB": _keep,
    "need 1 GB": _need,
    "abort if anything is left": _die_of_what_is_left,
    "socket": _socket,
    "program": lambda: os.execv("/bin/true", ["true"]),
    "environment": _tell(lambda: os.environ),
    "modules": _tell(lambda: {"soundfile", *HEAVY} & set(sys.modules)),
}
